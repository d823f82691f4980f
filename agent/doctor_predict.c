// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor_predict.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/pagemap.h"
#include "agent/source.h"
#include "proto/base/cleanup.h"

enum { BATCH_PAGES = 256 };

/* Of /proc/kpageflags: Documentation/admin-guide/mm/pagemap.rst */
#define FLAG_KSM	(1ull << 21)
#define FLAG_THP	(1ull << 22)
#define FLAG_ZERO_PAGE	(1ull << 24)
#define ZERO_PAGE_FRAME UINT64_MAX

struct reader {
	const struct mb_doctor_process *process;
	uint32_t index;
	struct mb_source *source;
	struct mb_pagemap pagemap;
	int flags; /* /proc/kpageflags; -1: hidden */
	bool frames;
	struct mb_gap_pages *to;
};

static void close_reader(struct reader *r)
{
	if (r->source)
		r->source->ops->close(r->source);
	mb_pagemap_close(&r->pagemap);
}

static const struct mb_map *map_of(const struct mb_maps *maps, uint64_t at)
{
	size_t low = 0, high = maps->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (maps->maps[mid].end <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low < maps->n && maps->maps[low].start <= at ? &maps->maps[low] : NULL;
}

/* What the page's frame says, beyond its mapping. */
static void look_at_frame(struct reader *r, uint64_t entry, struct mb_gap_page *page)
{
	uint64_t frame = entry & MB_ENTRY_PRESENT ? MB_ENTRY_FRAME(entry) : 0, flags;

	if (r->flags < 0 || !frame ||
	    pread(r->flags, &flags, sizeof(flags), (off_t)(frame * sizeof(flags))) != sizeof(flags))
		return;
	r->frames = true;
	page->frame = frame;
	if (flags & FLAG_ZERO_PAGE) {
		page->frame = ZERO_PAGE_FRAME;
		page->state = MB_GAP_ZERO_PAGE;
	} else if (flags & FLAG_KSM) {
		page->state = MB_GAP_MERGED;
	} else if (flags & FLAG_THP && page->state == MB_GAP_WAITING) {
		page->state = MB_GAP_HUGE;
	}
}

static int take(struct reader *r, const struct mb_page *pages, size_t n, struct mb_err *err)
{
	uint64_t entries[BATCH_PAGES];

	for (size_t i = 0, end; i < n; i = end) {
		int got;

		for (end = i + 1; end < n && pages[end].frame == pages[end - 1].frame + 1; end++)
			;
		got = mb_pagemap_read(&r->pagemap, pages[i].frame * MB_PAGE_BYTES, entries, end - i,
				      err);
		if (got < 0)
			return got;
		for (size_t k = i; k < end; k++) {
			const struct mb_map *m =
				map_of(&r->process->ram, pages[k].frame * MB_PAGE_BYTES);
			struct mb_gap_page page = { .digest = pages[k].digest,
						    .process = r->index };
			int added;

			if (!m)
				continue;
			page.state = mb_doctor_state_of(m);
			look_at_frame(r, k - i < (size_t)got ? entries[k - i] : 0, &page);
			added = mb_gap_pages_add(r->to, &page, err);
			if (added < 0)
				return added;
		}
	}
	return 0;
}

static int open_reader(struct reader *r, struct mb_err *err)
{
	const struct mb_source_options options = { .algorithm = MB_XXH64 };
	mb_autoclose int dir = -1;
	char text[48];
	int ret;

	snprintf(text, sizeof(text), "/proc/%d", r->process->pid);
	dir = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return mb_fail(err, errno, "%s: %m", text);
	ret = mb_pagemap_open(&r->pagemap, dir, err);
	if (ret < 0)
		return mb_fail_in(err, ret, "process %d", r->process->pid);
	/* By virtual address, so that each page is found in pagemap. */
	snprintf(text, sizeof(text), "process:%d,all", r->process->pid);
	return mb_source_open(text, &options, &r->source, err);
}

static int read_process(struct reader *r, uint64_t *ret_zero_digest, struct mb_err *err)
{
	struct mb_page pages[BATCH_PAGES];
	struct mb_source_info info;
	size_t n;
	int ret = open_reader(r, err);

	if (ret < 0)
		return ret;
	r->source->ops->describe(r->source, &info);
	*ret_zero_digest = info.identity.zero_digest;
	ret = r->source->ops->begin(r->source, NULL, err);
	while (ret == 0) {
		ret = r->source->ops->read(r->source, pages, BATCH_PAGES, &n, err);
		if (ret == 0 && !n)
			break;
		if (ret == 0)
			ret = take(r, pages, n, err);
	}
	return ret;
}

int mb_doctor_predict(struct mb_doctor_processes *p, struct mb_gap *ret, bool *ret_frames,
		      struct mb_err *err)
{
	mb_cleanup(mb_gap_pages_deinit) struct mb_gap_pages pages = { 0 };
	mb_autofree uint64_t(*lost)[MB_GAP_STATES] = calloc(p->n + 1, sizeof(*lost));
	mb_autoclose int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t zero_digest = 0;
	int r = lost ? 0 : mb_fail_mem(err, "a list of processes");

	*ret_frames = false;
	for (size_t i = 0; i < p->n && r == 0; i++) {
		mb_cleanup(close_reader) struct reader reader = {
			.process = &p->list[i],
			.index = (uint32_t)i,
			.pagemap.fd = -1,
			.flags = flags,
			.to = &pages,
		};

		r = read_process(&reader, &zero_digest, err);
		*ret_frames |= reader.frames;
	}
	if (r < 0)
		return r;
	mb_gap_count(&pages, zero_digest, lost, ret);
	for (size_t i = 0; i < p->n; i++)
		memcpy(p->list[i].lost, lost[i], sizeof(lost[i]));
	return 0;
}
