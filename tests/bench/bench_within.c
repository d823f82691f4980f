// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Of a trace's first epoch what lies in the page frames that another trace has; its pages may be
 * parts of pages. So tests/bench/parts leaves out the memory of the agent that recorded them.
 * usage: bench_within FRAMES_TRACE TRACE OUT
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/fingerprint.h"
#include "proto/trace.h"

enum { BATCH = 1 << 20 };

struct input {
	struct mb_file *file;
	struct mb_reader reader;
	struct mb_trace *trace;
	const struct mb_page *pages;
	size_t n;
	uint32_t parts; /* of a page of MB_PAGE_BYTES */
	struct mb_trace_epoch epoch;
};

static int open_input(const char *path, struct input *in, struct mb_err *err)
{
	int r = mb_file_open(path, &in->file, err);

	if (r < 0)
		return r;
	in->reader = mb_file_reader(in->file);
	r = mb_trace_open(&in->reader, &in->trace, err);
	if (r == 0)
		r = mb_trace_next(in->trace, &in->pages, &in->n, &in->epoch, err);
	if (r < 0)
		return mb_fail_in(err, r, "%s", path);
	in->parts = MB_PAGE_BYTES / mb_trace_get_header(in->trace)->identity.page_bytes;
	return in->parts ? 0 : mb_fail(err, EINVAL, "%s: pages of another size", path);
}

/* Both ascend. */
static size_t keep(const struct input *frames, const struct input *in, struct mb_page *kept)
{
	size_t n = 0, f = 0;

	for (size_t i = 0; i < in->n; i++) {
		uint64_t frame = in->pages[i].frame / in->parts;

		while (f < frames->n && frames->pages[f].frame / frames->parts < frame)
			f++;
		if (f < frames->n && frames->pages[f].frame / frames->parts == frame)
			kept[n++] = in->pages[i];
	}
	return n;
}

static int close_epoch(const struct mb_page *kept, size_t n, struct mb_trace_epoch *epoch,
		       struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	mb_autofree uint64_t *digests = malloc((n + 1) * sizeof(*digests));
	int r;

	if (!digests)
		return mb_fail_mem(err, "digests");
	for (size_t i = 0; i < n; i++)
		digests[i] = kept[i].digest;
	r = mb_fingerprint_from_digests(&fp, digests, n, err);
	if (r == 0)
		epoch->fingerprint = mb_fingerprint_id(&fp);
	return r;
}

static int put(const struct input *frames, const struct input *in, struct mb_buf *out,
	       struct mb_err *err)
{
	mb_autofree struct mb_page *kept = malloc((in->n + 1) * sizeof(*kept));
	struct mb_trace_epoch epoch = in->epoch;
	size_t n;
	int r;

	if (!kept)
		return mb_fail_mem(err, "pages");
	n = keep(frames, in, kept);
	r = mb_trace_put_header(mb_trace_get_header(in->trace), out, err);
	for (size_t i = 0; r == 0 && i < n; i += BATCH)
		r = mb_trace_put_pages(kept + i, MB_MIN(n - i, (size_t)BATCH), out, err);
	if (r == 0)
		r = close_epoch(kept, n, &epoch, err);
	return r < 0 ? r : mb_trace_put_epoch(&epoch, out, err);
}

int main(int argc, char **argv)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf out = { 0 };
	struct input frames = { 0 }, in = { 0 };
	struct mb_err err = { 0 };
	FILE *to;

	if (argc != 4) {
		fprintf(stderr, "usage: %s FRAMES_TRACE TRACE OUT\n", argv[0]);
		return 2;
	}
	if (open_input(argv[1], &frames, &err) < 0 || open_input(argv[2], &in, &err) < 0 ||
	    put(&frames, &in, &out, &err) < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], err.text);
		return 1;
	}
	to = fopen(argv[3], "w");
	if (!to || fwrite(out.data, 1, out.len, to) != out.len || fclose(to) != 0) {
		perror(argv[3]);
		return 1;
	}
	return 0;
}
