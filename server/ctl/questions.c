// SPDX-License-Identifier: GPL-2.0-or-later
/* The questions that there are. */
#include "server/ctl/ctl.h"
#include "server/ctl/question.h"

#define DRY " A dry run: nothing is moved.\v"

int mb_ctl_plan(int argc, char **argv)
{
	static const struct mb_ctl_question q = {
		.name = "plan",
		.args_doc = "[explain]",
		.doc = "Which VM should run on which host so that memory sharing saves most, and "
		       "the moves that get there, in order." DRY,
		.explains = true,
		.render = mb_render_plan,
	};

	return mb_ctl_ask(&q, argc, argv);
}

int mb_ctl_place(int argc, char **argv)
{
	static const struct mb_ctl_question q = {
		.name = "place",
		.args_doc = "VM",
		.doc = "Which host is best for one VM: all hosts, the best first, with what the VM "
		       "would share there, or why it cannot run there. If it runs somewhere "
		       "already, as if it did not.\v",
		.parameter = "vm",
		.what = "VM",
		.render = mb_render_place,
	};

	return mb_ctl_ask(&q, argc, argv);
}

int mb_ctl_drain(int argc, char **argv)
{
	static const struct mb_ctl_question q = {
		.name = "drain",
		.args_doc = "HOST",
		.doc = "Where the VMs of one host should go so that it is empty, and the moves "
		       "that get there, in order." DRY,
		.parameter = "host",
		.what = "host",
		.explains = true,
		.render = mb_render_plan,
	};

	return mb_ctl_ask(&q, argc, argv);
}

int mb_ctl_consolidate(int argc, char **argv)
{
	static const struct mb_ctl_own own[] = {
		{ "low_percent", "PERCENT", NULL,
		  "Empty hosts that use less of their memory than that, after sharing (default "
		  "30)" },
		{ 0 },
	};
	static const struct mb_ctl_question q = {
		.name = "consolidate",
		.doc = "Which hosts that use little memory can be emptied and switched off, and "
		       "the moves that get there, in order." DRY,
		.explains = true,
		.own = own,
		.render = mb_render_plan,
	};

	return mb_ctl_ask(&q, argc, argv);
}

int mb_ctl_hotspot(int argc, char **argv)
{
	static const struct mb_ctl_own own[] = {
		{ "swap_pages_s", "N", NULL,
		  "A host is hot when its guests together swap more pages a second (default 256; "
		  "0: not looked at)" },
		{ "stall_percent", "N", NULL,
		  "A host is hot when the shares of the time in which its guests wait for memory "
		  "add up to more (default 20; 0: not looked at)" },
		{ "free_mb", "MB", NULL,
		  "A host is hot when it has less free memory (default 1024; 0: not looked at)" },
		{ "lost_pages", "N", NULL,
		  "A host is hot when its guests lost more sharing, by more than that figure "
		  "may be off (default 0: not looked at)" },
		{ 0 },
	};
	static const struct mb_ctl_question q = {
		.name = "hotspot",
		.doc = "Which hosts are short of memory, by swapping, waiting or free memory, and "
		       "the moves that relieve them." DRY,
		.explains = true,
		.own = own,
		.render = mb_render_plan,
	};

	return mb_ctl_ask(&q, argc, argv);
}

int mb_ctl_whatif(int argc, char **argv)
{
	static const struct mb_ctl_own own[] = {
		{ "vms", "VM,VM...", "together", "These VMs, alone, together on the largest host" },
		{ "only", NULL, NULL, "Leave out all VMs that are not named" },
		{ 0 },
	};
	static const struct mb_ctl_question q = {
		.name = "whatif",
		.args_doc = "VM=HOST...\n--vms VM,VM...",
		.doc = "What would be shared if VMs ran elsewhere: zero pages, self-sharing and "
		       "inter-VM sharing of each host that has one of them, now and then, and "
		       "whether that is allowed. HOST - takes a VM out; all others stay.\v",
		.parameter = "moves",
		.what = "VMs and hosts: VM=HOST",
		.several = true,
		.own = own,
		.render = mb_render_whatif,
	};

	return mb_ctl_ask(&q, argc, argv);
}
