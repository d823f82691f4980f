/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the last audit of each VM found (schema.sql.h, version 2). */
#ifndef MB_SERVER_STORE_AUDIT_H
#define MB_SERVER_STORE_AUDIT_H

#include "server/store.h"

struct mb_last_audit {
	uint64_t at_unix_ns, epoch; /* of its history row */
	struct mb_audit audit;	    /* audits: 0 when none is known, and all is 0 or NAN then */
	double recall, recall_all, precision; /* NAN: nothing to judge by */
};
/*
 * By an index: it takes no longer for a VM with a long history, nor for one without audits.
 * -ENOENT: no such VM.
 */
int mb_store_last_audit(struct mb_store *s, const char *vm_name, struct mb_last_audit *ret,
			struct mb_err *err);

#endif
