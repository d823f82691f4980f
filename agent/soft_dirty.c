// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/soft_dirty.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/maps.h"
#include "agent/pagemap.h"
#include "agent/processes.h"
#include "agent/write_protect.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/digest.h"
#include "proto/multiset_hash.h"

enum {
	ENTRIES = 4096,
	COUNTS = 512, /* a multiple of 64 */
	/* A mapping of so many times the memory there is, read entry by entry, is left out. */
	SPARSE = 64,
};

/*
 * A frame's tag: a number for the first place that it was seen at, and how many there are. The
 * first is that of the oldest process as a rule, so that children come and go and the tag remains.
 */
#define PLACE(tag)  ((tag) >> 8)
#define PLACES(tag) ((tag)&255)
#define PLACES_MAX  255 /* or more */

/* All in one mapping of our own, so that it is known which pages change while we look. */
struct mb_soft_dirty {
	size_t bytes; /* of it */
	const char *proc;
	uint64_t n;
	int counts_fd;
	unsigned int broken;
	bool known;
	struct mb_frame_set dirty; /* words: [n] bits, while looking: some mapping is soft-dirty */
	uint64_t *now, *before;	   /* [n] tags */
	struct mb_soft_dirty_report report;
	uint64_t entries[ENTRIES];
	uint64_t counts[COUNTS];
};

static size_t whole_pages(uint64_t bytes)
{
	return (bytes + MB_PAGE_BYTES - 1) / MB_PAGE_BYTES * MB_PAGE_BYTES;
}

static size_t tags_bytes(const struct mb_soft_dirty *s)
{
	return whole_pages(s->n * sizeof(*s->now));
}

int mb_soft_dirty_open(const char *proc, uint64_t n_frames, struct mb_soft_dirty **ret,
		       struct mb_err *err)
{
	/* Whole chunks: no frame needs to be looked at alone. */
	uint64_t n = (n_frames + COUNTS - 1) / COUNTS * COUNTS;
	size_t head = whole_pages(sizeof(struct mb_soft_dirty));
	size_t set = whole_pages(n / 8), tags = whole_pages(n * sizeof(uint64_t));
	struct mb_soft_dirty *s;
	char path[256];

	if (!n_frames || n_frames > (uint64_t)1 << 40)
		return mb_fail(err, E2BIG, "no set for %" PRIu64 " frames", n_frames);
	/* What nobody maps is not touched. */
	s = mmap(NULL, head + set + 2 * tags, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s == MAP_FAILED)
		return mb_fail_mem(err, "tags of all frames");
	s->bytes = head + set + 2 * tags;
	s->proc = proc;
	s->n = n;
	s->dirty.n = n_frames;
	s->dirty.words = (void *)((char *)s + head);
	s->now = (void *)((char *)s + head + set);
	s->before = (void *)((char *)s + head + set + tags);
	snprintf(path, sizeof(path), "%s/kpagecount", proc);
	s->counts_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->counts_fd < 0) {
		int r = mb_fail(err, errno, "%s: %m%s", path,
				errno == ENOENT ? ": the kernel is without PROC_PAGE_MONITOR" : "");

		mb_soft_dirty_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void mb_soft_dirty_close(struct mb_soft_dirty *s)
{
	mb_closep(&s->counts_fd);
	munmap(s, s->bytes);
}

void mb_soft_dirty_break(struct mb_soft_dirty *s, unsigned int what)
{
	s->broken = what;
}

/* --- one process --- */

static int count(struct mb_soft_dirty *s, uint64_t entry, uint64_t place, struct mb_err *err)
{
	uint64_t frame = MB_ENTRY_FRAME(entry);

	if (!(entry & MB_ENTRY_PRESENT) || entry & (MB_ENTRY_SWAPPED | MB_ENTRY_FILE))
		return 0;
	if (!frame)
		return mb_fail(err, EPERM, "pagemap hides frames: CAP_SYS_ADMIN is needed");
	if (frame >= s->dirty.n)
		return 0;
	s->report.mappings++;
	if (!s->now[frame])
		s->now[frame] = mb_mix64(place) << 8 | 1;
	else if (PLACES(s->now[frame]) < PLACES_MAX)
		s->now[frame]++;
	if (entry & MB_ENTRY_SOFT_DIRTY) {
		s->report.written++;
		s->dirty.words[frame / 64] |= 1ull << (frame % 64);
	}
	return 0;
}

static int read_run(struct mb_soft_dirty *s, const struct mb_pagemap *pm, uint64_t process,
		    uint64_t start, uint64_t end, struct mb_err *err)
{
	while (start < end) {
		size_t want = MB_MIN((end - start) / MB_PAGE_BYTES, ENTRIES);
		int n = mb_pagemap_read(pm, start, s->entries, want, err);

		for (int i = 0; i < n; i++, start += MB_PAGE_BYTES) {
			int r = count(s, s->entries[i], process + start, err);

			if (r < 0)
				return r;
		}
		if (n < 0)
			return n;
	}
	return 0;
}

static int read_range(struct mb_soft_dirty *s, struct mb_pagemap *pm, uint64_t process,
		      uint64_t start, uint64_t end, struct mb_err *err)
{
	struct mb_run run;
	int r = 0;

	if (start >= end)
		return 0;
	if (!pm->scan)
		return (end - start) / MB_PAGE_BYTES / SPARSE > s->n ?
			       0 :
			       read_run(s, pm, process, start, end, err);
	mb_pagemap_seek(pm, start, end);
	while (r == 0 && (r = mb_pagemap_next(pm, &run, err)) == 0) {
		if (!run.swapped)
			r = read_run(s, pm, process, run.start, run.end, err);
	}
	return r == -ENODATA ? 0 : r;
}

/* Private pages only, and where there can be any. What is left out is dirty. */
static bool is_wanted(const struct mb_map *map)
{
	return !map->shared && (map->readable || map->writable) && map->end <= INT64_MAX;
}

static int read_maps(struct mb_soft_dirty *s, const struct mb_process *p, struct mb_maps *maps,
		     struct mb_pagemap *pm, struct mb_err *err)
{
	const bool own = atoi(p->id) == getpid();
	const uint64_t own_start = own ? (uintptr_t)s : UINT64_MAX;
	const uint64_t own_end = own ? own_start + s->bytes : UINT64_MAX;
	struct mb_process_stat stat;
	uint64_t process;
	int r = mb_process_stat(p->dir, &stat);

	if (r < 0)
		return r;
	process = mb_mix64(mb_mix64((uint64_t)atoi(p->id)) + stat.start);
	for (size_t i = 0; i < maps->n && r == 0; i++) {
		const struct mb_map *map = &maps->maps[i];

		if (!is_wanted(map))
			continue;
		/* What we write to meanwhile is dirty. */
		r = read_range(s, pm, process, map->start, MB_MIN(map->end, own_start), err);
		if (r == 0)
			r = read_range(s, pm, process, MB_MAX(map->start, own_end), map->end, err);
	}
	return r;
}

static int list_maps(const struct mb_process *p, struct mb_maps *maps, struct mb_err *err)
{
	mb_autoclose int fd = openat(p->dir, "maps", O_RDONLY | O_CLOEXEC);
	mb_autofclose FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f)
		return mb_fail(err, errno, "maps: %m");
	mb_take_fd(fd);
	return mb_maps_parse(f, maps, err);
}

/* All else comes first: from the first entry read to the clearing no more time than needed. */
static int look_at(struct mb_soft_dirty *s, const struct mb_process *p, struct mb_maps *maps,
		   struct mb_err *err)
{
	struct mb_pagemap pm;
	bool alive;
	int r = list_maps(p, maps, err);

	/* The kernel's threads have none, nor what has ended. */
	if (r < 0 || !maps->n)
		return r;
	r = mb_pagemap_open(&pm, p->dir, err);
	if (r < 0)
		return r;
	r = read_maps(s, p, maps, &pm, err);
	/* The number may be another's by now, whose pages nobody has read. */
	alive = r == 0 && mb_pagemap_alive(&pm);
	mb_pagemap_close(&pm);
	if (!alive)
		return r;
	if (!(s->broken & MB_BREAK_CLEAR))
		r = mb_write_protect(p, err);
	return r < 0 ? r : 1;
}

static int visit(void *arg, const struct mb_process *p, struct mb_err *err)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps maps = { 0 };
	struct mb_err why = { 0 };
	int r = look_at(arg, p, &maps, &why);

	if (r >= 0 || mb_process_is_gone(-r))
		return MB_MAX(r, 0);
	return mb_fail(err, -r, "%s%s", why.text,
		       r == -EACCES ? ": CAP_SYS_PTRACE and CAP_DAC_OVERRIDE are needed" : "");
}

/* --- all frames --- */

/* The counter of what the frame is. */
static uint64_t *judge(struct mb_soft_dirty *s, uint64_t frame, uint64_t mappings)
{
	struct mb_soft_dirty_report *r = &s->report;

	if (s->dirty.words[frame / 64] >> (frame % 64) & 1)
		return &r->dirty;
	if (mappings >= PLACES_MAX || PLACES(s->now[frame]) != mappings)
		return &r->unseen;
	if (PLACE(s->now[frame]) != PLACE(s->before[frame]) && !(s->broken & MB_BREAK_PLACE))
		return &r->moved;
	return &r->clean;
}

static bool is_mapped(const struct mb_soft_dirty *s, uint64_t first)
{
	for (uint64_t frame = first; frame < first + COUNTS; frame++) {
		if (s->now[frame])
			return true;
	}
	return false;
}

/* The frames [first, first + COUNTS). */
static int judge_chunk(struct mb_soft_dirty *s, uint64_t first, struct mb_err *err)
{
	uint64_t *words = s->dirty.words + first / 64;
	ssize_t got;

	if (!is_mapped(s, first)) {
		memset(words, 0xff, COUNTS / 8);
		return 0;
	}
	/* It may end before the last frame does. */
	memset(s->counts, 0, sizeof(s->counts));
	got = pread(s->counts_fd, s->counts, sizeof(s->counts),
		    (off_t)(first * sizeof(*s->counts)));
	if (got < 0)
		return mb_fail(err, errno, "%s/kpagecount: %m", s->proc);
	for (uint64_t i = 0; i < COUNTS; i++) {
		uint64_t *kind = s->now[first + i] ? judge(s, first + i, s->counts[i]) : NULL;

		if (kind)
			++*kind;
		if (kind != &s->report.clean)
			words[i / 64] |= 1ull << (i % 64);
	}
	return 0;
}

static int look(struct mb_soft_dirty *s, struct mb_err *err)
{
	uint64_t *was = s->before;
	int r;

	s->before = s->now;
	s->now = was;
	/* Gives back what was touched. */
	if (madvise(s->now, tags_bytes(s), MADV_DONTNEED) < 0)
		return mb_fail(err, errno, "tags of all frames: %m");
	memset(s->dirty.words, 0, s->n / 8);
	r = mb_processes_each(s->proc, visit, s, &s->report.processes, err);
	for (uint64_t first = 0; first < s->n && r == 0; first += COUNTS)
		r = judge_chunk(s, first, err);
	return r;
}

int mb_soft_dirty_look(struct mb_soft_dirty *s, const struct mb_frame_set **ret_dirty,
		       bool *ret_known, struct mb_soft_dirty_report *ret, struct mb_err *err)
{
	uint64_t start_ns = mb_now_ns();
	int r;

	/* Bits that a look has cleared before it failed are lost. */
	*ret_known = s->known;
	s->known = false;
	s->report = (struct mb_soft_dirty_report){ 0 };
	r = look(s, err);
	if (r < 0)
		return r;
	s->known = true;
	s->report.ns = mb_now_ns() - start_ns;
	*ret = s->report;
	*ret_dirty = &s->dirty;
	return 0;
}
