// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/plan/error.h"

struct text {
	char *at;
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at + t->len, MB_EXPLAIN_BYTES - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = MB_MIN(t->len + (size_t)n, (size_t)MB_EXPLAIN_BYTES - 1);
}

/* Whom a detour, or a move to make room, makes room for: the next that comes to where it was. */
static const char *makes_room_for(const struct mb_fleet_view *fleet, const struct mb_plan *plan,
				  size_t i)
{
	for (size_t k = i + 1; k < plan->n_moves; k++)
		if (plan->moves[k].feasible && plan->moves[k].to == plan->moves[i].from)
			return fleet->vms[plan->moves[k].vm].name;
	return NULL;
}

static void say_why(struct text *t, const struct mb_fleet_view *fleet, const struct mb_plan *plan,
		    size_t i)
{
	const struct mb_move *m = &plan->moves[i];
	const char *from = m->from == MB_NOWHERE ? NULL : fleet->hosts[m->from].name;
	const char *other;

	switch (m->why) {
	case MB_WHY_PLACE:
		say(t, "runs nowhere yet");
		break;
	case MB_WHY_RULE:
		say(t, "breaks a rule on \"%.60s\", or has no room there", from);
		break;
	case MB_WHY_EMPTY:
		say(t, "empties \"%.60s\"", from);
		break;
	case MB_WHY_RELIEVE:
		say(t, "relieves \"%.60s\"", from);
		break;
	case MB_WHY_TOGETHER:
		say(t, "goes where its affinity group goes");
		break;
	case MB_WHY_ROOM:
		other = makes_room_for(fleet, plan, i);
		say(t, m->detour ? "steps aside to make room" : "makes room");
		if (other)
			say(t, " for \"%.60s\"", other);
		break;
	case MB_WHY_GAIN:
		say(t, "saves memory there");
		break;
	}
}

void mb_plan_explain(const struct mb_fleet_view *fleet, const struct mb_plan *plan, size_t i,
		     char ret[MB_EXPLAIN_BYTES])
{
	const struct mb_move *m = &plan->moves[i];
	uint32_t shift = fleet->vms[m->vm].sample_shift;
	bool saves = m->gain_pages >= 0;
	uint64_t gain = saves ? (uint64_t)m->gain_pages : -(uint64_t)m->gain_pages;
	/* A digest counts once: it is there, and it was shared where the VM came from. */
	uint64_t left = m->there_pages + (saves ? 0 : gain);
	struct text t = { ret, 0 };
	char mb[MB_PLAN_MB_BYTES];

	*ret = 0;
	if (saves)
		left -= MB_MIN(gain, left);
	if (!m->feasible)
		say(&t,
		    "cannot be made: no room for its full size on \"%.60s\" when its turn comes, "
		    "or a rule forbids it; it ",
		    fleet->hosts[m->to].name);
	say_why(&t, fleet, plan, i);
	if (m->with != MB_NOWHERE) {
		mb_plan_mb(m->there_pages, mb_plan_count_error(m->there_pages, shift), mb);
		say(&t, ": %s of its pages are there already, most of them in \"%.60s\"", mb,
		    fleet->vms[m->with].name);
	}
	mb_plan_mb(gain, mb_plan_count_error(m->there_pages + left, shift), mb);
	say(&t, "; %s %s", saves ? "saves" : "gives up", mb);
	if (m->from == MB_NOWHERE)
		return;
	say(&t, "; copies %llu MB in about %llu s", (unsigned long long)m->copy_mb,
	    (unsigned long long)m->time_s);
	if (!m->converges)
		say(&t, ", but dirties memory faster than the link copies it");
}
