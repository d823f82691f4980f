/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each two VMs share of which at least one has sent cut digests (proto/cut.h).
 *
 * Each is made a Bloom filter, and two are compared by counting the bits of their OR: an order of
 * magnitude faster than lists. A few rows of the matrix at a time, so that memory is bounded: 512
 * MiB where filters are as large as they may be, 33 filters where they are of 2^26 bits or less.
 */
#ifndef MB_SERVER_CUT_PAIRS_H
#define MB_SERVER_CUT_PAIRS_H

#include "proto/cut.h"
#include "server/groups.h"

struct mb_cut_vm {
	struct mb_cut_side side;    /* bits: of its digests, cut or not; fp is not looked at */
	struct mb_digest_list list; /* ... but these, borrowed */
	bool is_cut;
};

/*
 * Sets inter[i * n + j] and error[] of these pairs, both ways; the others stay as they are. A pair
 * whose filter is full, or too small for the sample that the other has sent, is not known: inter 0,
 * and an error as large as the smaller VM.
 */
int mb_cut_pairs(const struct mb_cut_vm *vms, uint32_t n, uint64_t *inter, uint64_t *error,
		 struct mb_err *err);

#endif
