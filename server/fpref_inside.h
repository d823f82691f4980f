/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only the fleet may change of a shared fingerprint, under its settle_lock. */
#ifndef MB_SERVER_FPREF_INSIDE_H
#define MB_SERVER_FPREF_INSIDE_H

#include <stdatomic.h>

#include "server/fpref.h"

struct mb_fpref {
	atomic_uint refs;
	struct mb_fingerprint_id id;
	struct mb_fingerprint fp; /* empty when paged out */
	bool paged_out;
	uint64_t *sample; /* [0, n_sample): the first digests; owned */
	uint32_t n_sample;
	uint64_t seen_ns;	 /* when it was published */
	struct mb_fpref *before; /* the VM's last one, until it is settled; a reference */
	struct mb_fpref *next;	 /* in the list of those to be settled; that has a reference */
	uint32_t vm;		 /* whose it is; good while it is in that list */
	bool has_durable;
	struct mb_durable durable;
};

#endif
