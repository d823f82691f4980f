// SPDX-License-Identifier: GPL-2.0-or-later
/* What the mover answered, and what the operator wants. Where the VM is outweighs what is said. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/execution_inside.h"

/* A VM that changes hosts may be seen on neither for a moment. */
enum { LOOKS_MAX = 3 };

/* The move that was asked about, if the answer still matters. */
static struct mb_execution_move *answered(struct mb_execution *x, uint32_t move)
{
	struct mb_execution_move *m = &x->moves[move];

	if (!m->asked || !mb_move_is_active(m))
		return NULL;
	m->asked = false;
	return m;
}

static void next(struct mb_execution *x, struct mb_execution_move *m, enum mb_move_next what,
		 uint64_t due_ms)
{
	x->changed |= m->next != what;
	m->next = what;
	m->due_ms = due_ms;
}

/* Nobody knows: look whether it has arrived, ask again, ever more seldom. */
static void lose(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	if (m->state != MB_MOVE_LOST) {
		m->state = MB_MOVE_LOST;
		m->lost_ms = MB_MAX(now_ms, (uint64_t)1);
		m->looks = 0;
	}
	if (x->options.lost_max_ms && now_ms >= m->lost_ms + x->options.lost_max_ms) {
		mb_execution_end_move(x, m, MB_MOVE_LOST, now_ms);
		return;
	}
	next(x, m, x->cancelled_ms && !m->cancels ? MB_NEXT_CANCEL : MB_NEXT_PEEK, now_ms);
}

static void arrived(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	mb_execution_end_move(x, m, MB_MOVE_DONE, now_ms);
}

/* The VM is where it was. */
static void came_to_nothing(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	if (x->cancelled_ms) {
		mb_execution_release(x, m);
		mb_execution_end_move(x, m, MB_MOVE_CANCELLED, now_ms);
	} else if (m->is_too_slow || m->is_hopeless || m->tries >= x->options.tries_max) {
		mb_execution_release(x, m);
		mb_execution_end_move(x, m, MB_MOVE_FAILED, now_ms);
	} else {
		mb_execution_wait(x, m,
				  now_ms + mb_execution_backoff_ms(x->options.backoff_ms,
								   x->options.backoff_max_ms,
								   m->tries));
	}
}

/* It runs on a third host: not our doing, nor ours to mend. */
static void is_elsewhere(struct mb_execution *x, struct mb_execution_move *m, const char *host,
			 uint64_t now_ms)
{
	mb_execution_release(x, m);
	mb_execution_reason(m, "the VM runs on host %.100s: somebody else moved it", host);
	for (uint32_t h = 0; h < x->n_hosts; h++)
		if (strcmp(x->hosts[h].name, host) == 0)
			m->found = h;
	if (m->found != MB_NOWHERE)
		x->hosts[m->found].used_mb += m->memory_mb;
	m->blames_host = false;
	mb_execution_end_move(x, m, MB_MOVE_FAILED, now_ms);
}

/* Nothing was begun, so there is nothing to lose; there may be later. */
static void cannot_be_seen(struct mb_execution *x, struct mb_execution_move *m, const char *reason,
			   uint64_t now_ms)
{
	mb_execution_reason(m, "cannot be told where the VM runs: %s", reason);
	m->tries++;
	m->blames_host = false;
	came_to_nothing(x, m, now_ms);
}

/* Looks again a few times. Then it was stopped or died; whoever starts it again finds its room. */
static void is_nowhere(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	if (++m->absences < LOOKS_MAX) {
		m->due_ms = now_ms + x->options.poll_ms;
		return;
	}
	/* What was never begun left nothing on its destination. */
	if (m->next == MB_NEXT_LOCATE)
		mb_execution_release(x, m);
	mb_execution_reason(m, "the VM runs nowhere: it was stopped, or it died");
	m->blames_host = false;
	mb_execution_end_move(x, m, MB_MOVE_FAILED, now_ms);
}

/* Before anything is begun; the VM is where the plan has it. */
static void is_ready(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	m->looks = 0;
	next(x, m, MB_NEXT_BEGIN, now_ms);
}

/* It is over, and the VM is still where it was. */
static void has_stayed(struct mb_execution *x, struct mb_execution_move *m, uint64_t now_ms)
{
	if (m->said_done && ++m->looks < LOOKS_MAX) {
		m->due_ms = now_ms + x->options.poll_ms;
		return;
	}
	if (m->said_done)
		mb_execution_reason(m, "the mover says done, but the VM is where it was");
	if (m->is_too_slow)
		mb_execution_reason(m, "cancelled: took longer than %" PRIu64 " s",
				    mb_execution_deadline_ms(x, m) / 1000);
	came_to_nothing(x, m, now_ms);
}

void mb_execution_located(struct mb_execution *x, uint32_t move, enum mb_located where,
			  const char *host, const char *reason, uint64_t now_ms)
{
	struct mb_execution_move *m = answered(x, move);
	bool on_from, first;

	if (!m)
		return;
	first = m->next == MB_NEXT_LOCATE;
	if (where != MB_LOCATED_NOWHERE)
		m->absences = 0;
	on_from = m->from == MB_NOWHERE ?
			  where == MB_LOCATED_NOWHERE :
			  where == MB_LOCATED_HOST && strcmp(host, x->hosts[m->from].name) == 0;
	if (where == MB_LOCATED_HOST && strcmp(host, x->hosts[m->to].name) == 0) {
		if (first && !m->begun_ms)
			mb_execution_reason(m, "it was there already");
		else if (m->cancels)
			mb_execution_reason(m, "arrived before it was cancelled");
		else if (!m->said_done && *m->reason)
			mb_execution_reason(m, "arrived, in spite of: %s", m->reason);
		arrived(x, m, now_ms);
	} else if (m->next == MB_NEXT_PEEK) {
		/* Not there yet says nothing. */
		m->looks++;
		next(x, m, MB_NEXT_POLL,
		     now_ms + mb_execution_backoff_ms(x->options.poll_ms, x->options.backoff_max_ms,
						      m->looks));
	} else if (first && x->cancelled_ms) {
		mb_execution_release(x, m);
		mb_execution_reason(m, "cancelled before it was begun");
		mb_execution_end_move(x, m, MB_MOVE_CANCELLED, now_ms);
	} else if (on_from) {
		if (first)
			is_ready(x, m, now_ms);
		else
			has_stayed(x, m, now_ms);
	} else if (where == MB_LOCATED_HOST) {
		is_elsewhere(x, m, host, now_ms);
	} else if (where == MB_LOCATED_NOWHERE) {
		is_nowhere(x, m, now_ms);
	} else if (first) {
		cannot_be_seen(x, m, reason, now_ms);
	} else {
		mb_execution_reason(m, "cannot be told where the VM runs: %s", reason);
		lose(x, m, now_ms);
	}
}

void mb_execution_begun(struct mb_execution *x, uint32_t move, enum mb_begun said,
			const char *reason, uint64_t now_ms)
{
	struct mb_execution_move *m = answered(x, move);

	if (!m)
		return;
	if (said == MB_BEGUN_OK) {
		*m->reason = 0;
		return;
	}
	mb_execution_reason(m, "%s", reason);
	x->changed = true;
	if (said == MB_BEGUN_UNSURE)
		return;
	m->is_hopeless = said == MB_BEGUN_NEVER;
	m->blames_host = said == MB_BEGUN_REFUSED;
	m->looks = 0;
	next(x, m, MB_NEXT_SETTLE, now_ms);
}

/* It goes on; does it go on for too long, or against the operator's wish? */
static void goes_on(struct mb_execution *x, struct mb_execution_move *m,
		    const struct mb_copied *progress, uint64_t now_ms)
{
	uint64_t pause = MB_MAX(progress->ask_in_ms, x->options.poll_ms);
	uint64_t deadline = m->begun_ms + mb_execution_deadline_ms(x, m);
	bool deaf = m->cancels >= x->options.cancels_max && now_ms >= m->recancel_ms;

	m->copied_mb = progress->copied_mb;
	m->left_mb = progress->left_mb;
	if (m->cancels && deaf) {
		mb_execution_reason(m, "does not stop, asked %" PRIu32 " times", m->cancels);
		lose(x, m, now_ms);
		return;
	}
	if (m->state == MB_MOVE_LOST) {
		m->state = MB_MOVE_RUNNING;
		m->lost_ms = 0;
		*m->reason = 0;
		x->changed = true;
	}
	m->looks = 0;
	if (!m->cancels && !x->cancelled_ms && now_ms >= deadline)
		m->is_too_slow = true;
	if (m->cancels ? now_ms >= m->recancel_ms : x->cancelled_ms || m->is_too_slow) {
		next(x, m, MB_NEXT_CANCEL, now_ms);
		return;
	}
	pause = m->cancels ? x->options.poll_ms : MB_MIN(pause, deadline - now_ms);
	next(x, m, MB_NEXT_POLL, now_ms + MB_MIN(pause, x->options.backoff_max_ms));
}

void mb_execution_polled(struct mb_execution *x, uint32_t move, enum mb_polled said,
			 const struct mb_copied *progress, const char *reason, uint64_t now_ms)
{
	struct mb_execution_move *m = answered(x, move);

	if (!m)
		return;
	switch (said) {
	case MB_POLLED_RUNNING:
		goes_on(x, m, progress, now_ms);
		return;
	case MB_POLLED_LOST:
		mb_execution_reason(m, "%s", reason);
		lose(x, m, now_ms);
		return;
	case MB_POLLED_DONE:
		m->said_done = true;
		m->copied_mb = progress->copied_mb;
		m->left_mb = 0;
		if (!x->cancelled_ms && !m->is_too_slow)
			*m->reason = 0;
		break;
	default:
		m->said_done = false;
		m->blames_host = !x->cancelled_ms && !m->is_too_slow;
		mb_execution_reason(m, "%s", reason);
	}
	m->looks = 0;
	next(x, m, MB_NEXT_SETTLE, now_ms);
}

void mb_execution_cancelled(struct mb_execution *x, uint32_t move, enum mb_cancelled said,
			    const char *reason, uint64_t now_ms)
{
	struct mb_execution_move *m = answered(x, move);

	if (!m)
		return;
	/* However it is, the next poll tells. */
	if (said == MB_CANCELLED_LATE)
		m->due_ms = now_ms;
	else if (said == MB_CANCELLED_LOST)
		mb_execution_reason(m, "cannot be asked to stop: %s", reason);
}

void mb_execution_cancel(struct mb_execution *x, uint64_t now_ms)
{
	if (x->cancelled_ms || !x->n_open)
		return;
	x->cancelled_ms = MB_MAX(now_ms, (uint64_t)1);
	x->changed = true;
	for (uint32_t i = 0; i < x->n_moves; i++) {
		struct mb_execution_move *m = &x->moves[i];

		if (mb_move_has_ended(m))
			continue;
		if (m->state == MB_MOVE_WAITING) {
			if (!m->tries)
				mb_execution_reason(m, "the execution was cancelled");
			mb_execution_end_move(x, m, m->tries ? MB_MOVE_CANCELLED : MB_MOVE_SKIPPED,
					      now_ms);
		} else if (m->next == MB_NEXT_BEGIN) {
			/* Of those that are asked about just now the answer finds it cancelled. */
			mb_execution_release(x, m);
			mb_execution_reason(m, "cancelled before it was begun");
			mb_execution_end_move(x, m, MB_MOVE_CANCELLED, now_ms);
		} else if ((m->next == MB_NEXT_POLL || m->next == MB_NEXT_PEEK) && !m->cancels &&
			   !m->asked) {
			next(x, m, MB_NEXT_CANCEL, now_ms);
		}
	}
}

int mb_execution_decide(struct mb_execution *x, uint32_t move, bool is_there, uint64_t now_ms,
			struct mb_err *err)
{
	struct mb_execution_move *m = move < x->n_moves ? &x->moves[move] : NULL;

	if (!m || m->state != MB_MOVE_LOST || mb_move_has_ended(m))
		return mb_fail(err, EINVAL, "move %" PRIu32 " is not lost", move + 1);
	if (is_there) {
		mb_execution_reason(m, "it has arrived, says the operator");
		arrived(x, m, now_ms);
		return 0;
	}
	mb_execution_release(x, m);
	m->blames_host = false;
	mb_execution_reason(m, "the VM is where it was, says the operator");
	mb_execution_end_move(x, m, MB_MOVE_FAILED, now_ms);
	return 0;
}
