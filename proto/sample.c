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

int mb_sample_check(const struct mb_fingerprint *fp, uint32_t bits, uint32_t shift,
		    struct mb_err *err)
{
	uint32_t light = mb_sample_light(fp->digests, fp->n_distinct, mb_sample_last(bits, shift));
	uint32_t at = 0;

	for (uint32_t rank = light; rank < fp->n_distinct; rank++) {
		uint32_t copies = mb_fingerprint_copies(fp, &at, rank);

		if (copies < MB_SAMPLE_HEAVY_COPIES)
			return mb_fail(err, EBADMSG,
				       "digest %016" PRIx64 " with %" PRIu32
				       " copies is in no sample of 1 in %u",
				       fp->digests[rank], copies, 1u << shift);
	}
	return 0;
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
