// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pace.h"

#include <stdio.h>

/* A pass that takes as long as the interval leaves an eighth of its time for all else. */
static uint64_t by_time(uint64_t pass_ns)
{
	return pass_ns + pass_ns / 8;
}

static uint64_t by_budget(const struct mb_pace *p, uint64_t cost_ns)
{
	return p->budget > 0 ? (uint64_t)((double)cost_ns / p->budget) : 0;
}

/* By a quarter: small changes are not news. */
static bool is_news(uint64_t a, uint64_t b)
{
	return a > b + b / 4 || b > a + a / 4;
}

bool mb_pace_epoch(struct mb_pace *p, uint64_t start_ns, uint64_t end_ns, uint64_t cost_ns)
{
	uint64_t least = by_time(end_ns - start_ns), budget = by_budget(p, cost_ns);
	bool news;

	if (budget > least)
		least = budget;
	p->wait_ns = least > p->interval_ns ? least : p->interval_ns;
	p->next_ns = start_ns + p->wait_ns;
	if (!p->told_ns)
		p->told_ns = p->interval_ns;
	/* Who asked for no pause is not told that there is none. */
	news = is_news(p->wait_ns, p->told_ns) && (p->interval_ns || budget == p->wait_ns);
	if (news)
		p->told_ns = p->wait_ns;
	return news;
}

void mb_pace_say(const struct mb_pace *p, uint64_t pass_ns, uint64_t cost_ns, char *ret,
		 size_t size)
{
	double wait_s = (double)p->wait_ns / 1e9;

	if (p->wait_ns == p->interval_ns)
		snprintf(ret, size, "epochs are %.1f s apart again, as --interval says", wait_s);
	else if (by_budget(p, cost_ns) == p->wait_ns)
		snprintf(ret, size,
			 "an epoch costs %.0f ms of CPU time: epochs are %.1f s apart to stay "
			 "within %g %% of a core (--budget)",
			 (double)cost_ns / 1e6, wait_s, p->budget * 100);
	else
		snprintf(ret, size,
			 "a pass takes %.1f s, too long for --interval: epochs are %.1f s apart",
			 (double)pass_ns / 1e9, wait_s);
}
