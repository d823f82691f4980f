/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other ways to tell what two VMs share, each for all pairs of a few VMs: what the server's groups
 * are held against. ret_inter[i * n + j] for i < j.
 */
#ifndef MB_UTIL_RIVALS_H
#define MB_UTIL_RIVALS_H

#include "server/groups.h"

/* The paper's hash lists: two sorted lists are merged. Exact. */
void rival_merge(const struct mb_digest_list *lists, uint32_t n, double *ret_inter);

/* CRoaring bitmaps of the digests' high 32 bits: some that differ look the same. */
struct rival_roaring;
struct rival_roaring *rival_roaring_make(const struct mb_digest_list *lists, uint32_t n);
void rival_roaring_free(struct rival_roaring *r);
void rival_roaring_compare(const struct rival_roaring *r, double *ret_inter);
uint64_t rival_roaring_bytes(const struct rival_roaring *r);

/*
 * The paper's Bloom filters with one hash function: m bits a VM, compared by its formula (1),
 * shared = (ln(z1 + z2 - z12) - ln(z1 z2) + ln m) / (ln m - ln(m - 1)), z: zero bits of each and of
 * their AND. An estimate.
 */
struct rival_bloom;
struct rival_bloom *rival_bloom_make(const struct mb_digest_list *lists, uint32_t n,
				     double bits_per_page);
void rival_bloom_free(struct rival_bloom *b);
void rival_bloom_compare(const struct rival_bloom *b, double *ret_inter);
uint64_t rival_bloom_bytes(const struct rival_bloom *b);

/* Distinct digests of all lists together: merged two by two. */
uint64_t rival_union(const struct mb_digest_list *lists, uint32_t n);

#endif
