// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/fingerprint.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/*
 * Room for n and one to spare, so that an empty fingerprint still has arrays; rounded up by a
 * sixteenth at most. A server replaces fingerprints all the time by others of about the same size:
 * with few sizes, what one leaves behind on the heap is what the next one needs.
 */
static size_t room_bytes(size_t n, size_t entry_bytes)
{
	size_t bytes = (n + 1) * entry_bytes, step = 16;

	while (step * 32 <= bytes)
		step *= 2;
	return (bytes + step - 1) / step * step;
}

void mb_fingerprint_deinit(struct mb_fingerprint *fp)
{
	free(fp->digests);
	free(fp->multi);
	*fp = (struct mb_fingerprint){ 0 };
}

int mb_fingerprint_init(struct mb_fingerprint *fp, size_t n_distinct, size_t n_multi,
			struct mb_err *err)
{
	*fp = (struct mb_fingerprint){ 0 };
	if (n_distinct > MB_FINGERPRINT_PAGES_MAX || n_multi > n_distinct)
		return mb_fail(err, EOVERFLOW, "a fingerprint of %zu distinct pages", n_distinct);
	fp->digests = malloc(room_bytes(n_distinct, sizeof(*fp->digests)));
	fp->multi = malloc(room_bytes(n_multi, sizeof(*fp->multi)));
	if (!fp->digests || !fp->multi) {
		mb_fingerprint_deinit(fp);
		return mb_fail_mem(err, "a fingerprint");
	}
	return 0;
}

void mb_fingerprint_push(struct mb_fingerprint *fp, uint64_t digest, uint32_t copies)
{
	if (copies > 1)
		fp->multi[fp->n_multi++] = (struct mb_copies){ fp->n_distinct, copies };
	fp->digests[fp->n_distinct++] = digest;
	fp->n_pages += copies;
	mb_multiset_hash_add(&fp->hash, digest, copies);
}

void mb_fingerprint_seal(struct mb_fingerprint *fp)
{
	struct mb_multiset_hash sum = { 0 };

	/* One copy each in a loop of its own, which the compiler can unroll; then what is more. */
	for (uint32_t i = 0; i < fp->n_distinct; i++)
		mb_multiset_hash_add(&sum, fp->digests[i], 1);
	fp->n_pages = fp->n_distinct;
	for (uint32_t i = 0; i < fp->n_multi; i++) {
		mb_multiset_hash_add(&sum, fp->digests[fp->multi[i].rank], fp->multi[i].copies - 1);
		fp->n_pages += fp->multi[i].copies - 1;
	}
	fp->hash = sum;
}

void mb_fingerprint_trim(struct mb_fingerprint *fp)
{
	/* Shrinking may fail; then the larger block stays. */
	void *p = realloc(fp->digests, room_bytes(fp->n_distinct, sizeof(*fp->digests)));

	if (p)
		fp->digests = p;
	p = realloc(fp->multi, room_bytes(fp->n_multi, sizeof(*fp->multi)));
	if (p)
		fp->multi = p;
}

int mb_fingerprint_copy(const struct mb_fingerprint *fp, struct mb_fingerprint *ret,
			struct mb_err *err)
{
	int r = mb_fingerprint_init(ret, fp->n_distinct, fp->n_multi, err);

	if (r < 0)
		return r;
	if (fp->n_distinct)
		memcpy(ret->digests, fp->digests, fp->n_distinct * sizeof(*fp->digests));
	if (fp->n_multi)
		memcpy(ret->multi, fp->multi, fp->n_multi * sizeof(*fp->multi));
	ret->n_distinct = fp->n_distinct;
	ret->n_multi = fp->n_multi;
	ret->n_pages = fp->n_pages;
	ret->hash = fp->hash;
	return 0;
}

size_t mb_fingerprint_bytes(const struct mb_fingerprint *fp)
{
	return sizeof(*fp) + room_bytes(fp->n_distinct, sizeof(*fp->digests)) +
	       room_bytes(fp->n_multi, sizeof(*fp->multi));
}

void mb_sort_u64(uint64_t *keys, uint64_t *tmp, size_t n)
{
	size_t counts[8][256] = { 0 };
	uint64_t *from = keys, *to = tmp;

	for (size_t i = 0; i < n; i++)
		for (unsigned int b = 0; b < 8; b++)
			counts[b][keys[i] >> (8 * b) & 0xff]++;
	for (unsigned int b = 0; b < 8; b++) {
		size_t sum = 0;
		uint64_t *swap;

		/* All keys agree in this byte: nothing to move. */
		if (n == 0 || counts[b][keys[0] >> (8 * b) & 0xff] == n)
			continue;
		for (unsigned int v = 0; v < 256; v++) {
			size_t c = counts[b][v];

			counts[b][v] = sum;
			sum += c;
		}
		for (size_t i = 0; i < n; i++)
			to[counts[b][from[i] >> (8 * b) & 0xff]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != keys)
		memcpy(keys, from, n * sizeof(*keys));
}

int mb_fingerprint_from_digests(struct mb_fingerprint *fp, uint64_t *digests, size_t n,
				struct mb_err *err)
{
	mb_autofree uint64_t *tmp = NULL;
	size_t n_distinct = 0, n_multi = 0;
	int r;

	*fp = (struct mb_fingerprint){ 0 };
	if (n > MB_FINGERPRINT_PAGES_MAX)
		return mb_fail(err, EOVERFLOW, "a fingerprint of %zu pages", n);
	tmp = malloc((n + 1) * sizeof(*tmp));
	if (!tmp)
		return mb_fail_mem(err, "sorting digests");
	mb_sort_u64(digests, tmp, n);
	for (size_t i = 0, next; i < n; i = next) {
		for (next = i + 1; next < n && digests[next] == digests[i];)
			next++;
		n_distinct++;
		n_multi += next - i > 1;
	}
	r = mb_fingerprint_init(fp, n_distinct, n_multi, err);
	if (r < 0)
		return r;
	for (size_t i = 0, next; i < n; i = next) {
		for (next = i + 1; next < n && digests[next] == digests[i];)
			next++;
		if (next - i > 1)
			fp->multi[fp->n_multi++] =
				(struct mb_copies){ fp->n_distinct, (uint32_t)(next - i) };
		fp->digests[fp->n_distinct++] = digests[i];
	}
	mb_fingerprint_seal(fp);
	return 0;
}

uint32_t mb_fingerprint_find(const struct mb_fingerprint *fp, uint64_t digest)
{
	size_t first = 0, n = fp->n_distinct;
	uint32_t rank;

	while (n) {
		size_t half = n / 2;

		if (fp->digests[first + half] < digest) {
			first += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	if (first == fp->n_distinct || fp->digests[first] != digest)
		return 0;
	rank = (uint32_t)first;
	first = 0;
	n = fp->n_multi;
	while (n) {
		size_t half = n / 2;

		if (fp->multi[first + half].rank < rank) {
			first += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return first < fp->n_multi && fp->multi[first].rank == rank ? fp->multi[first].copies : 1;
}

void mb_fingerprint_self_sharing(const struct mb_fingerprint *fp, uint64_t zero_digest,
				 struct mb_self_sharing *ret)
{
	uint64_t zero = mb_fingerprint_find(fp, zero_digest);

	*ret = (struct mb_self_sharing){
		.pages = fp->n_pages,
		.distinct = fp->n_distinct,
		.zero = zero,
		.self = fp->n_pages - fp->n_distinct,
		.self_nonzero = fp->n_pages - fp->n_distinct - (zero ? zero - 1 : 0),
	};
}

/* What both have, without a branch on what nobody can foresee. */
static uint32_t count_both(const struct mb_fingerprint *a, const struct mb_fingerprint *b)
{
	uint32_t i = 0, j = 0, both = 0;

	while (i < a->n_distinct && j < b->n_distinct) {
		uint64_t x = a->digests[i], y = b->digests[j];

		both += x == y;
		i += x <= y;
		j += y <= x;
	}
	return both;
}

/* Sum of min(copies) - 1: only what has two or more in both counts. */
static uint64_t count_more_in_both(const struct mb_fingerprint *a, const struct mb_fingerprint *b)
{
	uint32_t i = 0, j = 0;
	uint64_t more = 0;

	while (i < a->n_multi && j < b->n_multi) {
		uint64_t x = a->digests[a->multi[i].rank], y = b->digests[b->multi[j].rank];

		if (x == y)
			more += MB_MIN(a->multi[i].copies, b->multi[j].copies) - 1;
		i += x <= y;
		j += y <= x;
	}
	return more;
}

void mb_fingerprint_pair_sharing(const struct mb_fingerprint *a, const struct mb_fingerprint *b,
				 struct mb_pair_sharing *ret)
{
	*ret = (struct mb_pair_sharing){ .inter = count_both(a, b) };
	ret->overlap = ret->inter + count_more_in_both(a, b);
	ret->distinct_union = (uint64_t)a->n_distinct + b->n_distinct - ret->inter;
	ret->saving = a->n_pages + b->n_pages - ret->distinct_union;
	ret->gained = b->n_pages - ret->overlap;
	ret->lost = a->n_pages - ret->overlap;
}
