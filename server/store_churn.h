/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store knows of a VM's churn since a time (schema.sql.h has the tables). */
#ifndef MB_SERVER_STORE_CHURN_H
#define MB_SERVER_STORE_CHURN_H

#include "server/store.h"

struct mb_store_churn {
	uint64_t deltas;		      /* history rows; each sums up one epoch or more */
	uint64_t first_unix_ns, last_unix_ns; /* when the first and the last one's was taken */
	double pages, distinct, zero;	      /* means over them; 0 where there is none */
	/* Of those that follow an epoch that was known, and so tell of change. */
	uint64_t epochs, changed, added, removed;
	/* Inter-VM sharing, whenever the matrix was computed: 0 times, and the rest is 0. */
	uint64_t inter_times, inter_first, inter_last, inter_least, inter_most;
	double inter_mean;
};
/* -ENOENT: no such VM. */
int mb_store_churn(struct mb_store *s, const char *vm_name, uint64_t since_unix_ns,
		   struct mb_store_churn *ret, struct mb_err *err);

/* As mb_store_who(), but since a time; *ret_rows: of how many history rows it is known. */
int mb_store_churn_who(struct mb_store *s, const char *vm_name, uint64_t since_unix_ns,
		       int (*each)(void *ctx, const struct mb_who_row *row), void *ctx,
		       uint64_t *ret_rows, struct mb_err *err);

/*
 * The fingerprints of the last acked epochs, oldest first: as many as the log of deltas still
 * reaches back, 64 or so at most.
 * -EBADMSG: the VM's rows do not add up.
 */
int mb_store_replay(struct mb_store *s, const char *vm_name, uint32_t bits,
		    int (*each)(void *ctx, const struct mb_delta_msg *delta,
				const struct mb_fingerprint *fp, struct mb_err *err),
		    void *ctx, struct mb_err *err);

#endif
