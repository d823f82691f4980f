/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far trackers can be trusted, of all VMs at a glance, as JSON (docs/json.md, audits): the last
 * audit of each, the worst first.
 */
#ifndef MB_SERVER_AUDIT_ANSWER_H
#define MB_SERVER_AUDIT_ANSWER_H

#include <jansson.h>

#include "server/store_audit.h"

/* As in a row of history; null: there was no audit. The ratios: NAN is null. */
json_t *mb_audit_json(const struct mb_audit *a, double recall, double recall_all,
		      double precision);

/* `hosts`: of each of the n VMs; NULL: nowhere. *ret is a new reference. */
int mb_audit_answer(struct mb_store *s, const struct mb_vm *vms, const char *const *hosts,
		    uint32_t n, json_t **ret, struct mb_err *err);

#endif
