// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cli.h"
#include "server/ctl/ctl.h"

int main(int argc, char **argv)
{
	static const struct mb_command commands[] = {
		{ "status", "the server, its hosts and VMs", mb_ctl_status },
		{ "share", "self-sharing and inter-VM sharing of the fleet", mb_ctl_share },
		{ "plan", "which VM should run on which host, and the moves that get there",
		  mb_ctl_plan },
		{ "place", "which host is best for one VM", mb_ctl_place },
		{ "drain", "where the VMs of one host should go", mb_ctl_drain },
		{ "consolidate", "which hosts can be emptied and switched off",
		  mb_ctl_consolidate },
		{ "hotspot", "which hosts are short of memory, and what relieves them",
		  mb_ctl_hotspot },
		{ "whatif", "what would be shared if VMs ran elsewhere", mb_ctl_whatif },
		{ "executions", "plans that were carried out, and what became of each move",
		  mb_ctl_executions },
		{ "history", "sharing and churn of one VM, epoch by epoch", mb_ctl_history },
		{ "audits", "how far trackers can be trusted, by tracker and VM", mb_ctl_audits },
		{ "doctor", "what is wrong with the fleet, and what mends it", mb_ctl_doctor },
		{ "analyze", "what traces share, and what their deltas weigh (no server)",
		  mb_ctl_analyze },
		{ "churn", "what changed in VMs, and what of their sharing lasted", mb_ctl_churn },
		{ "diff", "what changed between two epochs of traces (no server)", mb_ctl_diff },
		{ "reference", "the contents of a server's VMs as a trace, to measure against",
		  mb_ctl_reference },
		{ "succinct",
		  "what samples and Bloom filters of traces take, and err by (no server)",
		  mb_ctl_succinct },
		{ "simulate", "a planner against a scenario: arrivals, churn (no server)",
		  mb_ctl_simulate },
		{ "pki", "a small CA: certificates for server and agents", mb_ctl_pki },
		{ "token", "who may ask the server from other machines", mb_ctl_token },
		{ "key", "the trust domains' keys, and how they are changed", mb_ctl_key },
		{ NULL, NULL, NULL },
	};

	return mb_cli_main("mbctl", "asks a Memory Buddies server, analyzes traces, makes plans",
			   commands, argc, argv);
}
