// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/trace_file.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"

int mb_trace_file_open(struct mb_trace_file *t, const char *path, struct mb_err *err)
{
	int r;

	*t = (struct mb_trace_file){ .path = path };
	r = mb_file_open(path, &t->file, err);
	if (r < 0)
		return r;
	t->reader = mb_file_reader(t->file);
	r = mb_trace_open(&t->reader, &t->trace, err);
	if (r == 0)
		return 0;
	mb_trace_file_close(t);
	return mb_fail_in(err, r, "%s", path);
}

void mb_trace_file_close(struct mb_trace_file *t)
{
	mb_trace_close(t->trace);
	if (t->file)
		mb_file_close(t->file);
	*t = (struct mb_trace_file){ 0 };
}

const struct mb_trace_header *mb_trace_file_header(const struct mb_trace_file *t)
{
	return mb_trace_get_header(t->trace);
}

int mb_trace_file_next(struct mb_trace_file *t, struct mb_err *err)
{
	struct mb_trace_epoch e;
	int r = mb_trace_next(t->trace, &t->pages, &t->n_pages, &e, err);

	if (r < 0)
		return r == -ENODATA ? r : mb_fail_in(err, r, "%s", t->path);
	t->epoch = mb_trace_is_seed(t->trace) ? 1 : e.epoch;
	t->taken_ns = e.pass.taken_unix_ns;
	return 0;
}

int mb_trace_file_fingerprint(const struct mb_trace_file *t, struct mb_fingerprint *ret,
			      struct mb_err *err)
{
	mb_autofree uint64_t *digests = malloc((t->n_pages + 1) * sizeof(*digests));

	if (!digests)
		return mb_fail_mem(err, "a trace's digests");
	for (size_t i = 0; i < t->n_pages; i++)
		digests[i] = t->pages[i].digest;
	return mb_fingerprint_from_digests(ret, digests, t->n_pages, err);
}
