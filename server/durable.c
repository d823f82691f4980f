// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/durable.h"

#include <stdlib.h>
#include <string.h>

void mb_durable_start(struct mb_durable *d, uint32_t n, uint64_t now_ns)
{
	*d = (struct mb_durable){ .whole = true, .n = n, .old_ns = now_ns, .young_ns = now_ns };
}

void mb_durable_deinit(struct mb_durable *d)
{
	free(d->old);
	free(d->young);
	*d = (struct mb_durable){ 0 };
}

static size_t bits_bytes(uint32_t n)
{
	return ((size_t)n / 64 + 1) * sizeof(uint64_t);
}

static uint64_t *new_bits(uint32_t n)
{
	return calloc(1, bits_bytes(n));
}

static uint64_t *copy_bits(const uint64_t *bits, uint32_t n, bool *failed)
{
	uint64_t *copy = bits ? malloc(bits_bytes(n)) : NULL;

	if (copy)
		memcpy(copy, bits, bits_bytes(n));
	*failed |= bits && !copy;
	return copy;
}

int mb_durable_copy(struct mb_durable *ret, const struct mb_durable *d, struct mb_err *err)
{
	bool failed = false;

	*ret = *d;
	ret->old = copy_bits(d->old, d->n, &failed);
	ret->young = copy_bits(d->young, d->n, &failed);
	if (!failed)
		return 0;
	mb_durable_deinit(ret);
	return mb_fail_mem(err, "what lasts of a fingerprint");
}

size_t mb_durable_bytes(const struct mb_durable *d)
{
	return (d->old ? bits_bytes(d->n) : 0) + (d->young ? bits_bytes(d->n) : 0);
}

static uint64_t bit(const uint64_t *bits, uint32_t i)
{
	return bits ? bits[i / 64] >> i % 64 & 1 : 1;
}

/* What both lists have keeps its bits; what is new has none. */
static void merge(const struct mb_durable *prev, const struct mb_digest_list *from,
		  const struct mb_digest_list *to, struct mb_durable *ret)
{
	uint32_t i = 0;

	for (uint32_t j = 0; j < to->n; j++) {
		while (i < from->n && from->digests[i] < to->digests[j])
			i++;
		if (i == from->n || from->digests[i] != to->digests[j])
			continue;
		ret->young[j / 64] |= bit(prev->young, i) << j % 64;
		if (ret->old)
			ret->old[j / 64] |= bit(prev->old, i) << j % 64;
	}
}

int mb_durable_carry(struct mb_durable *ret, const struct mb_durable *prev,
		     const struct mb_digest_list *from, const struct mb_digest_list *to,
		     uint64_t now_ns, uint64_t time_ns, struct mb_err *err)
{
	mb_durable_start(ret, to->n, now_ns);
	if (!time_ns)
		return 0;
	ret->whole = prev->whole;
	ret->old_ns = prev->old_ns;
	ret->young_ns = prev->young_ns;
	ret->young = new_bits(to->n);
	if (!prev->whole)
		ret->old = new_bits(to->n);
	if (!ret->young || (!prev->whole && !ret->old)) {
		mb_durable_deinit(ret);
		return mb_fail_mem(err, "what lasts of a fingerprint");
	}
	merge(prev, from, to, ret);
	if (now_ns < ret->young_ns || now_ns - ret->young_ns < time_ns)
		return 0;
	free(ret->old);
	ret->whole = false;
	ret->old = ret->young;
	ret->old_ns = ret->young_ns;
	ret->young = NULL;
	ret->young_ns = now_ns;
	return 0;
}

uint32_t mb_durable_filter(const struct mb_durable *d, const struct mb_digest_list *list,
			   uint32_t first, uint32_t last, uint64_t *ret)
{
	uint32_t n = 0;

	for (uint32_t i = first; i < last; i++) {
		ret[n] = list->digests[i];
		n += mb_durable_has(d, i);
	}
	return n;
}
