/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The churn that a server's history tells of, as JSON (docs/json.md, churn): of every VM what its
 * rows add up to; of a VM that was asked for alone also its last epochs, content by content; of
 * many what lasts of them together (churn_pool.h).
 */
#ifndef MB_SERVER_CHURN_ANSWER_H
#define MB_SERVER_CHURN_ANSWER_H

#include <jansson.h>

#include "server/store_churn.h"

struct mb_churn_question {
	const char *name; /* of the report: "VM web1", "host h1", "fleet" */
	const struct mb_vm *const *vms;
	const char *const *hosts; /* of each VM; NULL: nowhere */
	uint32_t n;
	bool contents; /* it is about one VM: its last epochs, one by one */
	uint64_t since_unix_ns;
};

/* *ret is a new reference. */
int mb_churn_answer(struct mb_store *s, const struct mb_churn_question *q, json_t **ret,
		    struct mb_err *err);

#endif
