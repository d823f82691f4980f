/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON (docs/json.md) to text for people. What the JSON lacks is shown as "-", and what it has too
 * much of is not shown; -EBADMSG only where a whole list is missing.
 */
#ifndef MB_CTL_RENDER_H
#define MB_CTL_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "proto/base/err.h"

enum {
	/* What tables are made for; long names make them wider all the same. */
	MB_RENDER_WIDTH = 100,
	/* More VMs than this, and the strongest pairs are shown instead of all. */
	MB_RENDER_MATRIX_MAX = 12,
	MB_RENDER_PAIRS_MAX = 20,
	/* VMs whose last audit is shown, the worst first. */
	MB_RENDER_AUDITS_MAX = 25,
};

typedef int (*mb_render_fn)(const json_t *root, FILE *to, struct mb_err *err);

int mb_render_succinct(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_analyze(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_plan(const json_t *root, FILE *to, struct mb_err *err);
/* The same plans, move by move in words. */
int mb_render_explain(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_place(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_whatif(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_status(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_share(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_simulate(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_who(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_history(const json_t *root, FILE *to, struct mb_err *err);
/* By tracker, then the worst VMs. */
int mb_render_audits(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_diff(const json_t *root, FILE *to, struct mb_err *err);
int mb_render_executions(const json_t *root, FILE *to, struct mb_err *err);
/* A line for each trust domain that is on its way to another key; nothing when none is. */
void mb_render_rotations(const json_t *root, FILE *to);
/* The domain's; NULL: none. */
const json_t *mb_render_rotation_of(const json_t *root, const char *domain);
/* What became of a plan, below it; nothing when it was not carried out. */
void mb_render_execution(const json_t *root, FILE *to);

#endif
