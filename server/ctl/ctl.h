/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of mbctl, and what they have in common. */
#ifndef MB_CTL_CTL_H
#define MB_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "proto/base/err.h"
#include "server/ctl/render.h"

/* argv[0] is "mbctl COMMAND"; an exit code is returned (proto/base/cli.h). */
int mb_ctl_analyze(int argc, char **argv);
int mb_ctl_succinct(int argc, char **argv);
int mb_ctl_plan(int argc, char **argv);
int mb_ctl_place(int argc, char **argv);
int mb_ctl_drain(int argc, char **argv);
int mb_ctl_consolidate(int argc, char **argv);
int mb_ctl_hotspot(int argc, char **argv);
int mb_ctl_whatif(int argc, char **argv);
int mb_ctl_status(int argc, char **argv);
int mb_ctl_share(int argc, char **argv);
int mb_ctl_history(int argc, char **argv);
int mb_ctl_audits(int argc, char **argv);
int mb_ctl_executions(int argc, char **argv);
int mb_ctl_doctor(int argc, char **argv);
int mb_ctl_churn(int argc, char **argv);
int mb_ctl_diff(int argc, char **argv);
int mb_ctl_reference(int argc, char **argv);
int mb_ctl_simulate(int argc, char **argv);
int mb_ctl_pki(int argc, char **argv);
int mb_ctl_token(int argc, char **argv);
int mb_ctl_key(int argc, char **argv);

/* To standard output: one line of JSON, or what `render` makes of it. */
int mb_ctl_print(const json_t *root, bool as_json, mb_render_fn render, struct mb_err *err);
/* Says the reason of a failure, once; the exit code. */
int mb_ctl_end(int r, const struct mb_err *err);

static inline void mb_ctl_json_unref(json_t **j)
{
	json_decref(*j);
}

#endif
