// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/cut.h"

#include <inttypes.h>
#include <math.h>

#include "proto/base/cleanup.h"

uint32_t mb_cut_bits_for(uint64_t distinct)
{
	uint32_t bits = MB_CUT_BITS_MIN;

	/* A load of 0.29 leaves three in four. */
	while (bits < MB_CUT_BITS_MAX && (double)distinct > 0.29 * ldexp(1, (int)bits))
		bits++;
	return bits;
}

int mb_cut_make(const struct mb_fingerprint *fp, uint32_t bits, uint32_t cut_bits,
		struct mb_fingerprint *ret, struct mb_err *err)
{
	int r = mb_fingerprint_init(ret, fp->n_distinct, 0, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < fp->n_distinct; i++) {
		uint64_t bit = fp->digests[i] >> (bits - cut_bits);

		if (!ret->n_distinct || ret->digests[ret->n_distinct - 1] != bit)
			mb_fingerprint_push(ret, bit, 1);
	}
	mb_fingerprint_trim(ret);
	return 0;
}

/* The bits of one side in order, each once, as far as both sides' samples go. */
struct walk {
	const struct mb_fingerprint *fp;
	uint32_t down, at;
	uint64_t bit, end; /* bit == end: there is none */
};

static void step(struct walk *w)
{
	uint64_t last = w->bit;
	bool first = w->at == 0;

	for (; w->at < w->fp->n_distinct; w->at++) {
		w->bit = w->fp->digests[w->at] >> w->down;
		if (w->bit >= w->end)
			break;
		if (first || w->bit != last) {
			w->at++;
			return;
		}
	}
	w->bit = w->end;
}

static struct walk begin(const struct mb_cut_side *side, uint32_t cut_bits, uint64_t end)
{
	struct walk w = { .fp = side->fp, .down = side->bits - cut_bits, .end = end };

	step(&w);
	return w;
}

int mb_cut_estimate(const struct mb_cut_side *a, const struct mb_cut_side *b, uint32_t cut_bits,
		    uint64_t set_a, uint64_t set_b, uint64_t set_or, struct mb_estimate *ret,
		    struct mb_err *err)
{
	uint32_t shift = MB_MAX(a->shift, b->shift);
	uint64_t m = (uint64_t)1 << cut_bits >> shift;
	double most = (double)MB_MIN(a->distinct, b->distinct), drawn;
	int r;

	if (m < MB_BLOOM_BITS_MIN)
		return mb_fail(err, ERANGE, "%" PRIu64 " bits of a Bloom filter say nothing", m);
	r = mb_bloom_estimate((double)m, 1, (double)(m - set_a), (double)(m - set_b),
			      (double)(m - set_or), ret, err);
	if (r < 0)
		return r;
	/* A part of the space stands for all: its own error and that of the draw. */
	drawn = mb_sample_error(ret->pages, 1, shift);
	ret->pages = MB_MIN(ldexp(ret->pages, (int)shift), most);
	ret->error_pages = MB_MIN(hypot(ldexp(ret->error_pages, (int)shift), drawn), most);
	return 0;
}

int mb_cut_pair(const struct mb_cut_side *a, const struct mb_cut_side *b, uint32_t cut_bits,
		struct mb_estimate *ret, struct mb_err *err)
{
	uint64_t m = (uint64_t)1 << cut_bits >> MB_MAX(a->shift, b->shift);
	uint64_t set_a = 0, set_b = 0, set_or = 0;
	struct walk wa = begin(a, cut_bits, m), wb = begin(b, cut_bits, m);

	while (wa.bit < m || wb.bit < m) {
		bool in_a = wa.bit <= wb.bit, in_b = wb.bit <= wa.bit;

		set_or++;
		set_a += in_a;
		set_b += in_b;
		if (in_a)
			step(&wa);
		if (in_b)
			step(&wb);
	}
	return mb_cut_estimate(a, b, cut_bits, set_a, set_b, set_or, ret, err);
}
