// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_survival.h"

static const double LN_2 = 0.69314718055994530942;

const char *mb_half_life_how_name(enum mb_half_life_how how)
{
	static const char *const names[] = { "unknown", "observed", "fitted", "no loss" };

	return names[how];
}

void mb_survival_feed(struct mb_survival *s, uint64_t at_ns, uint64_t survivors)
{
	double before = (double)s->left, now = (double)survivors, half = (double)s->n / 2, passed;

	if (!s->begun) {
		*s = (struct mb_survival){
			.begun = true, .n = survivors, .left = survivors, .at_ns = at_ns
		};
		return;
	}
	passed = (double)(at_ns - s->at_ns);
	s->exposure_ns += (now + (before - now) / 2) * passed;
	if (!s->halved && s->n && now <= half) {
		s->halved = true;
		s->half_ns = (double)s->at_ns + passed * (before - half) / (before - now);
	}
	s->left = survivors;
	s->at_ns = at_ns;
}

struct mb_half_life mb_survival_half_life(const struct mb_survival *s)
{
	uint64_t losses = s->n - s->left;

	if (!s->n || s->exposure_ns <= 0)
		return (struct mb_half_life){ .how = MB_HALF_LIFE_UNKNOWN };
	if (s->halved)
		return (struct mb_half_life){ MB_HALF_LIFE_OBSERVED, s->half_ns };
	if (!losses)
		return (struct mb_half_life){ .how = MB_HALF_LIFE_NO_LOSS };
	return (struct mb_half_life){ MB_HALF_LIFE_FITTED, LN_2 * s->exposure_ns / (double)losses };
}
