/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of their sharing lasts, of many VMs together: each one's last epochs, content by content, as
 * the log of deltas still has them, added up.
 *
 *	self		what a VM has more than once: sums over the VMs
 *	reference	what another of these VMs has now, too. Only where all of them are held
 *whole, and are few enough
 *
 * Bounded work, some seconds of it: where all VMs would be too much, as many as fit, chosen evenly.
 * Half-lives are fitted (churn_survival.h): losses of all by time under observation of all.
 */
#ifndef MB_SERVER_CHURN_POOL_H
#define MB_SERVER_CHURN_POOL_H

#include "proto/churn/churn_summary.h"
#include "server/store_churn.h"

struct mb_churn_pool {
	uint32_t n_vms;	      /* of which two epochs or more were found */
	uint64_t duration_ns; /* of the one that was watched for longest */
	bool has_reference;
	struct mb_churn_kind_summary kinds[MB_CHURN_KINDS];
	/* VMs that were watched for so long; durable_pages and of_pages are sums over these. */
	uint32_t n_known[MB_CHURN_WINDOWS_MAX];
};

/* The VMs are [0, n). config->zero_digest and ->reference are each VM's own, not the caller's. */
int mb_churn_pool(struct mb_store *s, const struct mb_vm *const *vms, uint32_t n,
		  uint64_t since_unix_ns, const struct mb_churn_config *config,
		  struct mb_churn_pool *ret, struct mb_err *err);

#endif
