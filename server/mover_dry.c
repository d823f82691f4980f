// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/mover.h"

#include "proto/base/cleanup.h"

/* All that happens follows from the migration and the time: nothing need be remembered. */
static uint64_t end_ms(const struct mb_migration *g)
{
	uint64_t ms;

	if (__builtin_mul_overflow(g->time_s, (uint64_t)1000, &ms) ||
	    __builtin_add_overflow(ms, g->begun_ms, &ms))
		return UINT64_MAX;
	return ms;
}

static bool is_cancelled(const struct mb_migration *g)
{
	return g->cancelled_ms && g->cancelled_ms < end_ms(g);
}

static bool has_arrived(const struct mb_migration *g, uint64_t now_ms)
{
	return g->begun_ms && !is_cancelled(g) && now_ms >= end_ms(g);
}

static void dry_close(struct mb_mover *m)
{
	(void)m;
}

static enum mb_begun dry_begin(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
			       struct mb_err *err)
{
	(void)m;
	(void)g;
	(void)now_ms;
	(void)err;
	return MB_BEGUN_OK;
}

static enum mb_polled dry_poll(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
			       struct mb_copied *ret_progress, struct mb_err *err)
{
	uint64_t end = end_ms(g), ran = now_ms > g->begun_ms ? now_ms - g->begun_ms : 0;

	(void)m;
	if (is_cancelled(g)) {
		mb_fail(err, ECANCELED, "cancelled");
		return MB_POLLED_FAILED;
	}
	if (now_ms >= end) {
		ret_progress->copied_mb = g->copy_mb;
		return MB_POLLED_DONE;
	}
	ret_progress->copied_mb =
		(uint64_t)((double)g->copy_mb * (double)ran / (double)(end - g->begun_ms));
	ret_progress->left_mb = g->copy_mb - MB_MIN(ret_progress->copied_mb, g->copy_mb);
	ret_progress->ask_in_ms = end - now_ms;
	return MB_POLLED_RUNNING;
}

static enum mb_cancelled dry_cancel(struct mb_mover *m, const struct mb_migration *g,
				    uint64_t now_ms, struct mb_err *err)
{
	(void)m;
	(void)err;
	return has_arrived(g, now_ms) ? MB_CANCELLED_LATE : MB_CANCELLED_ASKED;
}

static enum mb_located dry_locate(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
				  const char **ret_host, struct mb_err *err)
{
	(void)m;
	(void)err;
	*ret_host = has_arrived(g, now_ms) ? g->to : g->from;
	return *ret_host ? MB_LOCATED_HOST : MB_LOCATED_NOWHERE;
}

const struct mb_mover_ops mb_mover_dry = {
	.name = "dry",
	.close = dry_close,
	.begin = dry_begin,
	.poll = dry_poll,
	.cancel = dry_cancel,
	.locate = dry_locate,
};

const struct mb_mover_ops mb_mover_rehearsal = {
	.name = "rehearsal",
	.close = dry_close,
	.begin = dry_begin,
	.poll = dry_poll,
	.cancel = dry_cancel,
	.locate = dry_locate,
};
