// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fpref.h"

#include <stdlib.h>
#include <string.h>

#include "server/fpref_inside.h"

struct mb_fpref *mb_fpref_new(struct mb_fingerprint *fp)
{
	struct mb_fpref *ref = calloc(1, sizeof(*ref));

	if (!ref)
		return NULL;
	atomic_init(&ref->refs, 1);
	ref->id = mb_fingerprint_id(fp);
	ref->fp = *fp;
	*fp = (struct mb_fingerprint){ 0 };
	return ref;
}

struct mb_fpref *mb_fpref_get(struct mb_fpref *ref)
{
	if (ref)
		atomic_fetch_add_explicit(&ref->refs, 1, memory_order_relaxed);
	return ref;
}

void mb_fpref_put(struct mb_fpref *ref)
{
	if (!ref || atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) != 1)
		return;
	mb_fpref_put(ref->before);
	mb_durable_deinit(&ref->durable);
	mb_fingerprint_deinit(&ref->fp);
	free(ref->sample);
	free(ref);
}

struct mb_fingerprint_id mb_fpref_id(const struct mb_fpref *ref)
{
	return ref ? ref->id : (struct mb_fingerprint_id){ 0 };
}

bool mb_fpref_is_paged_out(const struct mb_fpref *ref)
{
	return ref && ref->paged_out;
}

const struct mb_fingerprint *mb_fpref_fingerprint(const struct mb_fpref *ref)
{
	static const struct mb_fingerprint empty;

	return !ref ? &empty : ref->paged_out ? NULL : &ref->fp;
}

const struct mb_durable *mb_fpref_durable(const struct mb_fpref *ref)
{
	return ref && ref->has_durable ? &ref->durable : NULL;
}

/* Digests up to `max`. */
static uint32_t count_up_to(const uint64_t *digests, uint32_t n, uint64_t max)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (digests[mid] <= max)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct mb_kept_list mb_fpref_list(const struct mb_fpref *ref, uint64_t max, bool lasting)
{
	struct mb_kept_list ret = { 0 };

	if (!ref)
		return ret;
	ret.list.digests = ref->paged_out ? ref->sample : ref->fp.digests;
	ret.list.n = count_up_to(ret.list.digests,
				 ref->paged_out ? ref->n_sample : ref->fp.n_distinct, max);
	/* Bits are by rank, and the sample's ranks are the same. */
	if (lasting && ref->has_durable && !ref->durable.whole)
		ret.keep = ref->durable.old;
	return ret;
}

size_t mb_fpref_bytes(const struct mb_fpref *ref)
{
	if (!ref)
		return 0;
	return sizeof(*ref) + mb_fingerprint_bytes(&ref->fp) +
	       ref->n_sample * sizeof(*ref->sample) + mb_durable_bytes(&ref->durable);
}

struct mb_fpref *mb_fpref_page_out(const struct mb_fpref *ref, uint64_t max)
{
	struct mb_digest_list left = mb_fpref_list(ref, max, false).list;
	struct mb_fpref *out = calloc(1, sizeof(*out));

	if (!out)
		return NULL;
	atomic_init(&out->refs, 1);
	out->id = ref->id;
	out->paged_out = true;
	out->seen_ns = ref->seen_ns;
	out->n_sample = left.n;
	out->sample = malloc(((size_t)left.n + 1) * sizeof(*out->sample));
	out->has_durable = ref->has_durable;
	if (!out->sample || mb_durable_copy(&out->durable, &ref->durable, NULL) < 0) {
		mb_fpref_put(out);
		return NULL;
	}
	if (left.n)
		memcpy(out->sample, left.digests, left.n * sizeof(*out->sample));
	return out;
}

int mb_fpref_page_in(const struct mb_fpref *ref, struct mb_fingerprint *fp, struct mb_fpref **ret,
		     struct mb_err *err)
{
	struct mb_fingerprint_id id = mb_fingerprint_id(fp);
	struct mb_durable durable = { 0 };
	int r;

	if (!mb_fingerprint_id_equal(&id, &ref->id))
		return mb_fail(err, ESTALE, "it is not the fingerprint that was paged out");
	r = mb_durable_copy(&durable, &ref->durable, err);
	if (r < 0)
		return r;
	*ret = mb_fpref_new(fp);
	if (!*ret) {
		mb_durable_deinit(&durable);
		return mb_fail_mem(err, "a fingerprint");
	}
	(*ret)->seen_ns = ref->seen_ns;
	(*ret)->has_durable = ref->has_durable;
	(*ret)->durable = durable;
	return 0;
}
