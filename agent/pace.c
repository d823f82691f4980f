// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pace.h"

#include <stdio.h>

#include "proto/base/cleanup.h"

#define WAIT_MAX_NS (365 * 86400 * 1e9)

/* A pass that takes as long as the interval leaves an eighth of its time for all else. */
static uint64_t by_time(uint64_t pass_ns)
{
	pass_ns = MB_MIN(pass_ns, (uint64_t)WAIT_MAX_NS);
	return pass_ns + pass_ns / 8;
}

/* Takes the epoch's cost to the books. True: there was a debt already, beyond an interval's. */
static bool charge(struct mb_pace *p, uint64_t start_ns, uint64_t cost_ns)
{
	double interval = p->budget * (double)p->interval_ns;
	bool owed;

	if (p->begun && start_ns > p->start_ns)
		p->debt_ns -= p->budget * (double)(start_ns - p->start_ns);
	p->debt_ns = MB_MAX(p->debt_ns, -MB_PACE_INTERVALS * interval);
	p->begun = true;
	p->start_ns = start_ns;
	owed = p->debt_ns > interval;
	p->debt_ns += (double)cost_ns;
	return owed;
}

/*
 * Waits that pay for less than an epoch costs, one after the other, let the debt grow: so they
 * double until they do not, and come down slowly once all is paid.
 */
static void set_most(struct mb_pace *p, bool owed, uint64_t cost_ns)
{
	if (owed && (double)cost_ns > p->most_ns * p->budget)
		p->most_ns *= 2;
	else if (!owed)
		p->most_ns -= p->most_ns / 16;
	p->most_ns = MB_MAX(p->most_ns, (double)MB_PACE_INTERVALS * (double)p->interval_ns);
	p->most_ns = MB_MIN(p->most_ns, WAIT_MAX_NS);
}

/* Without an interval there is none to be kept to: all is paid at once. */
static uint64_t by_budget(const struct mb_pace *p)
{
	double wait_ns = p->debt_ns > 0 ? p->debt_ns / p->budget : 0;

	return (uint64_t)(MB_MIN(wait_ns, p->interval_ns ? p->most_ns : WAIT_MAX_NS) + .5);
}

/* By a quarter: small changes are not news. */
static bool is_news(uint64_t a, uint64_t b)
{
	return a > b + b / 4 || b > a + a / 4;
}

enum mb_pace_news mb_pace_epoch(struct mb_pace *p, uint64_t start_ns, uint64_t end_ns,
				uint64_t cost_ns)
{
	uint64_t time = by_time(end_ns > start_ns ? end_ns - start_ns : 0), budget = 0;
	enum mb_pace_news ret;

	if (p->budget > 0) {
		set_most(p, charge(p, start_ns, cost_ns), cost_ns);
		budget = by_budget(p);
	}
	p->wait_ns = MB_MAX(p->interval_ns, MB_MAX(time, budget));
	p->by_budget = p->wait_ns > p->interval_ns && p->wait_ns == budget;
	p->next_ns = start_ns + MB_MIN(p->wait_ns, UINT64_MAX - start_ns);
	if (!p->told_ns)
		p->told_ns = p->interval_ns;
	/* Who asked for no pause is not told that there is none. */
	if (!is_news(p->wait_ns, p->told_ns) || (!p->interval_ns && !p->by_budget))
		return MB_PACE_NO_NEWS;
	ret = p->wait_ns > p->told_ns ? MB_PACE_LONGER : MB_PACE_SHORTER;
	p->told_ns = p->wait_ns;
	return ret;
}

void mb_pace_say(const struct mb_pace *p, uint64_t pass_ns, uint64_t cost_ns, char *ret,
		 size_t size)
{
	double wait_s = (double)p->wait_ns / 1e9;

	if (p->wait_ns == p->interval_ns)
		snprintf(ret, size, "epochs are %.1f s apart again, as --interval says", wait_s);
	else if (p->by_budget)
		snprintf(ret, size,
			 "an epoch took %.0f ms of CPU time, %.0f ms are to be made up for: epochs "
			 "are %.1f s apart to stay within %g %% of a core (--budget)",
			 (double)cost_ns / 1e6, p->debt_ns / 1e6, wait_s, p->budget * 100);
	else
		snprintf(ret, size,
			 "a pass takes %.1f s, too long for --interval: epochs are %.1f s apart",
			 (double)pass_ns / 1e9, wait_s);
}
