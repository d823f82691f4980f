// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/small.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/cut.h"

int mb_small_make(const struct mb_fingerprint *whole, const struct mb_identity *id,
		  const struct mb_sample_of *how, struct mb_fingerprint *ret,
		  struct mb_sample_of *ret_of, struct mb_err *err)
{
	*ret_of = mb_sample_of(whole, id->zero_digest, how->shift);
	ret_of->cut_bits = how->cut_bits;
	if (how->cut_bits)
		return mb_cut_make(whole, id->bits, how->cut_bits, ret, err);
	return mb_sample_make(whole, id->bits, how->shift, ret, err);
}

int mb_small_check(const struct mb_fingerprint *fp, const struct mb_sample_of *of,
		   const struct mb_identity *id, struct mb_err *err)
{
	if (mb_small_is_all(of))
		return 0;
	if (of->shift)
		return mb_sample_check(fp, of, id->bits, id->zero_digest, err);
	if (fp->n_multi)
		return mb_fail(err, EBADMSG, "cut digest %" PRIx64 " has %" PRIu32 " copies",
			       fp->digests[fp->multi[0].rank], fp->multi[0].copies);
	if (of->distinct < fp->n_distinct)
		return mb_fail(err, EBADMSG, "%" PRIu32 " cut digests, of %" PRIu32, fp->n_distinct,
			       of->distinct);
	if (of->zero && of->zero - 1 > of->pages - of->distinct)
		return mb_fail(err, EBADMSG,
			       "%" PRIu32 " zero pages of %" PRIu64 ", %" PRIu32 " distinct",
			       of->zero, of->pages, of->distinct);
	return 0;
}

void mb_small_change(const struct mb_fingerprint *from, const struct mb_sample_of *from_of,
		     const struct mb_fingerprint *to, const struct mb_sample_of *to_of,
		     uint32_t bits, uint64_t *ret_gained, uint64_t *ret_lost)
{
	struct mb_cut_side a = { from, to_of->cut_bits, 0, from_of->distinct };
	struct mb_cut_side b = { to, to_of->cut_bits, 0, to_of->distinct };
	struct mb_estimate e;

	*ret_gained = *ret_lost = 0;
	if (!to_of->cut_bits) {
		mb_sample_change(from, to, bits, to_of->shift, ret_gained, ret_lost);
	} else if (mb_cut_pair(&a, &b, to_of->cut_bits, &e, NULL) == 0) {
		*ret_gained = (uint64_t)((double)to_of->distinct - e.pages + 0.5);
		*ret_lost = (uint64_t)((double)from_of->distinct - e.pages + 0.5);
	}
}

void mb_small_text(const struct mb_sample_of *of, char ret[MB_SMALL_TEXT])
{
	if (of->cut_bits)
		snprintf(ret, MB_SMALL_TEXT, "digests cut to %" PRIu32 " bits", of->cut_bits);
	else if (of->shift)
		snprintf(ret, MB_SMALL_TEXT, "a sample of 1 in %u", 1u << of->shift);
	else
		snprintf(ret, MB_SMALL_TEXT, "all");
}
