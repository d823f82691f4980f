/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of mbagent; each returns an exit code. */
#ifndef MB_AGENT_CMD_H
#define MB_AGENT_CMD_H

int mb_cmd_run(int argc, char **argv);
int mb_cmd_scan(int argc, char **argv);
int mb_cmd_record(int argc, char **argv);
int mb_cmd_check(int argc, char **argv);
int mb_cmd_doctor(int argc, char **argv);
int mb_cmd_dirty(int argc, char **argv);
int mb_cmd_churn(int argc, char **argv);

#endif
