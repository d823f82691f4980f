// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/sample.h"

#include <inttypes.h>
#include <math.h>

#include "proto/base/cleanup.h"

/* Of the normal distribution: 95 % are within so many standard deviations. */
static const double z = 1.959964;

uint32_t mb_sample_light(const uint64_t *digests, uint32_t n, uint64_t last)
{
	uint32_t first = 0;

	while (n) {
		uint32_t half = n / 2;

		if (digests[first + half] <= last) {
			first += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return first;
}

int mb_sample_make(const struct mb_fingerprint *fp, uint32_t bits, uint32_t shift,
		   struct mb_fingerprint *ret, struct mb_err *err)
{
	uint32_t light = mb_sample_light(fp->digests, fp->n_distinct, mb_sample_last(bits, shift));
	uint32_t at = 0, multi = 0, heavy = 0;
	int r;

	for (uint32_t i = 0; i < fp->n_multi; i++) {
		bool is_heavy = fp->multi[i].copies >= MB_SAMPLE_HEAVY_COPIES;

		multi += fp->multi[i].rank < light;
		heavy += fp->multi[i].rank >= light && is_heavy;
	}
	r = mb_fingerprint_init(ret, (size_t)light + heavy, (size_t)multi + heavy, err);
	if (r < 0)
		return r;
	for (uint32_t rank = 0; rank < light; rank++)
		mb_fingerprint_push(ret, fp->digests[rank], mb_fingerprint_copies(fp, &at, rank));
	for (uint32_t i = multi; i < fp->n_multi; i++)
		if (fp->multi[i].copies >= MB_SAMPLE_HEAVY_COPIES)
			mb_fingerprint_push(ret, fp->digests[fp->multi[i].rank],
					    fp->multi[i].copies);
	return 0;
}

struct mb_sample_of mb_sample_of(const struct mb_fingerprint *whole, uint64_t zero_digest,
				 uint32_t shift)
{
	return (struct mb_sample_of){ .shift = shift,
				      .pages = whole->n_pages,
				      .distinct = whole->n_distinct,
				      .zero = mb_fingerprint_find(whole, zero_digest) };
}

static int check_digests(const struct mb_fingerprint *sample, uint32_t light, uint32_t shift,
			 struct mb_err *err)
{
	uint32_t at = 0;

	for (uint32_t rank = light; rank < sample->n_distinct; rank++) {
		uint32_t copies = mb_fingerprint_copies(sample, &at, rank);

		if (copies < MB_SAMPLE_HEAVY_COPIES)
			return mb_fail(err, EBADMSG,
				       "digest %016" PRIx64 " with %" PRIu32
				       " copies is in no sample of 1 in %u",
				       sample->digests[rank], copies, 1u << shift);
	}
	return 0;
}

int mb_sample_check(const struct mb_fingerprint *sample, const struct mb_sample_of *of,
		    uint32_t bits, uint64_t zero_digest, struct mb_err *err)
{
	uint64_t last = mb_sample_last(bits, of->shift);
	uint32_t light = mb_sample_light(sample->digests, sample->n_distinct, last);
	uint32_t zero = mb_fingerprint_find(sample, zero_digest);
	bool seen = zero_digest <= last || of->zero >= MB_SAMPLE_HEAVY_COPIES;

	if (of->distinct < sample->n_distinct || of->pages < sample->n_pages ||
	    of->pages - sample->n_pages < of->distinct - sample->n_distinct)
		return mb_fail(err, EBADMSG,
			       "a sample of %" PRIu64 " pages, %" PRIu32 " distinct, of %" PRIu64
			       ", %" PRIu32 " distinct",
			       sample->n_pages, sample->n_distinct, of->pages, of->distinct);
	/* Each copy but one is a page beyond the distinct ones. */
	if (zero != (seen ? of->zero : 0) || (of->zero && of->zero - 1 > of->pages - of->distinct))
		return mb_fail(err, EBADMSG, "a sample with %" PRIu32 " zero pages, of %" PRIu32,
			       zero, of->zero);
	return check_digests(sample, light, of->shift, err);
}

void mb_sample_self_sharing(const struct mb_sample_of *of, struct mb_self_sharing *ret)
{
	*ret = (struct mb_self_sharing){
		.pages = of->pages,
		.distinct = of->distinct,
		.zero = of->zero,
		.self = of->pages - of->distinct,
		.self_nonzero = of->pages - of->distinct - (of->zero ? of->zero - 1 : 0),
	};
}

/* Copies of a digest before and after, 0: not seen. */
static void add_change(uint32_t before, uint32_t after, bool is_light, uint32_t shift,
		       uint64_t *gained, uint64_t *lost)
{
	const uint32_t unseen = is_light ? 0 : MB_SAMPLE_HEAVY_COPIES - 1;
	bool heavy = MB_MAX(before, after) >= MB_SAMPLE_HEAVY_COPIES;
	uint32_t times = heavy ? 0 : shift;

	before = before ? before : unseen;
	after = after ? after : unseen;
	if (after > before)
		*gained += (uint64_t)(after - before) << times;
	else
		*lost += (uint64_t)(before - after) << times;
}

void mb_sample_change(const struct mb_fingerprint *from, const struct mb_fingerprint *to,
		      uint32_t bits, uint32_t shift, uint64_t *ret_gained, uint64_t *ret_lost)
{
	uint64_t last = mb_sample_last(bits, shift);
	uint32_t i = 0, j = 0, at_from = 0, at_to = 0;

	*ret_gained = *ret_lost = 0;
	while (i < from->n_distinct || j < to->n_distinct) {
		uint64_t a = i < from->n_distinct ? from->digests[i] : UINT64_MAX;
		uint64_t b = j < to->n_distinct ? to->digests[j] : UINT64_MAX;
		bool in_a = i < from->n_distinct && (a <= b || j == to->n_distinct);
		bool in_b = j < to->n_distinct && (b <= a || i == from->n_distinct);
		uint32_t before = in_a ? mb_fingerprint_copies(from, &at_from, i++) : 0;
		uint32_t after = in_b ? mb_fingerprint_copies(to, &at_to, j++) : 0;

		add_change(before, after, MB_MIN(a, b) <= last, shift, ret_gained, ret_lost);
	}
}

double mb_sample_error(double squares, double largest, uint32_t shift)
{
	double rate = ldexp(1, -(int)shift), spread = z * z * (1 - rate) * largest;

	return (spread / 2 + sqrt(z * z * (1 - rate) * squares + spread * spread / 4)) / rate;
}

struct mb_estimate mb_sample_count(uint64_t n, uint32_t shift)
{
	return (struct mb_estimate){ ldexp((double)n, (int)shift),
				     mb_sample_error((double)n, 1, shift) };
}

struct mb_estimate mb_sample_part(uint64_t n, uint64_t light, uint64_t distinct, uint32_t shift)
{
	double part = light ? (double)n / (double)light : 0;
	double error = mb_sample_error((double)n * (1 - part), 1, shift);

	return (struct mb_estimate){ part * (double)distinct, MB_MIN(error, (double)distinct) };
}

struct mb_estimate mb_sample_pair(struct mb_sample_size a, struct mb_sample_size b, uint64_t both,
				  uint32_t shift)
{
	double light = (double)a.light + (double)b.light;
	double distinct = (double)a.distinct + (double)b.distinct;
	double most = (double)MB_MIN(a.distinct, b.distinct);
	/* Of the sample, the share that both have: 0 to a half. */
	double part = light > 0 ? (double)both / light : 0;
	/* Shared digests are off by 1 - 2 part, the others, light - 2 both, by part. */
	double squares = (double)both * (1 - part) * (1 - 2 * part);
	double pages = shift ? part * distinct : (double)both;

	return (struct mb_estimate){ MB_MIN(pages, most),
				     MB_MIN(mb_sample_error(MB_MAX(squares, 0), 1, shift), most) };
}
