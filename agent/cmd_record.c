// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbagent record`: epochs to a trace file, to be played again later. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/cmd.h"
#include "agent/config.h"
#include "agent/parts.h"
#include "agent/schedule.h"
#include "agent/ticker.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/base/progress.h"
#include "proto/base/version.h"
#include "proto/trace.h"

struct options {
	struct mb_agent_config agent;
	struct mb_schedule schedule;
	const char *path;
	bool force;
};

enum { OPT_PARTS = 1 };

static const struct argp_option record_options[] = {
	{ "output", 'o', "FILE", 0, "the trace to write", 0 },
	{ "force", 'f', 0, 0, "write over a file that is there", 0 },
	{ "parts", OPT_PARTS, "N", 0,
	  "hash each page in N equal parts, a power of two up to 32, each a digest of its own: "
	  "what merging less than pages could save (1)",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;
	uint64_t n;

	switch (key) {
	case OPT_PARTS:
		if (mb_parse_u64(arg, 1, MB_PARTS_MAX, "--parts", &n, &err) < 0)
			argp_error(state, "%s", err.text);
		if (n & (n - 1))
			argp_error(state, "--parts: \"%s\" is no power of two", arg);
		o->agent.parts = (uint32_t)n;
		return 0;
	case 'o':
		o->path = arg;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->agent;
		state->child_inputs[1] = &o->schedule;
		return 0;
	case ARGP_KEY_END:
		if (!o->path)
			argp_error(state, "--output is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Pages on their way to the file, written by the million. */
enum { PENDING_MAX = 1 << 20 };

struct record {
	struct mb_agent agent;
	struct mb_ticker ticker;
	struct mb_progress progress;
	struct mb_page *pending;
	size_t n_pending;
	struct mb_buf out;
	off_t whole_bytes; /* up to the end of the last epoch */
	int fd;
};

static int flush(struct record *rec, struct mb_err *err)
{
	int r = mb_trace_put_pages(rec->pending, rec->n_pending, &rec->out, err);

	rec->n_pending = 0;
	if (r == 0)
		r = mb_write_all(rec->fd, rec->out.data, rec->out.len, err);
	mb_buf_clear(&rec->out);
	return r;
}

static int on_page(void *ctx, const struct mb_page *page, struct mb_err *err)
{
	struct record *rec = ctx;

	rec->pending[rec->n_pending++] = *page;
	return rec->n_pending == PENDING_MAX ? flush(rec, err) : 0;
}

static int on_progress(void *ctx, double done, struct mb_err *err)
{
	struct record *rec = ctx;

	mb_progress_update(&rec->progress, done);
	mb_ticker_take(&rec->ticker);
	return rec->ticker.stop ? mb_fail(err, EINTR, "stopped in the middle of an epoch") : 0;
}

static int record_epoch(struct record *rec, struct mb_err *err)
{
	struct mb_trace_epoch end = { .epoch = rec->agent.pass.epochs + 1 };
	struct mb_epoch e;
	int r;

	mb_progress_begin(&rec->progress, "recording");
	r = mb_pass_run(&rec->agent.pass, &e, err);
	mb_progress_end(&rec->progress);
	if (r < 0)
		return r;
	end.pass = e.info;
	end.fingerprint = mb_fingerprint_id(&e.fingerprint);
	r = flush(rec, err);
	if (r == 0)
		r = mb_trace_put_epoch(&end, &rec->out, err);
	if (r == 0)
		r = flush(rec, err);
	if (r == 0)
		rec->whole_bytes = lseek(rec->fd, 0, SEEK_CUR);
	mb_info("epoch %" PRIu64 ": %" PRIu64 " pages, %u distinct, %" PRIu64 " unread", end.epoch,
		e.fingerprint.n_pages, e.fingerprint.n_distinct, e.info.pages_unread);
	mb_fingerprint_deinit(&e.fingerprint);
	return r;
}

/* What was asked for without a number of epochs ends when it is stopped. */
static int stopped(const struct record *rec, const struct options *o, struct mb_err *err)
{
	return o->schedule.epochs ?
		       mb_fail(err, EINTR, "stopped after %" PRIu64 " of %" PRIu64 " epochs",
			       rec->agent.pass.epochs, o->schedule.epochs) :
		       0;
}

static int record_all(struct record *rec, const struct options *o, struct mb_err *err)
{
	for (;;) {
		uint64_t now, next_ns = mb_now_ns() + o->schedule.interval_ns;
		int r = record_epoch(rec, err);

		if (r == -ENODATA && rec->agent.pass.epochs)
			return o->schedule.epochs ?
				       mb_fail(err, ENODATA,
					       "the source had %" PRIu64 " epochs, not %" PRIu64,
					       rec->agent.pass.epochs, o->schedule.epochs) :
				       0;
		if (r == -EINTR && rec->ticker.stop)
			return stopped(rec, o, err);
		if (r < 0)
			return r;
		if (o->schedule.epochs && rec->agent.pass.epochs == o->schedule.epochs)
			return 0;
		while (!rec->ticker.stop && !rec->ticker.epoch_now &&
		       (now = mb_now_ns()) < next_ns) {
			struct pollfd p = { .fd = rec->ticker.fd, .events = POLLIN };

			poll(&p, 1, (int)MB_MIN((next_ns - now) / 1000000 + 1, 3600000u));
			mb_ticker_take(&rec->ticker);
		}
		mb_ticker_take(&rec->ticker);
		if (rec->ticker.stop)
			return stopped(rec, o, err);
		rec->ticker.epoch_now = false;
	}
}

static int start(struct record *rec, const struct options *o, struct mb_err *err)
{
	struct mb_trace_header h = { .version = MB_PROTOCOL_VERSION, .agent = mb_version };
	int r;

	r = mb_agent_open(&rec->agent, &o->agent, NULL, err);
	if (r < 0)
		return r;
	rec->pending = malloc(PENDING_MAX * sizeof(*rec->pending));
	if (!rec->pending)
		return mb_fail_mem(err, "pages to be written");
	rec->fd =
		open(o->path, O_WRONLY | O_CREAT | O_CLOEXEC | (o->force ? O_TRUNC : O_EXCL), 0600);
	if (rec->fd < 0)
		return mb_fail(err, errno, "%s: %m%s", o->path,
			       errno == EEXIST ? " (--force writes over it)" : "");
	rec->agent.pass.tap = on_page;
	rec->agent.pass.progress = on_progress;
	rec->agent.pass.ctx = rec;
	h.vm = o->schedule.vm ? o->schedule.vm : rec->agent.info.vm;
	h.source = rec->agent.info.text;
	h.identity = rec->agent.pass.digester.identity;
	h.memory_bytes = rec->agent.info.memory_bytes;
	h.stable_frames = rec->agent.info.stable_frames;
	r = mb_boot_make(&h.boot, err);
	if (r == 0)
		r = mb_ticker_open(&rec->ticker, err);
	return r < 0 ? r : mb_trace_put_header(&h, &rec->out, err);
}

int mb_cmd_record(int argc, char **argv)
{
	static const struct argp_child children[] = { { &mb_agent_argp, 0, NULL, 0 },
						      { &mb_schedule_argp, 0, NULL, 0 },
						      { 0 } };
	static const struct argp argp = {
		record_options,
		parse,
		NULL,
		"Writes epochs of a source to a trace that trace:FILE and `mbctl analyze` read. "
		"Without "
		"--key the trace has raw digests: keep it as you would keep the memory.",
		children,
		NULL,
		NULL,
	};
	struct options o = {
		.agent = mb_agent_config_default,
		.schedule = { .interval_ns = 60000000000, .epochs = 1 },
	};
	struct record rec = { .fd = -1, .ticker.fd = -1 };
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	/* Raw digests belong to no trust domain, and so compare with the seed's. */
	if (!o.agent.key_file && o.agent.domain == mb_agent_config_default.domain)
		o.agent.domain = "";
	r = start(&rec, &o, &err);
	if (r == 0)
		r = record_all(&rec, &o, &err);
	/* Whatever happened: the file ends with a whole epoch. (A port or a pipe has no end.) */
	if (rec.fd >= 0 && rec.whole_bytes > 0 && ftruncate(rec.fd, rec.whole_bytes) < 0 && r == 0)
		r = mb_fail(&err, errno, "%s: %m", o.path);
	if (rec.fd >= 0 && close(rec.fd) < 0 && r == 0)
		r = mb_fail(&err, errno, "%s: %m", o.path);
	mb_ticker_close(&rec.ticker);
	mb_agent_close(&rec.agent);
	mb_buf_deinit(&rec.out);
	free(rec.pending);
	return r < 0 ? mb_agent_failed(&err) : MB_EXIT_OK;
}
