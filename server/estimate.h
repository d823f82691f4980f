/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures from a sample of the digests, and how far they may be off.
 *
 * The sample of a VM are its digests up to a threshold: one in 2^shift of all there can be. Digests
 * are hashes, so each distinct one is in the sample of all VMs that have it, or of none, with
 * p = 2^-shift. A figure that is a sum over distinct digests, X = sum of x(d), is estimated by
 *
 *	X' = 1/p * sum of x(d) over the digests of the sample
 *
 * whose variance is (1 - p)/p * sum of x(d)^2. What is reported as its error bounds |X - X'| with
 * 95 % confidence (z = 1.96), as the score interval for a rate does: also where the sample has
 * little or nothing of what is asked for.
 *
 *	error = ( z * sqrt((1 - p) * S + m^2 z^2 / 4) + m * z^2 / 2 ) / p
 *	S = sum of x(d)^2 over the sample, m = the largest |x(d)| that there can be
 *
 * Pages, zero pages, self-sharing and distinct digests of a VM are no estimates: they are counted
 * when its fingerprint comes. So copies inside a VM, of which the zero page has most, never weigh
 * in a sample; figures here count a digest once per VM.
 */
#ifndef MB_SERVER_ESTIMATE_H
#define MB_SERVER_ESTIMATE_H

#include <stdint.h>

#include "proto/sample.h"
#include "server/groups.h"

/* What is left of fingerprints that are paged out: one in 16 at least, one in 4096 at most. */
enum { MB_PAGED_SHIFT_MIN = 4, MB_PAGED_SHIFT_MAX = 12 };

/*
 * `squares`: S, but of figures as estimated, thus S / p. Shift 0 is no sample: 0. Rounded up.
 */
uint64_t mb_estimate_error(double squares, uint64_t largest, unsigned int shift);

/*
 * Groups of a sample become those of all digests: weights times 2^shift; where a VM, or a set of
 * VMs, would then have more pages than it has distinct digests (by VM), they are cut down to that.
 */
int mb_estimate_groups(struct mb_groups *g, unsigned int shift, const uint64_t *distinct,
		       uint32_t n_vms, struct mb_err *err);

/*
 * The error of what a placement saves between VMs, over all hosts: sum of weight * (members on the
 * host - 1). host[i] is VM i's host, >= n_hosts: none. To ret[0, n_hosts) of each host, and the
 * error of their sum. With `before` it is that of the difference of two placements.
 */
int mb_estimate_saving_errors(const struct mb_groups *g, unsigned int shift, const uint32_t *host,
			      const uint32_t *before, uint32_t n_vms, uint32_t n_hosts,
			      uint64_t *ret, uint64_t *ret_sum, struct mb_err *err);

#endif
