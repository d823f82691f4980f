// SPDX-License-Identifier: GPL-2.0-or-later
/* What is due: which waiting move may begin, and what is to be asked about those that run. */
#include <inttypes.h>

#include "proto/base/cleanup.h"
#include "server/execution_inside.h"

/* --- those that wait -------------------------------------------------------------------------- */

/* The earliest move that must be done before move i begins and is not; MB_NOWHERE: none. */
static uint32_t blocker(struct mb_execution *x, uint32_t i)
{
	const struct mb_execution_move *m = &x->moves[i];
	struct mb_execution_host *to = &x->hosts[m->to];

	if (m->same != MB_NOWHERE && x->moves[m->same].state != MB_MOVE_DONE)
		return m->same;
	while (to->left < to->n_leaving &&
	       x->moves[x->leaving[to->first_leaving + to->left]].state == MB_MOVE_DONE)
		to->left++;
	if (to->left < to->n_leaving && x->leaving[to->first_leaving + to->left] < i)
		return x->leaving[to->first_leaving + to->left];
	return MB_NOWHERE;
}

/* Sharing counts as room there: nothing overtakes, and what came last has merged. */
static bool its_turn(struct mb_execution *x, uint32_t i, uint64_t now_ms)
{
	const struct mb_execution_host *to = &x->hosts[x->moves[i].to];

	if (!to->in_order)
		return true;
	for (uint32_t j = x->first_open; j < i; j++)
		if (!mb_move_has_ended(&x->moves[j]) && x->moves[j].to == x->moves[i].to)
			return false;
	if (to->merged_ms <= now_ms)
		return true;
	x->scan_due_ms = MB_MIN(x->scan_due_ms, to->merged_ms);
	return false;
}

static bool slots_free(const struct mb_execution *x, const struct mb_execution_move *m)
{
	uint32_t max = x->options.per_host_max;

	return (!x->options.total_max || x->n_active < x->options.total_max) &&
	       x->hosts[m->to].n_busy < max &&
	       (m->from == MB_NOWHERE || x->hosts[m->from].n_busy < max);
}

static void begin(struct mb_execution *x, uint32_t i, uint64_t now_ms)
{
	struct mb_execution_move *m = &x->moves[i];
	uint32_t k = x->n_active++;

	for (; k > 0 && x->active[k - 1] > i; k--)
		x->active[k] = x->active[k - 1];
	x->active[k] = i;
	x->hosts[m->to].n_busy++;
	if (m->from != MB_NOWHERE)
		x->hosts[m->from].n_busy++;
	x->hosts[m->to].used_mb += m->memory_mb;
	m->holds_to = true;
	m->state = MB_MOVE_RUNNING;
	m->next = MB_NEXT_LOCATE;
	m->due_ms = now_ms;
	m->looks = m->absences = 0;
	x->changed = true;
}

/* Never tried: skipped; tried and to be tried again: that was the last time. */
static void drop(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	mb_execution_end_move(x, m, m->tries ? MB_MOVE_FAILED : MB_MOVE_SKIPPED, now_ms);
}

/*
 * Not by this plan's doing: what leaves the host first has left. Somebody put a VM there by hand.
 */
static void drop_for_room(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	const struct mb_execution_host *to = &x->hosts[m->to];

	mb_execution_release(x, m);
	mb_execution_reason(
		m, "host %.60s has no room any more: %" PRIu64 " of %" PRIu64 " MB are taken",
		to->name, to->used_mb, to->limit_mb);
	drop(x, m, now_ms);
}

/* Has it left, or may it have, or will it be tried again? Else: does it stay? */
static void ask_of_group(const struct mb_execution_move *m, bool *gone, bool *stays)
{
	bool ended = mb_move_has_ended(m);

	if (m->state == MB_MOVE_DONE || m->state == MB_MOVE_LOST ||
	    (!ended && (m->state == MB_MOVE_RUNNING || m->tries)))
		*gone = true;
	else
		*stays |= ended;
}

/*
 * One of its group stays where it was, and none has left: then they are together only if all stay.
 * Moves of one group stand side by side (server/plan/moves.h).
 */
static bool group_stays(const struct mb_execution *x, uint32_t i)
{
	uint32_t group = x->moves[i].group;
	bool stays = false, gone = false;

	for (uint32_t j = i; group && j-- > 0 && x->moves[j].group == group;)
		ask_of_group(&x->moves[j], &gone, &stays);
	for (uint32_t j = i + 1; group && j < x->n_moves && x->moves[j].group == group; j++)
		ask_of_group(&x->moves[j], &gone, &stays);
	return stays && !gone;
}

static void consider(struct mb_execution *x, uint32_t i, uint64_t now_ms)
{
	struct mb_execution_move *m = &x->moves[i];
	const struct mb_execution_host *to = &x->hosts[m->to];
	uint32_t b = blocker(x, i);

	if (b != MB_NOWHERE) {
		if (!mb_move_has_ended(&x->moves[b]))
			return;
		mb_execution_reason(m, "waits for move %" PRIu32 ", VM %.60s, which is %s", b + 1,
				    x->moves[b].vm, mb_move_state_name(x->moves[b].state));
		drop(x, m, now_ms);
	} else if (!m->tries && group_stays(x, i)) {
		mb_execution_reason(m, "another VM that it must be with stays on host %.60s",
				    m->from == MB_NOWHERE ? "-" : x->hosts[m->from].name);
		drop(x, m, now_ms);
	} else if (!m->tries && to->troubles >= x->options.trouble_max) {
		mb_execution_reason(
			m, "host %.60s is in trouble: the last %" PRIu32 " moves to it failed",
			to->name, to->troubles);
		drop(x, m, now_ms);
	} else if (m->due_ms > now_ms) {
		x->scan_due_ms = MB_MIN(x->scan_due_ms, m->due_ms);
	} else if (slots_free(x, m) && its_turn(x, i, now_ms)) {
		if (to->used_mb <= to->limit_mb && m->memory_mb <= to->limit_mb - to->used_mb)
			begin(x, i, now_ms);
		else
			drop_for_room(x, m, now_ms);
	}
}

/* In the plan's order, so that what a skipped move takes along is seen in the same round. */
static void consider_all(struct mb_execution *x, uint64_t now_ms)
{
	if (!x->scan && now_ms < x->scan_due_ms)
		return;
	x->scan = false;
	x->scan_due_ms = UINT64_MAX;
	while (x->first_open < x->n_moves && mb_move_has_ended(&x->moves[x->first_open]))
		x->first_open++;
	for (uint32_t i = x->first_open; i < x->n_moves; i++) {
		struct mb_execution_move *m = &x->moves[i];

		if (mb_move_has_ended(m) || m->state != MB_MOVE_WAITING)
			continue;
		/* The wall clock was set back: nothing waits longer than it may. */
		m->due_ms = MB_MIN(m->due_ms, now_ms + x->options.backoff_max_ms);
		consider(x, i, now_ms);
	}
}

/* --- those that run --------------------------------------------------------------------------- */

/* The move's state becomes what it is once the order was carried out; the answer may correct it. */
static enum mb_order_kind ask(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	uint64_t poll_at = now_ms + x->options.poll_ms;

	m->asked = true;
	switch (m->next) {
	case MB_NEXT_BEGIN:
		m->tries++;
		m->begun_ms = MB_MAX(now_ms, (uint64_t)1);
		m->cancelled_ms = m->cancels = 0;
		m->copied_mb = m->left_mb = 0;
		m->said_done = m->is_too_slow = false;
		m->next = MB_NEXT_POLL;
		m->due_ms = poll_at;
		x->changed = true;
		return MB_ORDER_BEGIN;
	case MB_NEXT_CANCEL:
		if (!m->cancels++)
			m->cancelled_ms = MB_MAX(now_ms, (uint64_t)1);
		m->recancel_ms = now_ms + x->options.cancel_ms;
		m->next = MB_NEXT_POLL;
		m->due_ms = poll_at;
		x->changed = true;
		return MB_ORDER_CANCEL;
	case MB_NEXT_POLL:
		return MB_ORDER_POLL;
	default:
		return MB_ORDER_LOCATE;
	}
}

/* Since its room was set apart a VM has come there by hand. */
static bool has_lost_its_room(const struct mb_execution *x, const struct mb_execution_move *m)
{
	return m->next == MB_NEXT_BEGIN && x->hosts[m->to].used_mb > x->hosts[m->to].limit_mb;
}

struct mb_order mb_execution_step(struct mb_execution *x, uint64_t now_ms)
{
	struct mb_order order = { .wake_ms = UINT64_MAX };

	consider_all(x, now_ms);
	for (uint32_t k = 0; k < x->n_active; k++) {
		struct mb_execution_move *m = &x->moves[x->active[k]];

		if (m->asked)
			continue;
		if (has_lost_its_room(x, m)) {
			drop_for_room(x, m, now_ms);
			return mb_execution_step(x, now_ms);
		}
		m->due_ms = MB_MIN(m->due_ms, now_ms + x->options.backoff_max_ms);
		if (m->due_ms <= now_ms)
			return (struct mb_order){ .kind = ask(x, m, now_ms), .move = x->active[k] };
		order.wake_ms = MB_MIN(order.wake_ms, m->due_ms);
	}
	if (x->n_open)
		order.wake_ms = MB_MIN(order.wake_ms, x->scan_due_ms);
	return order;
}

void mb_execution_take_back(struct mb_execution *x, uint32_t move, uint64_t now_ms)
{
	struct mb_execution_move *m = &x->moves[move];

	m->asked = false;
	m->tries--;
	m->next = MB_NEXT_BEGIN;
	m->due_ms = now_ms + x->options.poll_ms;
}

void mb_execution_migration(const struct mb_execution *x, uint32_t move, struct mb_migration *ret)
{
	const struct mb_execution_move *m = &x->moves[move];
	/* Of the try before this one nothing is left. */
	bool begun = m->next != MB_NEXT_LOCATE && m->next != MB_NEXT_BEGIN;
	uint64_t ms = m->begun_ms;

	*ret = (struct mb_migration){
		.vm = m->vm,
		.from = m->from == MB_NOWHERE ? NULL : x->hosts[m->from].name,
		.to = x->hosts[m->to].name,
		.memory_mb = m->memory_mb,
		.copy_mb = m->copy_mb,
		.time_s = m->time_s,
		.bandwidth_mbit_s = x->options.bandwidth_mbit_s,
		.begun_ms = begun ? m->begun_ms : 0,
		.cancelled_ms = begun ? m->cancelled_ms : 0,
		.deadline_ms = begun ? ms + mb_execution_deadline_ms(x, m) : 0,
	};
}
