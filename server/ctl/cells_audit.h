/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Audits (docs/json.md, history) as cells: the same in a VM's history and across a fleet. */
#ifndef MB_CTL_CELLS_AUDIT_H
#define MB_CTL_CELLS_AUDIT_H

#include "server/ctl/cells.h"

/* A share from 0 to 1 as "99.9 %". Cut, not rounded: what is not all must not look like it. */
void mb_cell_share(struct mb_table *t, const json_t *o, const char *key);
/* Two cells: stale pages of all classes, then by class, the worst first, in about `width`. */
void mb_cell_stale(struct mb_table *t, json_t *classes, size_t width);
/* What recall, precision and stale are; then what a doubted audit is, if asked for. */
void mb_cell_audit_legend(FILE *to, bool doubted);

#endif
