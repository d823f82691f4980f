// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fingerprint and the byte fields of a delta against it, both off the input. What decodes is
 * applied and held against a plain model of what it says; the result is a fingerprint in every
 * respect, and the delta that our own side makes leads to it, too.
 *
 *	flags		bit 0: 48-bit digests; bit 1: the delta is of another base; bits 2 to 5, if
 *any: digests cut to 15 bits and these n, n entries	gap (six bits; all set: 8 bytes more), bit
 *6: copies follow (4 bytes) counts		added, removed, changed: 2 bytes each
 *	lengths		of added, added_copies, removed: 2 bytes each, then these; changed is the
 *rest
 */
#include "proto/base/cleanup.h"
#include "proto/delta.h"
#include "proto/digest.h"
#include "tests/fuzz/util_fuzz.h"

enum {
	OTHER_BITS = 1 << 0,
	OTHER_BASE = 1 << 1,
	CUT_SHIFT = 2,
	LONG_GAP = 0x3f,
	HAS_COPIES = 0x40
};

static void take_base(struct mb_slice *in, uint32_t bits, struct mb_fingerprint *ret)
{
	uint64_t max = mb_digest_max(bits), next = 0;
	size_t n = take(in, 1);
	struct mb_err err = { 0 };

	must_ok(mb_fingerprint_init(ret, n, n, &err), &err);
	for (size_t i = 0; i < n; i++) {
		uint64_t head = take(in, 1), gap = head & LONG_GAP, copies = 1;

		if (gap == LONG_GAP)
			gap = take(in, 8);
		if (head & HAS_COPIES)
			copies = MB_MAX(take(in, 4), 1u);
		if (next > max || gap > max - next ||
		    copies > MB_FINGERPRINT_PAGES_MAX - ret->n_pages)
			break;
		mb_fingerprint_push(ret, next + gap, (uint32_t)copies);
		if (next + gap == UINT64_MAX)
			break;
		next += gap + 1;
	}
}

static void take_fields(struct mb_slice *in, const struct mb_fingerprint *base, bool other,
			struct mb_delta_fields *ret)
{
	*ret = (struct mb_delta_fields){ .base = mb_fingerprint_id(base) };
	if (other) {
		ret->base.distinct = (uint32_t)take(in, 4);
		ret->base.hash.lo ^= 1;
	}
	ret->n_added = (uint32_t)take(in, 2);
	ret->n_removed = (uint32_t)take(in, 2);
	ret->n_changed = (uint32_t)take(in, 2);
	ret->added = take_bytes(in, take(in, 2));
	ret->added_copies = take_bytes(in, take(in, 2));
	ret->removed = take_bytes(in, take(in, 2));
	ret->changed = *in;
}

/* What the decoder promises, whatever the bytes were. */
static void check_decoded(const struct mb_delta *d, const struct mb_delta_fields *f, uint32_t bits)
{
	must(d->n_added == f->n_added && d->n_removed == f->n_removed);
	must(d->n_changed == f->n_changed && d->n_added_multi <= d->n_added);
	for (uint32_t i = 0; i < d->n_added; i++)
		must(d->added[i] <= mb_digest_max(bits) && (!i || d->added[i - 1] < d->added[i]));
	for (uint32_t i = 0; i < d->n_added_multi; i++)
		must(d->added_multi[i].rank < d->n_added && d->added_multi[i].copies >= 2 &&
		     (!i || d->added_multi[i - 1].rank < d->added_multi[i].rank));
	for (uint32_t i = 0; i < d->n_removed; i++)
		must(d->removed[i] < f->base.distinct && (!i || d->removed[i - 1] < d->removed[i]));
	for (uint32_t i = 0; i < d->n_changed; i++)
		must(d->changed[i].rank < f->base.distinct && d->changed[i].copies >= 1 &&
		     (!i || d->changed[i - 1].rank < d->changed[i].rank));
}

struct entry {
	uint64_t digest;
	uint32_t copies; /* 0: removed */
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->digest > y->digest) - (x->digest < y->digest);
}

/*
 * What the delta says, in the plainest way; `to` has room for both. False if it contradicts itself
 * or the base: then it is what comes of not noticing.
 */
static bool model(const struct mb_fingerprint *base, const struct mb_delta *d, struct entry *to,
		  size_t *ret_n)
{
	size_t n = base->n_distinct;
	bool sound = true;
	uint32_t at = 0;

	for (uint32_t i = 0; i < n; i++)
		to[i] = (struct entry){ base->digests[i], mb_fingerprint_copies(base, &at, i) };
	for (uint32_t i = 0; i < d->n_changed; i++)
		to[d->changed[i].rank].copies = d->changed[i].copies;
	for (uint32_t i = 0; i < d->n_removed; i++) {
		for (uint32_t k = 0; k < d->n_changed; k++)
			sound &= d->changed[k].rank != d->removed[i];
		to[d->removed[i]].copies = 0;
	}
	for (uint32_t i = 0; i < d->n_added; i++) {
		for (uint32_t k = 0; k < base->n_distinct; k++)
			sound &= base->digests[k] != d->added[i];
		to[n + i] = (struct entry){ d->added[i], 1 };
	}
	for (uint32_t i = 0; i < d->n_added_multi; i++)
		to[n + d->added_multi[i].rank].copies = d->added_multi[i].copies;
	n += d->n_added;
	qsort(to, n, sizeof(*to), compare_entries);
	*ret_n = n;
	return sound;
}

static struct mb_fingerprint_id model_id(const struct entry *e, size_t n)
{
	struct mb_fingerprint_id id = { 0 };

	for (size_t i = 0; i < n; i++) {
		id.pages += e[i].copies;
		id.distinct += e[i].copies > 0;
		mb_multiset_hash_add(&id.hash, e[i].digest, e[i].copies);
	}
	return id;
}

static void check_same(const struct mb_fingerprint *fp, const struct entry *e, size_t n)
{
	struct mb_fingerprint_id id = model_id(e, n), have = mb_fingerprint_id(fp);
	uint32_t rank = 0, at = 0, multi = 0;

	must(mb_fingerprint_id_equal(&id, &have));
	for (size_t i = 0; i < n; i++) {
		if (!e[i].copies)
			continue;
		must(fp->digests[rank] == e[i].digest);
		must(mb_fingerprint_copies(fp, &at, rank) == e[i].copies);
		must(mb_fingerprint_find(fp, e[i].digest) == e[i].copies);
		multi += e[i].copies > 1;
		rank++;
	}
	must(fp->n_distinct == rank && fp->n_multi == multi);
}

/* The delta that we would have sent leads there, too. */
static void check_own(const struct mb_fingerprint *base, const struct mb_fingerprint *result,
		      uint32_t bits, const struct entry *e, size_t n)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint got = { 0 };
	mb_cleanup(mb_delta_deinit) struct mb_delta made = { 0 }, back = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf buf = { 0 };
	struct mb_delta_fields f;
	struct mb_err err = { 0 };

	must_ok(mb_delta_make(base, result, &made, &err), &err);
	must_ok(mb_delta_encode(&made, bits, &buf, &f, &err), &err);
	must_ok(mb_delta_decode(&f, bits, &back, &err), &err);
	must_ok(mb_delta_apply(base, &back, &got, &err), &err);
	check_same(&got, e, n);
}

static void check_applied(const struct mb_fingerprint *base, struct mb_delta *d, uint32_t bits)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint got = { 0 };
	mb_autofree struct entry *e = calloc((size_t)base->n_distinct + d->n_added + 1, sizeof(*e));
	struct mb_err err = { 0 };
	bool sound;
	size_t n;

	must(e);
	sound = model(base, d, e, &n);
	d->result = model_id(e, n);
	if (!sound) {
		must(mb_delta_apply(base, d, &got, &err) == -EBADMSG && *err.text);
		must(!got.digests && !got.multi);
		return;
	}
	/* No message can name such a result. */
	if (d->result.pages > MB_FINGERPRINT_PAGES_MAX)
		return;
	must_ok(mb_delta_apply(base, d, &got, &err), &err);
	check_same(&got, e, n);
	check_own(base, &got, bits, e, n);
	mb_fingerprint_deinit(&got);
	d->result.hash.hi ^= 1;
	must(mb_delta_apply(base, d, &got, &err) == -EBADMSG && !got.digests);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint base = { 0 }, got = { 0 };
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	struct mb_slice in = { data, n };
	uint64_t flags = take(&in, 1);
	uint32_t cut = flags >> CUT_SHIFT & 0xf;
	uint32_t bits = cut ? 15 + cut : flags & OTHER_BITS ? 48 : 64;
	struct mb_delta_fields f;
	struct mb_err err = { 0 };
	int r;

	take_base(&in, bits, &base);
	take_fields(&in, &base, flags & OTHER_BASE, &f);
	r = mb_delta_decode(&f, bits, &d, &err);
	if (r < 0) {
		must_fail(r, &err);
		return 0;
	}
	check_decoded(&d, &f, bits);
	if (flags & OTHER_BASE)
		must(mb_delta_apply(&base, &d, &got, &err) == -ESTALE && !got.digests);
	else
		check_applied(&base, &d, bits);
	return 0;
}
