// SPDX-License-Identifier: GPL-2.0-or-later
/* Recorded traces, played again: a seed file is one epoch, a compact one has any number. */
#include "agent/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/file_list.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/trace.h"

struct trace {
	struct mb_source base;
	struct mb_file_list files;
	size_t n_opened; /* files[n_opened - 1] is the one being read */
	struct mb_file *file;
	struct mb_reader reader;
	struct mb_trace *trace;
	struct mb_source_info info; /* of the first file, but for memory_bytes */
	bool seed;

	/* The epoch */
	const struct mb_frame_set *only;
	const struct mb_page *pages; /* the trace's */
	size_t i, n;
};

static struct trace *to_trace(struct mb_source *s)
{
	return (struct trace *)s; /* embedded first */
}

static int trace_check(char ret_found[MB_FOUND_MAX], struct mb_err *err)
{
	(void)ret_found;
	(void)err;
	return 0;
}

static void close_file(struct trace *t)
{
	mb_trace_close(t->trace);
	mb_file_close(t->file);
	t->trace = NULL;
	t->file = NULL;
}

static void trace_close(struct mb_source *s)
{
	struct trace *t = to_trace(s);

	close_file(t);
	mb_file_list_deinit(&t->files);
	free(t);
}

static const char *kind(bool seed)
{
	return seed ? "a seed trace" : "a compact trace";
}

static int open_file(struct trace *t, const char *path, struct mb_err *err)
{
	int r;

	close_file(t);
	r = mb_file_open(path, &t->file, err);
	if (r < 0)
		return r;
	t->reader = mb_file_reader(t->file);
	r = mb_trace_open(&t->reader, &t->trace, err);
	return r < 0 ? mb_fail_in(err, r, "%s", path) : 0;
}

/* All files must agree with the first: the pass was told what that one says. */
static int open_next(struct trace *t, struct mb_err *err)
{
	const char *first = t->files.paths[0], *path = t->files.paths[t->n_opened];
	int r = open_file(t, path, err);

	if (r < 0)
		return r;
	r = mb_identity_compare(&t->info.identity, &mb_trace_get_header(t->trace)->identity, err);
	if (r < 0)
		mb_fail_in(err, r, "%s, compared with %s", first, path);
	else if (mb_trace_is_seed(t->trace) != t->seed)
		r = mb_fail(err, EINVAL, "%s is %s, but %s is %s", first, kind(t->seed), path,
			    kind(!t->seed));
	else if (mb_trace_get_header(t->trace)->stable_frames != t->info.stable_frames)
		r = mb_fail(err, EINVAL, "%s and %s: frames are stable in one of them only", first,
			    path);
	if (r < 0)
		close_file(t);
	else
		t->n_opened++;
	return r;
}

static int open_first(struct trace *t, const char *arg, struct mb_err *err)
{
	const struct mb_trace_header *h;
	char more[40] = "";
	int r = mb_file_list_init(&t->files, arg, err);

	if (r < 0)
		return r;
	r = open_file(t, t->files.paths[0], err);
	if (r < 0)
		return r;
	t->n_opened = 1;
	t->seed = mb_trace_is_seed(t->trace);
	h = mb_trace_get_header(t->trace);
	t->info = (struct mb_source_info){
		.memory_bytes = h->memory_bytes,
		.stable_frames = h->stable_frames,
		.identity = h->identity,
	};
	snprintf(t->info.vm, sizeof(t->info.vm), "%s", h->vm);
	if (t->files.n > 1)
		snprintf(more, sizeof(more), " and %zu more", t->files.n - 1);
	snprintf(t->info.text, sizeof(t->info.text), "%s, %.100s%s", kind(t->seed) + 2,
		 t->files.paths[0], more);
	return 0;
}

static int trace_open(const char *arg, const struct mb_source_options *options,
		      struct mb_source **ret, struct mb_err *err)
{
	struct trace *t;
	int r;

	if (options->parts > 1)
		return mb_fail(err, ENOTSUP,
			       "a trace has the digests that it has, no parts of pages");
	t = calloc(1, sizeof(*t));
	if (!t)
		return mb_fail_mem(err, "a source");
	t->base.ops = &mb_source_trace;
	r = open_first(t, arg, err);
	if (r < 0) {
		trace_close(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}

static void trace_describe(struct mb_source *s, struct mb_source_info *ret)
{
	*ret = to_trace(s)->info;
}

/* Now, not in read(): an epoch that is cut short or damaged is refused before its first page. */
static int next_epoch(struct trace *t, struct mb_err *err)
{
	struct mb_trace_epoch epoch;
	int r;

	for (;;) {
		/* None is open after one that failed: it fails again. */
		r = t->trace ? mb_trace_next(t->trace, &t->pages, &t->n, &epoch, err) : -ENODATA;
		t->info.taken_unix_ns = r == 0 ? epoch.pass.taken_unix_ns : 0;
		if (r != -ENODATA)
			break;
		if (t->n_opened == t->files.n)
			return mb_fail(err, ENODATA, "no further epoch in the trace");
		r = open_next(t, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? mb_fail_in(err, r, "%s", t->files.paths[t->n_opened - 1]) : 0;
}

static int trace_begin(struct mb_source *s, const struct mb_frame_set *only, struct mb_err *err)
{
	struct trace *t = to_trace(s);
	uint64_t header_bytes;
	int r;

	t->only = only;
	t->i = t->n = 0;
	r = next_epoch(t, err);
	if (r < 0) {
		t->n = 0;
		return r;
	}
	header_bytes = mb_trace_get_header(t->trace)->memory_bytes;
	t->info.memory_bytes = header_bytes ? header_bytes : t->n * t->info.identity.page_bytes;
	return 0;
}

static int trace_read(struct mb_source *s, struct mb_page *pages, size_t cap, size_t *ret_n,
		      struct mb_err *err)
{
	struct trace *t = to_trace(s);
	size_t n = 0;

	(void)err;
	for (; t->i < t->n && n < cap; t->i++)
		if (mb_frame_set_has(t->only, t->pages[t->i].frame))
			pages[n++] = t->pages[t->i];
	*ret_n = n;
	return 0;
}

/* A trace has only what was read. */
static void trace_unread(struct mb_source *s, uint64_t ret[MB_UNREAD_REASONS])
{
	(void)s;
	memset(ret, 0, MB_UNREAD_REASONS * sizeof(*ret));
}

static double trace_progress(struct mb_source *s)
{
	struct trace *t = to_trace(s);

	return t->n ? (double)t->i / (double)t->n : 1;
}

const struct mb_source_ops mb_source_trace = {
	.scheme = "trace",
	.syntax = "trace:FILE[,FILE...]",
	.summary = "recorded traces, compact or the seed's, plain or zstd (no comma in names)",
	.check = trace_check,
	.open = trace_open,
	.close = trace_close,
	.describe = trace_describe,
	.begin = trace_begin,
	.read = trace_read,
	.unread = trace_unread,
	.progress = trace_progress,
};
