// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>

#include "agent/cmd.h"
#include "proto/base/cli.h"
#include "proto/base/log.h"

static const struct mb_command commands[] = {
	{ "run", "keep a server's view of this VM up to date", mb_cmd_run },
	{ "scan", "take one epoch and print what it has", mb_cmd_scan },
	{ "record", "write epochs to a trace file", mb_cmd_record },
	{ "dirty", "say who dirties how much of this machine's memory", mb_cmd_dirty },
	{ "churn", "say what a workload does to pages and to what they share", mb_cmd_churn },
	{ "doctor", "say why what could be merged is not, and what mends it", mb_cmd_doctor },
	{ "check", "say what this machine can do, and why not", mb_cmd_check },
	{ 0 },
};

int main(int argc, char **argv)
{
	mb_log_init("mbagent", MB_LOG_INFO);
	return mb_cli_main("mbagent", "fingerprints a VM's memory for Memory Buddies", commands,
			   argc, argv);
}
