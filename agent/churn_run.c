// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/churn_run.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/workload.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/churn/churn_json.h"

enum {
	WHO_SAMPLE = 8, /* as mbagent run: few enough to cost nearly nothing */
	PATIENCE_MS = 10000,
};

struct run {
	const struct mb_churn_plan *plan;
	struct mb_ticker *ticker;
	struct mb_workload workload;
	struct mb_agent agent;
	struct mb_churn_config config;
	struct mb_fingerprint reference;
	struct mb_churn *churn;
	struct mb_churn_log log;
	struct mb_churn_live live;
	bool own; /* the source is the command's memory */
	bool ended_by_us;
	uint64_t start_ns, next_ns;
};

/* --- beginning -------------------------------------------------------------------------------- */

static int open_source(struct run *run, struct mb_err *err)
{
	const struct mb_churn_plan *p = run->plan;
	struct mb_tracker_wish wish = { .name = p->tracking.tracker,
					.options = { .btf = p->tracking.btf,
						     .who = p->tracking.who ? WHO_SAMPLE : 0 },
					.refused = p->refused };
	struct mb_agent_config config = p->agent;
	char uri[48];
	int r;

	run->own = strcmp(config.source, MB_CHURN_COMMAND) == 0;
	if (run->own) {
		snprintf(uri, sizeof(uri), "process:%d,all", (int)run->workload.pid);
		config.source = uri;
	}
	r = mb_agent_open(&run->agent, &config, &wish, err);
	if (r < 0)
		return r;
	run->agent.pass.audit_every = p->tracking.audit_every;
	mb_rehash_init(&run->agent.pass.rehash, run->agent.tracker->ops->follows,
		       p->tracking.rehash_every);
	return 0;
}

static int on_progress(void *ctx, double done, struct mb_err *err)
{
	struct run *run = ctx;

	(void)done;
	mb_ticker_take(run->ticker);
	return run->ticker->stop ? mb_fail(err, EINTR, "stopped in the middle of an epoch") : 0;
}

/* The command's own memory goes with it: that is how such a run ends. */
static bool went_with_command(struct run *run, int r)
{
	return r == -ESRCH && run->own && mb_workload_ended(&run->workload, PATIENCE_MS);
}

static int fail_too_soon(uint64_t epochs, struct mb_err *err)
{
	return mb_fail(err, ENODATA,
		       "%" PRIu64
		       " epochs were taken, and 2 are needed to see a change: the command "
		       "ended too soon (a shorter --interval, or --asks)",
		       epochs);
}

static int start(struct run *run, int *ret_exit_code, struct mb_err *err)
{
	const struct mb_churn_plan *p = run->plan;
	const struct mb_identity *identity;
	int r = p->command ?
			mb_workload_start(p->command, p->asks, &run->workload, ret_exit_code, err) :
			0;

	if (r < 0)
		return r;
	*ret_exit_code = MB_EXIT_MEASURING;
	r = open_source(run, err);
	if (went_with_command(run, r))
		return fail_too_soon(0, err);
	if (r < 0)
		return r;
	run->agent.pass.progress = on_progress;
	run->agent.pass.ctx = run;
	identity = &run->agent.pass.digester.identity;
	run->config = (struct mb_churn_config){
		.zero_digest = identity->zero_digest,
		.by_frame = run->agent.info.stable_frames,
		.n_windows = p->n_windows,
	};
	memcpy(run->config.windows_ns, p->windows_ns, sizeof(p->windows_ns));
	if (p->n_references) {
		r = mb_churn_reference(&p->agent, identity, p->references, p->n_references,
				       &run->reference, err);
		run->config.reference = &run->reference;
	}
	if (r == 0)
		r = mb_churn_create(&run->config, &run->churn, err);
	if (r == 0)
		r = mb_churn_log_init(&run->log, &run->config, err);
	return r;
}

/* --- an epoch --------------------------------------------------------------------------------- */

static bool next_page(void *ctx, struct mb_frame_page *ret)
{
	struct mb_page_cursor *c = ctx;
	struct mb_table_page page;

	if (!mb_page_cursor_get(c, &page))
		return false;
	*ret = (struct mb_frame_page){ page.frame, page.digest, mb_rehash_class(page.state) };
	mb_page_cursor_step(c);
	return true;
}

/* What was recorded has times of its own; where it has not, the interval stands for them. */
static uint64_t time_of(struct run *run, uint64_t begun_ns, uint32_t epoch)
{
	struct mb_source_info info;

	run->agent.source->ops->describe(run->agent.source, &info);
	run->agent.info = info;
	if (info.taken_unix_ns)
		return info.taken_unix_ns;
	return info.live ? begun_ns : epoch * run->plan->interval_ns;
}

static int take_epoch(struct run *run, struct mb_err *err)
{
	struct mb_page_cursor cursor = { .table = &run->agent.pass.table };
	const struct mb_frame_stream frames = { next_page, &cursor };
	uint64_t begun_ns = mb_now_ns();
	uint32_t epoch = (uint32_t)run->log.sums.rows;
	struct mb_churn_row row;
	struct mb_epoch e;
	int r = mb_pass_run(&run->agent.pass, &e, err);

	if (r < 0)
		return r;
	if (run->agent.pass.epochs <= run->plan->warmup) {
		mb_fingerprint_deinit(&e.fingerprint);
		return 0;
	}
	if (!epoch)
		run->start_ns = begun_ns;
	r = mb_churn_feed(run->churn, time_of(run, begun_ns, epoch), &e.fingerprint,
			  run->config.by_frame ? &frames : NULL, &row, err);
	if (r == 0)
		r = mb_churn_log_add(&run->log, &row, &e.who, err);
	if (r == 0)
		mb_churn_live_row(&run->live, &run->config, &row, &run->log.sums);
	return r;
}

/* --- until when ------------------------------------------------------------------------------- */

static bool has_enough(struct run *run)
{
	const struct mb_churn_plan *p = run->plan;

	return (p->epochs && run->log.sums.rows >= p->epochs) ||
	       (p->for_ns && run->log.sums.rows && mb_now_ns() - run->start_ns >= p->for_ns);
}

/* True: an epoch is due; false: the run ends. */
static bool wait_for_epoch(struct run *run)
{
	const struct mb_churn_plan *p = run->plan;

	for (;;) {
		uint64_t now = mb_now_ns(), until = p->asks ? UINT64_MAX : run->next_ns;
		struct pollfd fds[] = { { .fd = run->ticker->fd, .events = POLLIN },
					{ .fd = run->workload.fd, .events = POLLIN },
					{ .fd = run->workload.ask_fd, .events = POLLIN } };

		mb_ticker_take(run->ticker);
		if (run->ticker->stop || has_enough(run))
			return false;
		if (mb_workload_asks(&run->workload))
			return true;
		if (mb_workload_ended(&run->workload, 0))
			return !run->own && !p->asks;
		if (run->ticker->epoch_now || now >= until) {
			run->ticker->epoch_now = false;
			return true;
		}
		if (p->for_ns && run->log.sums.rows)
			until = MB_MIN(until, run->start_ns + p->for_ns);
		poll(fds, MB_ARRAY_LEN(fds),
		     (int)MB_MIN((until - now) / 1000000 + 1, (uint64_t)3600000));
	}
}

static int measure(struct run *run, struct mb_err *err)
{
	for (;;) {
		bool last = mb_workload_ended(&run->workload, 0);
		int r;

		run->next_ns = mb_now_ns() + run->plan->interval_ns;
		r = take_epoch(run, err);
		if ((r == -ENODATA && run->agent.pass.epochs) || went_with_command(run, r))
			return 0;
		if (r == -EINTR && run->ticker->stop)
			return 0;
		if (r < 0)
			return r;
		mb_workload_answer(&run->workload);
		/* What it has left behind when it had ended is in this epoch. */
		if (last)
			return 0;
		if (!run->agent.info.live && !run->plan->command)
			run->next_ns = 0;
		if (!wait_for_epoch(run))
			return 0;
	}
}

/* The first epoch is the command's to ask for, too. */
static int measure_asked(struct run *run, struct mb_err *err)
{
	return wait_for_epoch(run) ? measure(run, err) : 0;
}

/* --- ending ----------------------------------------------------------------------------------- */

static int finish(struct run *run, struct mb_churn_result *ret, struct mb_err *err)
{
	struct mb_workload *w = &run->workload;
	json_t *code = json_null();

	run->ended_by_us =
		w->pid &&
		!mb_workload_ended(
			w, run->plan->for_ns || run->plan->epochs || run->ticker->stop ? 0 : -1);
	mb_workload_stop(w, PATIENCE_MS);
	if (w->pid) {
		/* Ending as it was told to is no failure. */
		ret->exit_code = run->ended_by_us && w->exit_code > 128 ? 0 : w->exit_code;
		code = json_integer(ret->exit_code);
	}
	if (run->log.sums.rows < 2) {
		json_decref(code);
		return w->pid && !run->ended_by_us ?
			       fail_too_soon(run->log.sums.rows, err) :
			       mb_fail(err, ENODATA,
				       "%" PRIu64 " epochs were taken, and 2 are needed to see a "
				       "change",
				       run->log.sums.rows);
	}
	ret->run = mb_churn_log_take(&run->log);
	if (!ret->run || json_object_set_new(ret->run, "exit_code", code) < 0)
		return mb_fail_mem(err, "a report");
	/* A command that waits for each epoch is as fast as it is read: no rate of its own. */
	if (run->plan->asks)
		json_object_set_new(json_object_get(ret->run, "summary"), "dirtied_per_s",
				    json_null());
	return 0;
}

static void close_run(struct run *run)
{
	mb_churn_live_end(&run->live);
	mb_workload_close(&run->workload);
	mb_churn_destroy(run->churn);
	mb_churn_log_deinit(&run->log);
	mb_fingerprint_deinit(&run->reference);
	mb_agent_close(&run->agent);
}

int mb_churn_run(const struct mb_churn_plan *plan, struct mb_ticker *ticker,
		 struct mb_churn_result *ret, struct mb_err *err)
{
	struct run run = { .plan = plan,
			   .ticker = ticker,
			   .workload = { .fd = -1, .ask_fd = -1, .done_fd = -1 } };
	int exit_code = MB_EXIT_MEASURING, r;

	*ret = (struct mb_churn_result){ 0 };
	mb_churn_live_begin(&run.live, plan->live);
	r = start(&run, &exit_code, err);
	if (r == 0)
		r = (plan->asks ? measure_asked : measure)(&run, err);
	if (r == 0)
		r = finish(&run, ret, err);
	if (r == 0) {
		snprintf(ret->source, sizeof(ret->source), "%s", run.agent.info.text);
		ret->tracker = run.agent.tracker->ops->name;
		ret->by_frame = run.config.by_frame;
		ret->stopped = ticker->stop;
	} else {
		json_decref(ret->run);
		*ret = (struct mb_churn_result){ .exit_code = exit_code };
	}
	close_run(&run);
	return r;
}
