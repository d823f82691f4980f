// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbagent dirty`: who writes to how many frames, and how. Reads no page. */
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/cgroup.h"
#include "agent/cmd.h"
#include "agent/config.h"
#include "agent/mbwalk.h"
#include "agent/printable.h"
#include "agent/ticker.h"
#include "agent/track_bpf.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"

struct options {
	uint64_t interval_ns, epochs, top;
	const char *module, *btf;
	bool json;
};

enum { OPT_EPOCHS = 1, OPT_TOP, OPT_MODULE, OPT_BTF };

static const struct argp_option dirty_options[] = {
	{ "interval", 'i', "TIME", 0, "length of an epoch (10s)", 0 },
	{ "epochs", OPT_EPOCHS, "N", 0, "end after N epochs; 0: go on (1)", 0 },
	{ "top", OPT_TOP, "N", 0, "so many rows an epoch, the rest in one (20)", 0 },
	{ "module", OPT_MODULE, "FILE", 0, "the mbwalk.ko to load if none is loaded", 0 },
	{ "btf", OPT_BTF, "FILE", 0, "the kernel's types, where it does not tell them", 0 },
	{ "json", 'j', 0, 0, "JSON, a line an epoch", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err = { 0 };
	int r = 0;

	switch (key) {
	case 'i':
		r = mb_parse_duration_ns(arg, "--interval", &o->interval_ns, &err);
		break;
	case OPT_EPOCHS:
		r = mb_parse_u64(arg, 0, UINT32_MAX, "--epochs", &o->epochs, &err);
		break;
	case OPT_TOP:
		r = mb_parse_u64(arg, 1, MB_WHO_MAX, "--top", &o->top, &err);
		break;
	case OPT_MODULE:
		o->module = arg;
		break;
	case OPT_BTF:
		o->btf = arg;
		break;
	case 'j':
		o->json = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		argp_error(state, "%s", err.text);
	return -r;
}

/* Of those below the top, one row. */
static size_t fold(const struct mb_track_bpf_who *who, size_t n, size_t top,
		   struct mb_track_bpf_who *rest)
{
	size_t shown = MB_MIN(n, top);

	*rest = (struct mb_track_bpf_who){ 0 };
	for (size_t i = shown; i < n; i++) {
		for (int k = 0; k < MB_DIRTY_KINDS; k++)
			rest->frames.n[k] += who[i].frames.n[k];
		rest->total += who[i].total;
	}
	return shown;
}

struct names {
	char process[32], cgroup[256];
};

/* Whoever runs a process chooses both: they go to terminals, and to JSON, which is UTF-8. */
static void name(const struct mb_track_bpf_who *w, struct names *ret)
{
	*ret = (struct names){ .process = "(others)" };
	if (!*w->by.comm)
		return;
	snprintf(ret->process, sizeof(ret->process), "%.*s", (int)sizeof(w->by.comm), w->by.comm);
	mb_cgroup_name(NULL, w->by.cgroup, ret->cgroup, sizeof(ret->cgroup));
	mb_printable(ret->process);
	mb_printable(ret->cgroup);
}

static json_t *row_json(const struct mb_track_bpf_who *w)
{
	json_t *kinds = json_object();
	struct names names;

	name(w, &names);
	for (int k = 0; k < MB_DIRTY_KINDS; k++) {
		if (w->frames.n[k])
			json_object_set_new(kinds, mb_dirty_kind_name(k),
					    json_integer((json_int_t)w->frames.n[k]));
	}
	return json_pack("{s:s, s:s, s:I, s:o}", "process", names.process, "cgroup", names.cgroup,
			 "frames", (json_int_t)w->total, "kinds", kinds);
}

static void print_json(const struct mb_track_bpf_report *r, const struct mb_track_bpf_who *who,
		       size_t shown, const struct mb_track_bpf_who *rest, const char *doubt,
		       uint64_t epoch, uint64_t ns)
{
	json_t *rows = json_array(), *line;

	for (size_t i = 0; i < shown; i++)
		json_array_append_new(rows, row_json(&who[i]));
	if (rest->total)
		json_array_append_new(rows, row_json(rest));
	line = json_pack("{s:I, s:f, s:I, s:o, s:o}", "epoch", (json_int_t)epoch, "seconds",
			 (double)ns / 1e9, "frames", (json_int_t)r->flagged, "doubt",
			 doubt ? json_string(doubt) : json_null(), "by", rows);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(line);
}

static void print_row(const struct mb_track_bpf_who *w)
{
	const char *before = "";
	struct names names;

	name(w, &names);
	printf("%-16s %-24.39s %8" PRIu64 "  ", names.process, names.cgroup, w->total);
	for (int k = 0; k < MB_DIRTY_KINDS; k++) {
		if (!w->frames.n[k])
			continue;
		printf("%s%" PRIu64 " %s", before, (uint64_t)w->frames.n[k], mb_dirty_kind_name(k));
		before = ", ";
	}
	putchar('\n');
}

static void print_table(const struct mb_track_bpf_report *r, const struct mb_track_bpf_who *who,
			size_t shown, const struct mb_track_bpf_who *rest, const char *doubt,
			uint64_t epoch, uint64_t ns)
{
	printf("epoch %" PRIu64 ", %.1f s: %" PRIu64 " frames dirtied%s%s\n", epoch,
	       (double)ns / 1e9, r->flagged, doubt ? "; maybe more: " : "", doubt ? doubt : "");
	printf("%-16s %-24s %8s  %s\n", "process", "cgroup", "frames", "by what, first");
	for (size_t i = 0; i < shown; i++)
		print_row(&who[i]);
	if (rest->total)
		print_row(rest);
	putchar('\n');
}

static int show(struct mb_tracker *t, const struct options *o, uint64_t epoch, uint64_t ns,
		struct mb_err *err)
{
	const struct mb_track_bpf_who *who;
	struct mb_track_bpf_report report;
	const struct mb_frame_set *dirty;
	struct mb_track_bpf_who rest;
	const char *doubt;
	size_t shown;
	int r = t->ops->epoch(t, &dirty, &doubt, err);

	if (r < 0 || !epoch)
		return r;
	mb_track_bpf_report(t, &report);
	shown = mb_track_bpf_who(t, &who);
	shown = fold(who, shown, o->top, &rest);
	(o->json ? print_json : print_table)(&report, who, shown, &rest, doubt, epoch, ns);
	return fflush(stdout) == 0 ? 0 : mb_fail(err, errno, "standard output: %m");
}

/* Kinds that this kernel does not let be told from others. */
static void say_untold(struct mb_tracker *t)
{
	struct mb_track_bpf_report r;

	mb_track_bpf_report(t, &r);
	for (size_t i = 0; i < mb_n_hooks; i++)
		if (mb_hooks[i].need == MB_NEED_WHO && r.hooks.name[i] &&
		    r.hooks.way[i] == MB_WAY_NONE)
			mb_info("not told apart here: %s", mb_hooks[i].followed);
}

/* Epoch 0 is what was before; it arms. */
static int watch(struct mb_tracker *t, struct mb_ticker *ticker, const struct options *o,
		 struct mb_err *err)
{
	uint64_t start_ns = mb_now_ns();

	for (uint64_t epoch = 0; !ticker->stop; epoch++) {
		uint64_t now = mb_now_ns();
		int r = show(t, o, epoch, now - start_ns, err);

		if (r < 0 || (o->epochs && epoch == o->epochs))
			return r;
		if (!epoch)
			mb_info("following; the first epoch ends in %g s",
				(double)o->interval_ns / 1e9);
		/* To arm may take seconds, which are not the first one's. */
		start_ns = epoch ? now : mb_now_ns();
		while (!ticker->stop && !ticker->epoch_now &&
		       (now = mb_now_ns()) < start_ns + o->interval_ns) {
			struct pollfd p = { .fd = ticker->fd, .events = POLLIN };

			poll(&p, 1,
			     (int)MB_MIN((start_ns + o->interval_ns - now) / 1000000 + 1,
					 3600000u));
			mb_ticker_take(ticker);
		}
		ticker->epoch_now = false;
	}
	return o->epochs ? mb_fail(err, EINTR, "stopped before %" PRIu64 " epochs", o->epochs) : 0;
}

int mb_cmd_dirty(int argc, char **argv)
{
	static const struct argp argp = {
		dirty_options,
		parse,
		NULL,
		"Says which processes have dirtied how many page frames, and by what: a frame "
		"counts "
		"once an epoch, for the first who did. By BPF; needs the module mbwalk, which says "
		"where frames are. Processes are slowed down by a fault for each page that they "
		"write "
		"to in an epoch.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { .interval_ns = 10000000000, .epochs = 1, .top = 20 };
	struct mb_ticker ticker = { .fd = -1 };
	struct mb_tracker *t = NULL;
	struct mb_err err = { 0 };
	int fd = -1, r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = mb_mbwalk_open_loaded(o.module, &fd, &err);
	if (r == 0)
		r = mb_track_bpf.open(&(struct mb_tracker_options){ o.btf, .who = 1 }, &t, &err);
	if (r == 0)
		r = mb_ticker_open(&ticker, &err);
	if (r == 0) {
		say_untold(t);
		r = watch(t, &ticker, &o, &err);
	}
	mb_ticker_close(&ticker);
	if (t)
		t->ops->close(t);
	if (fd >= 0)
		mb_mbwalk_close(fd);
	return r < 0 ? mb_agent_failed(&err) : MB_EXIT_OK;
}
