// SPDX-License-Identifier: GPL-2.0-or-later
/* ELF core files, each an epoch: a guest dumped by its VM monitor, or a process. */
#include "agent/source.h"

#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core_file.h"
#include "agent/file_list.h"
#include "agent/parts.h"
#include "proto/base/cleanup.h"

enum { BATCH_PAGES = 256 };

struct elf {
	struct mb_source base;
	struct mb_parts parts;
	struct mb_file_list files;
	size_t n_begun; /* files[n_begun - 1] is the epoch's */
	struct mb_core core;
	bool physical; /* all files alike, so that frames mean the same */
	uint64_t memory_bytes, data_pages;
	uint8_t *content;	/* BATCH_PAGES of them; owned */
	struct mb_page *hashed; /* their parts; owned */

	/* The epoch; read with pread: mapped, a file that is cut meanwhile would kill us. */
	const struct mb_frame_set *only;
	size_t segment;
	uint64_t page; /* of the segment, the next one */
	uint64_t passed_pages;
	uint64_t unread[MB_UNREAD_REASONS];
	struct mb_page batch[BATCH_PAGES];
	size_t batch_i, batch_n; /* of hashed[] */
};

static struct elf *to_elf(struct mb_source *s)
{
	return (struct elf *)s; /* embedded first */
}

static int elf_check(char ret_found[MB_FOUND_MAX], struct mb_err *err)
{
	(void)ret_found;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return mb_fail(err, ENOTSUP, "libelf: %s", elf_errmsg(-1));
	return 0;
}

static void elf_close(struct mb_source *s)
{
	struct elf *e = to_elf(s);

	mb_core_close(&e->core);
	mb_file_list_deinit(&e->files);
	free(e->content);
	free(e->hashed);
	free(e);
}

static int open_file(struct elf *e, size_t i, struct mb_err *err)
{
	int r;

	mb_core_close(&e->core);
	r = mb_core_open(&e->core, e->files.paths[i], err);
	if (r < 0)
		return r;
	if (i && e->core.physical != e->physical) {
		mb_core_close(&e->core);
		return mb_fail(
			err, EINVAL,
			"%s is the core of a %s, but %s of a %s: their frames are not the same",
			e->files.paths[i], e->physical ? "process" : "machine", e->files.paths[0],
			e->physical ? "machine" : "process");
	}
	e->physical = e->core.physical;
	e->memory_bytes = e->data_pages = 0;
	for (size_t k = 0; k < e->core.n; k++) {
		e->memory_bytes += e->core.segments[k].pages * MB_PAGE_BYTES;
		e->data_pages += e->core.segments[k].data_pages;
	}
	return 0;
}

static int open_first(struct elf *e, const char *arg, const struct mb_source_options *options,
		      struct mb_err *err)
{
	int r = mb_parts_init(&e->parts, options->algorithm, MB_PAGE_BYTES, options->parts, err);

	if (r < 0)
		return r;
	e->content = malloc(BATCH_PAGES * MB_PAGE_BYTES);
	e->hashed = calloc((size_t)BATCH_PAGES * e->parts.n, sizeof(*e->hashed));
	if (!e->content || !e->hashed)
		return mb_fail_mem(err, "a buffer");
	r = mb_file_list_init(&e->files, arg, err);
	return r < 0 ? r : open_file(e, 0, err);
}

static int elf_open(const char *arg, const struct mb_source_options *options,
		    struct mb_source **ret, struct mb_err *err)
{
	struct elf *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return mb_fail_mem(err, "a source");
	e->base.ops = &mb_source_elf;
	e->core.fd = -1;
	r = open_first(e, arg, options, err);
	if (r < 0) {
		elf_close(&e->base);
		return r;
	}
	*ret = &e->base;
	return 0;
}

static void elf_describe(struct mb_source *s, struct mb_source_info *ret)
{
	struct elf *e = to_elf(s);
	char more[40] = "";

	*ret = (struct mb_source_info){
		.memory_bytes = e->memory_bytes,
		.stable_frames = true,
		.identity = e->parts.identity,
	};
	if (e->files.n > 1)
		snprintf(more, sizeof(more), " and %zu more", e->files.n - 1);
	snprintf(ret->text, sizeof(ret->text), "ELF core of a %s, %.70s%s, %" PRIu64 " MiB",
		 e->physical ? "machine" : "process", e->files.paths[0], more,
		 e->memory_bytes >> 20);
}

static int elf_begin_epoch(struct mb_source *s, const struct mb_frame_set *only, struct mb_err *err)
{
	struct elf *e = to_elf(s);
	int r;

	e->only = only;
	e->segment = e->core.n;
	e->page = e->passed_pages = 0;
	e->batch_i = e->batch_n = 0;
	memset(e->unread, 0, sizeof(e->unread));
	if (e->n_begun == e->files.n)
		return mb_fail(err, ENODATA, "no further core file");
	/* The first one was opened at once, to have errors early. */
	if (e->n_begun) {
		r = open_file(e, e->n_begun, err);
		if (r < 0) {
			e->segment = e->core.n;
			return r;
		}
	}
	e->n_begun++;
	e->segment = 0;
	return 0;
}

/* How many of the frames are to be read; headers may name more than one can count one by one. */
static uint64_t count_wanted(const struct mb_frame_set *only, uint64_t first, uint64_t n)
{
	uint64_t count = n, from, to;

	if (!only)
		return n;
	from = MB_MAX(first, only->first);
	to = MB_MIN(first + n, only->first + only->n);
	for (; from < to; from++)
		count -= !mb_frame_set_has(only, from);
	return count;
}

static void skip_segment(struct elf *e)
{
	const struct mb_core_segment *seg = &e->core.segments[e->segment++];

	e->unread[MB_UNREAD_NO_DATA] +=
		count_wanted(e->only, seg->frame + e->page, seg->pages - e->page);
	e->page = 0;
}

/* The next wanted pages that are side by side in the file. */
static size_t next_piece(struct elf *e, uint64_t *ret_offset)
{
	for (; e->segment < e->core.n; skip_segment(e)) {
		const struct mb_core_segment *seg = &e->core.segments[e->segment];
		size_t n = 0;

		for (; e->page < seg->data_pages && n < BATCH_PAGES; e->page++, e->passed_pages++) {
			uint64_t frame = seg->frame + e->page;

			if (!mb_frame_set_has(e->only, frame)) {
				if (n)
					break;
				continue;
			}
			if (!n)
				*ret_offset = seg->file_offset + e->page * MB_PAGE_BYTES;
			e->batch[n++] = (struct mb_page){ .frame = frame };
		}
		if (n)
			return n;
	}
	return 0;
}

static int read_piece(struct elf *e, uint64_t offset, size_t n, struct mb_err *err)
{
	size_t bytes = n * MB_PAGE_BYTES, have = 0;

	while (have < bytes) {
		ssize_t got =
			pread(e->core.fd, e->content + have, bytes - have, (off_t)(offset + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return mb_fail(err, errno, "%s: at byte %" PRIu64 ": %m",
				       e->files.paths[e->n_begun - 1], offset + have);
		if (got == 0)
			break;
		have += (size_t)got;
	}
	/* It was all there when it was opened. */
	e->unread[MB_UNREAD_NO_DATA] += n - have / MB_PAGE_BYTES;
	for (size_t i = 0; i < have / MB_PAGE_BYTES; i++)
		mb_parts_hash(&e->parts, &e->batch[i], e->content + i * MB_PAGE_BYTES,
			      e->hashed + i * e->parts.n);
	e->batch_i = 0;
	e->batch_n = have / MB_PAGE_BYTES * e->parts.n;
	return 0;
}

static int elf_read(struct mb_source *s, struct mb_page *pages, size_t cap, size_t *ret_n,
		    struct mb_err *err)
{
	struct elf *e = to_elf(s);

	*ret_n = 0;
	for (;;) {
		size_t n = MB_MIN(cap - *ret_n, e->batch_n - e->batch_i);
		uint64_t offset = 0;
		int r;

		memcpy(pages + *ret_n, e->hashed + e->batch_i, n * sizeof(*pages));
		e->batch_i += n;
		*ret_n += n;
		if (*ret_n == cap)
			return 0;
		e->batch_i = e->batch_n = 0;
		n = next_piece(e, &offset);
		if (n == 0)
			return 0;
		r = read_piece(e, offset, n, err);
		if (r < 0)
			return r;
	}
}

static void elf_unread(struct mb_source *s, uint64_t ret[MB_UNREAD_REASONS])
{
	memcpy(ret, to_elf(s)->unread, sizeof(to_elf(s)->unread));
}

static double elf_progress(struct mb_source *s)
{
	struct elf *e = to_elf(s);

	if (e->segment == e->core.n)
		return 1;
	return e->data_pages ? (double)e->passed_pages / (double)e->data_pages : 0;
}

const struct mb_source_ops mb_source_elf = {
	.scheme = "elf",
	.syntax = "elf:FILE[,FILE...]",
	.summary = "ELF core files, one epoch each: QEMU's dump-guest-memory, gcore (no comma in "
		   "names)",
	.check = elf_check,
	.open = elf_open,
	.close = elf_close,
	.describe = elf_describe,
	.begin = elf_begin_epoch,
	.read = elf_read,
	.unread = elf_unread,
	.progress = elf_progress,
};
