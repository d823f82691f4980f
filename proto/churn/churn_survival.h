/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long what was there at first lasts: survivors over time to a half-life.
 *
 * All enter at time 0 and leave only by being lost, so the Kaplan-Meier estimate of survival is the
 * share that is left. Where that falls to a half while it is watched, the half-life is read off it,
 * between two epochs by a straight line. Else it is ln 2 / rate of an exponential decay, whose
 * rate is losses / time under observation (the estimate of maximum likelihood with what is left at
 * the end censored); who was lost between two epochs counts for half the time between. It is an
 * extrapolation then, and says so.
 */
#ifndef MB_CHURN_SURVIVAL_H
#define MB_CHURN_SURVIVAL_H

#include <stdbool.h>
#include <stdint.h>

enum mb_half_life_how {
	MB_HALF_LIFE_UNKNOWN,  /* there was nothing at first, or nothing was seen of it later */
	MB_HALF_LIFE_OBSERVED, /* half of it was lost while it was watched */
	MB_HALF_LIFE_FITTED,   /* less was: extrapolated */
	MB_HALF_LIFE_NO_LOSS,  /* nothing was lost: longer than can be said */
};

/* "observed" */
const char *mb_half_life_how_name(enum mb_half_life_how how);

struct mb_survival {
	bool begun, halved;
	uint64_t n, left; /* at first; at the last epoch */
	uint64_t at_ns;	  /* of the last epoch */
	double exposure_ns, half_ns;
};

/* Survivors never grow. Epochs in order; the first one is the start. */
void mb_survival_feed(struct mb_survival *s, uint64_t at_ns, uint64_t survivors);

struct mb_half_life {
	enum mb_half_life_how how;
	double ns; /* of OBSERVED and FITTED */
};
struct mb_half_life mb_survival_half_life(const struct mb_survival *s);

#endif
