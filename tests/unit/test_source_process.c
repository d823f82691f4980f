// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_source.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/blocks.h"
#include "agent/guest_ram.h"
#include "agent/pagemap.h"
#include "proto/base/cleanup.h"

enum region_id { ANON, HUGE, SHARED, MEMFD, MAPPED, UNTOUCHED, FORBIDDEN, SPARSE, RAM, REGIONS };

enum {
	MIB = 256, /* pages */
	SPARSE_STEP = 7,
};

static const struct {
	size_t pages;
	int prot, flags;
	bool filled;
} shapes[REGIONS] = {
	[ANON] = { 600, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, true },
	[HUGE] = { 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, true },
	[SHARED] = { 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, true },
	[MEMFD] = { 20, PROT_READ | PROT_WRITE, MAP_SHARED, true },
	[MAPPED] = { 20, PROT_READ, MAP_PRIVATE, true },
	[UNTOUCHED] = { 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, false },
	[FORBIDDEN] = { 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, true },
	[SPARSE] = { 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, false },
	[RAM] = { 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, true },
};

/* What the parent asks of the child. */
enum request { UNMAP_RAM = 'u', RUN_OTHER = 'x', MORE_RAM = 'm' };

struct child {
	pid_t pid;
	int ask, answer;
	uint64_t at[REGIONS]; /* virtual addresses */
	char uri[64];
};

static char file_path[128];

static void *map_region(enum region_id id)
{
	mb_autoclose int fd = -1;
	size_t bytes = shapes[id].pages * MB_PAGE_BYTES;
	uint8_t *p;

	if (id == MEMFD) {
		fd = memfd_create("test", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
			_exit(10);
	} else if (id == MAPPED) {
		fd = open(file_path, O_RDONLY | O_CLOEXEC);
	}
	p = mmap(NULL, bytes, shapes[id].prot, shapes[id].flags, fd, 0);
	if (p == MAP_FAILED)
		_exit(11);
	/* Where huge pages are the rule, a single touched page would be 512. */
	madvise(p, bytes, id == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (id == RAM && madvise(p, bytes, MADV_MERGEABLE) < 0)
		_exit(12);
	for (size_t i = 0; i < shapes[id].pages; i++) {
		if (id == MAPPED)
			*(volatile uint8_t *)(p + i * MB_PAGE_BYTES);
		else if (shapes[id].filled || (id == SPARSE && i % SPARSE_STEP == 0))
			fill_page(p + i * MB_PAGE_BYTES, id, (uint32_t)i);
	}
	if (id == FORBIDDEN && mprotect(p, bytes, PROT_NONE) < 0)
		_exit(13);
	return p;
}

static void serve(int ask, int answer)
{
	uint64_t at[REGIONS];
	char request;

	for (enum region_id id = 0; id < REGIONS; id++)
		at[id] = (uintptr_t)map_region(id);
	if (write(answer, at, sizeof(at)) != sizeof(at))
		_exit(14);
	while (read(ask, &request, 1) == 1) {
		if (request == UNMAP_RAM)
			munmap((void *)(uintptr_t)at[RAM], shapes[RAM].pages * MB_PAGE_BYTES);
		if (request == MORE_RAM)
			at[RAM] = (uintptr_t)map_region(RAM);
		if (write(answer, &at[RAM], sizeof(at[RAM])) != sizeof(at[RAM]))
			_exit(15);
		if (request == RUN_OTHER)
			execl("/bin/sleep", "sleep", "60", (char *)NULL);
	}
	_exit(0);
}

static void start_child(struct child *c)
{
	int ask[2], answer[2];

	assert_int_equal(pipe(ask), 0);
	assert_int_equal(pipe(answer), 0);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		close(ask[1]);
		close(answer[0]);
		serve(ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	c->ask = ask[1];
	c->answer = answer[0];
	assert_int_equal(read(c->answer, c->at, sizeof(c->at)), sizeof(c->at));
	snprintf(c->uri, sizeof(c->uri), "process:%d", (int)c->pid);
}

static void request(struct child *c, enum request what)
{
	char byte = (char)what;

	assert_int_equal(write(c->ask, &byte, 1), 1);
	assert_int_equal(read(c->answer, &c->at[RAM], sizeof(c->at[RAM])), sizeof(c->at[RAM]));
}

static void kill_child(struct child *c)
{
	if (!c->pid)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->ask);
	close(c->answer);
	c->pid = 0;
}

static uint64_t rss_kib(const struct child *c)
{
	mb_autofclose FILE *f = NULL;
	unsigned long long kib = 0;
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)c->pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Rss: %llu", &kib) == 1)
			break;
	return kib;
}

/* Waits until the child sleeps in read(): then it no longer grows by itself. */
static void settle(const struct child *c)
{
	uint64_t before;

	do {
		before = rss_kib(c);
		usleep(20000);
	} while (rss_kib(c) != before);
}

static void assert_region(const struct child *c, const struct taken *t, enum region_id id,
			  enum mb_page_class cls)
{
	for (size_t i = 0; i < shapes[id].pages; i++) {
		uint64_t frame = c->at[id] / MB_PAGE_BYTES + i;

		if (id == SPARSE && i % SPARSE_STEP) {
			assert_null(find_frame(t, frame));
			continue;
		}
		assert_page(t, frame, id, (uint32_t)i);
		assert_int_equal(find_frame(t, frame)->cls, cls);
	}
}

static size_t count_region(const struct child *c, const struct taken *t, enum region_id id)
{
	size_t n = 0;

	for (size_t i = 0; i < shapes[id].pages; i++)
		n += find_frame(t, c->at[id] / MB_PAGE_BYTES + i) != NULL;
	return n;
}

static void test_all_reads_what_is_there(void **state)
{
	struct mb_source_info info;
	struct mb_source *s;
	struct child c;
	struct taken t;
	uint64_t rss;

	(void)state;
	start_child(&c);
	settle(&c);
	rss = rss_kib(&c);
	s = open_source(c.uri);
	for (size_t cap = 1000; cap; cap /= 100) {
		take_epoch(s, NULL, cap, &t);
		assert_region(&c, &t, ANON, MB_CLASS_ANON);
		assert_region(&c, &t, HUGE, MB_CLASS_ANON);
		assert_region(&c, &t, SHARED, MB_CLASS_FILE);
		assert_region(&c, &t, MEMFD, MB_CLASS_FILE);
		assert_region(&c, &t, MAPPED, MB_CLASS_FILE);
		assert_region(&c, &t, SPARSE, MB_CLASS_ANON);
		assert_int_equal(count_region(&c, &t, UNTOUCHED), 0);
		assert_int_equal(count_region(&c, &t, FORBIDDEN), 0);
		assert_int_equal(t.unread[MB_UNREAD_FAILED], 0);
		free_taken(&t);
	}
	assert_int_equal(rss_kib(&c), rss);
	s->ops->describe(s, &info);
	assert_non_null(strstr(info.text, "of its memory"));
	assert_true(info.stable_frames);
	assert_true(info.live);
	assert_false(info.identity.keyed);
	assert_int_equal(info.identity.bits, 64);
	s->ops->close(s);
	kill_child(&c);
}

static void test_ram_is_numbered_by_block(void **state)
{
	struct mb_source_info info;
	char uri[80];
	struct mb_source *s;
	struct child c;
	struct taken t;

	(void)state;
	start_child(&c);
	snprintf(uri, sizeof(uri), "%s,ram", c.uri);
	s = open_source(uri);
	s->ops->describe(s, &info);
	assert_non_null(strstr(info.text, "2 MiB guest RAM"));
	assert_int_equal(info.memory_bytes, 2 << 20);
	take_epoch(s, NULL, 100, &t);
	assert_int_equal(t.n, shapes[RAM].pages);
	for (uint32_t i = 0; i < shapes[RAM].pages; i++) {
		assert_page(&t, i, RAM, i);
		assert_int_equal(find_frame(&t, i)->cls, MB_CLASS_UNKNOWN);
	}
	free_taken(&t);

	/*
	 * What comes later is put behind, though it is mapped below - and so close that the kernel
	 * makes one mapping of both.
	 */
	request(&c, MORE_RAM);
	take_epoch(s, NULL, 100, &t);
	assert_int_equal(t.n, 2 * shapes[RAM].pages);
	for (uint32_t i = 0; i < 2 * shapes[RAM].pages; i++)
		assert_page(&t, i, RAM, i % shapes[RAM].pages);
	s->ops->describe(s, &info);
	assert_int_equal(info.memory_bytes, 4 << 20);
	free_taken(&t);
	s->ops->close(s);
	kill_child(&c);
}

static void test_only(void **state)
{
	uint64_t words[4] = { 0x5, 0, 0, 1ull << 63 };
	struct mb_frame_set only = { .words = words, .first = 10, .n = 256 };
	char uri[80];
	struct mb_source *s;
	struct child c;
	struct taken t;

	(void)state;
	start_child(&c);
	snprintf(uri, sizeof(uri), "%s,ram", c.uri);
	s = open_source(uri);
	take_epoch(s, &only, 1000, &t);
	assert_int_equal(t.n, shapes[RAM].pages - 256 + 3);
	assert_page(&t, 9, RAM, 9);
	assert_page(&t, 10, RAM, 10);
	assert_page(&t, 12, RAM, 12);
	assert_page(&t, 265, RAM, 265);
	assert_page(&t, 266, RAM, 266);
	assert_null(find_frame(&t, 11));
	assert_null(find_frame(&t, 264));
	free_taken(&t);
	s->ops->close(s);
	kill_child(&c);
}

/* Reads up to the first page of the region RAM, so that more of it has been looked up. */
static void read_into_ram(struct mb_source *s, const struct child *c)
{
	struct mb_err err = { 0 };
	struct mb_page page;
	size_t n;

	assert_ok(s->ops->begin(s, NULL, &err), &err);
	do {
		assert_ok(s->ops->read(s, &page, 1, &n, &err), &err);
		assert_int_equal(n, 1);
	} while (page.frame != c->at[RAM] / MB_PAGE_BYTES);
}

static void test_mapping_vanishes(void **state)
{
	struct mb_err err = { 0 };
	struct mb_source *s;
	struct child c;
	struct taken t;
	uint64_t ram;

	(void)state;
	start_child(&c);
	ram = c.at[RAM] / MB_PAGE_BYTES;
	s = open_source(c.uri);
	read_into_ram(s, &c);
	request(&c, UNMAP_RAM);
	assert_ok(read_epoch(s, 1000, &t, &err), &err);
	/* A batch may have been read before, the rest is not there: no error, no invented page. */
	for (uint32_t i = 0; i < shapes[RAM].pages; i++)
		if (find_frame(&t, ram + i))
			assert_page(&t, ram + i, RAM, i);
	assert_true(t.unread[MB_UNREAD_FAILED] >= shapes[RAM].pages - MIB);
	assert_true(count_region(&c, &t, RAM) + t.unread[MB_UNREAD_FAILED] <= shapes[RAM].pages);
	/* What is mapped above was read all the same. */
	assert_region(&c, &t, ANON, MB_CLASS_ANON);
	free_taken(&t);
	take_epoch(s, NULL, 1000, &t);
	assert_int_equal(count_region(&c, &t, RAM), 0);
	assert_int_equal(t.unread[MB_UNREAD_FAILED], 0);
	free_taken(&t);
	s->ops->close(s);
	kill_child(&c);
}

static void test_process_ends(void **state)
{
	struct mb_err err = { 0 };
	struct mb_source *s;
	struct child c;
	struct taken t;
	pid_t pid;

	(void)state;
	start_child(&c);
	pid = c.pid;
	s = open_source(c.uri);
	read_into_ram(s, &c);
	kill(c.pid, SIGKILL);
	/* A zombie first ... */
	waitid(P_PID, (id_t)c.pid, NULL, WEXITED | WNOWAIT);
	assert_fails(read_epoch(s, 1000, &t, &err), ESRCH, &err, "has ended");
	free_taken(&t);
	assert_fails(s->ops->begin(s, NULL, &err), ESRCH, &err, "has ended");
	assert_open_fails(c.uri, ESRCH, "has ended");
	/* ... then gone. */
	kill_child(&c);
	assert_fails(s->ops->begin(s, NULL, &err), ESRCH, &err, "has ended");
	s->ops->close(s);
	snprintf(c.uri, sizeof(c.uri), "process:%d", (int)pid);
	assert_open_fails(c.uri, ESRCH, "no process");
}

static void wait_for_name(const struct child *c, const char *wanted)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)c->pid);
	for (int i = 0; i < 500; i++) {
		mb_autofclose FILE *f = fopen(path, "re");
		char name[32];

		if (f && fgets(name, sizeof(name), f) && strcmp(name, wanted) == 0)
			return;
		usleep(10000);
	}
	fail_msg("process %d is not called %s", (int)c->pid, wanted);
}

static void test_process_runs_another_program(void **state)
{
	struct mb_err err = { 0 };
	struct mb_source *s;
	struct child c;
	struct taken t;

	(void)state;
	start_child(&c);
	s = open_source(c.uri);
	read_into_ram(s, &c);
	request(&c, RUN_OTHER);
	wait_for_name(&c, "sleep\n");
	assert_fails(read_epoch(s, 1000, &t, &err), ESTALE, &err, "another program");
	free_taken(&t);
	take_epoch(s, NULL, 1000, &t);
	assert_true(t.n > 0);
	free_taken(&t);
	s->ops->close(s);
	kill_child(&c);
}

static void test_bad_arguments(void **state)
{
	struct mb_source *s;
	char uri[64];

	(void)state;
	assert_open_fails("process:", EINVAL, "PID");
	assert_open_fails("process:x", EINVAL, "PID");
	assert_open_fails("process:-1", EINVAL, "PID");
	assert_open_fails("process:0", EINVAL, "PID");
	assert_open_fails("process:1x", EINVAL, "PID");
	assert_open_fails("process:99999999999999999999999999", EINVAL, "PID");
	assert_open_fails("process:1,half", EINVAL, "neither ram nor all");
	assert_open_fails("process:2147483647", ESRCH, "no process 2147483647");
	snprintf(uri, sizeof(uri), "process:%d", (int)getpid());
	s = open_source(uri);
	s->ops->close(s);
}

static void test_permission(void **state)
{
	struct child c;
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: not root\n");
		return;
	}
	start_child(&c);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct mb_source *s;
		struct mb_err err = { 0 };
		int r;

		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		r = mb_source_open(c.uri, &with_xxh64, &s, &err);
		_exit((r == -EPERM || r == -EACCES) && strstr(err.text, "CAP_SYS_PTRACE") ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	kill_child(&c);
}

static void test_check(void **state)
{
	char found[MB_FOUND_MAX] = "";
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_source_process.check(found, &err), &err);
}

/* Both ways of asking must give the same pages. */
static void test_pagemap_ways_agree(void **state)
{
	struct mb_pagemap ways[2];
	struct mb_err err = { 0 };
	char path[64];
	struct child c;
	int dir;

	(void)state;
	start_child(&c);
	settle(&c);
	snprintf(path, sizeof(path), "/proc/%d", (int)c.pid);
	dir = open(path, O_PATH | O_DIRECTORY);
	for (int w = 0; w < 2; w++)
		assert_ok(mb_pagemap_open(&ways[w], dir, &err), &err);
	if (!ways[0].scan)
		print_message("skipped: no PAGEMAP_SCAN\n");
	ways[1].scan = false;
	for (enum region_id id = 0; id < REGIONS; id++) {
		uint8_t seen[2][64 * MIB] = { 0 };

		for (int w = 0; w < 2; w++) {
			uint64_t last = c.at[id];
			struct mb_run run;
			int r;

			mb_pagemap_seek(&ways[w], c.at[id],
					c.at[id] + shapes[id].pages * MB_PAGE_BYTES);
			while ((r = mb_pagemap_next(&ways[w], &run, &err)) == 0) {
				assert_true(run.start >= last && run.start < run.end);
				last = run.end;
				for (uint64_t a = run.start; a < run.end; a += MB_PAGE_BYTES)
					seen[w][(a - c.at[id]) / MB_PAGE_BYTES] = 1 + run.swapped;
			}
			assert_int_equal(r, -ENODATA);
		}
		assert_memory_equal(seen[0], seen[1], sizeof(seen[0]));
	}
	for (int w = 0; w < 2; w++)
		mb_pagemap_close(&ways[w]);
	close(dir);
	kill_child(&c);
}

/* Swap and guard regions are rare on test machines: made up, entry by entry. */
static void test_pagemap_entries(void **state)
{
	const uint64_t present = 1ull << 63, swapped = 1ull << 62, guard = 1ull << 58;
	uint64_t entries[200] = { 0, present,	      present | 5, swapped,    swapped,
				  0, swapped | guard, 0,	   1ull << 61, present };
	const struct mb_run first[] = { { 0x1000, 0x3000, false },
					{ 0x3000, 0x5000, true },
					{ 0x9000, 0xa000, false } };
	struct mb_pagemap pm = { 0 };
	struct mb_err err = { 0 };
	struct mb_run run;
	size_t n = 0;

	(void)state;
	/* More runs than are looked up at once. */
	for (size_t i = 10; i < MB_ARRAY_LEN(entries); i++)
		entries[i] = i % 2 ? present : 0;
	pm.fd = open(temp_file("pagemap", entries, sizeof(entries)), O_RDONLY | O_CLOEXEC);
	mb_pagemap_seek(&pm, 0, 200 * MB_PAGE_BYTES);
	for (; mb_pagemap_next(&pm, &run, &err) == 0; n++) {
		if (n < MB_ARRAY_LEN(first)) {
			assert_int_equal(run.start, first[n].start);
			assert_int_equal(run.end, first[n].end);
			assert_int_equal(run.swapped, first[n].swapped);
		} else {
			assert_int_equal(run.start, (11 + 2 * (n - 3)) * MB_PAGE_BYTES);
			assert_int_equal(run.end, run.start + MB_PAGE_BYTES);
		}
	}
	assert_int_equal(n, 3 + 95);
	/* The end of the file is the end of the process. */
	mb_pagemap_seek(&pm, 199 * MB_PAGE_BYTES, 201 * MB_PAGE_BYTES);
	assert_ok(mb_pagemap_next(&pm, &run, &err), &err);
	assert_fails(mb_pagemap_next(&pm, &run, &err), ESRCH, &err, "has ended");
	assert_true(mb_pagemap_alive(&pm));
	mb_pagemap_close(&pm);
	assert_false(mb_pagemap_alive(&pm));
}

static void assert_block(const struct mb_block *b, uint64_t start, uint64_t end, uint64_t frame)
{
	assert_int_equal(b->start, start);
	assert_int_equal(b->end, end);
	assert_int_equal(b->frame, frame);
}

static void test_addresses_keep_their_frames(void **state)
{
	struct mb_blocks b = { 0 };
	struct mb_frame_map m = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_frame_map_place(&m, 0x10000, 0x20000, &b, &err), &err);
	assert_ok(mb_frame_map_place(&m, 0x40000, 0x50000, &b, &err), &err);
	assert_int_equal(b.n, 2);
	assert_block(&b.blocks[1], 0x40000, 0x50000, 0x10);
	/* Both and all around them, in one. */
	b.n = 0;
	assert_ok(mb_frame_map_place(&m, 0, 0x60000, &b, &err), &err);
	mb_blocks_sort(&b);
	assert_int_equal(b.n, 5);
	assert_block(&b.blocks[0], 0x10000, 0x20000, 0);
	assert_block(&b.blocks[1], 0x40000, 0x50000, 0x10);
	assert_block(&b.blocks[2], 0, 0x10000, 0x20);
	assert_block(&b.blocks[3], 0x20000, 0x40000, 0x30);
	assert_block(&b.blocks[4], 0x50000, 0x60000, 0x50);
	/* A part of it. */
	b.n = 0;
	assert_ok(mb_frame_map_place(&m, 0x1f000, 0x21000, &b, &err), &err);
	assert_int_equal(b.n, 2);
	assert_block(&b.blocks[0], 0x1f000, 0x20000, 0xf);
	assert_block(&b.blocks[1], 0x20000, 0x21000, 0x30);
	mb_blocks_deinit(&b);
	mb_blocks_deinit(&m.known);
}

static void find_ram(const char *smaps, struct mb_maps *ret)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps all = { 0 };
	mb_autofclose FILE *f = fmemopen((void *)(uintptr_t)smaps, strlen(smaps), "r");
	struct mb_err err = { 0 };

	assert_ok(mb_maps_parse(f, &all, &err), &err);
	assert_ok(mb_guest_ram_find(&all, ret, &err), &err);
}

#define RW "VmFlags: rd wr mr mw me ac\n"
#define MG "VmFlags: rd wr mr mw me dc ac hg mg\n"

static void test_guest_ram_of_qemu(void **state)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };

	(void)state;
	/* -m 64: RAM, and a quarter of that for VGA; code and heap are larger. */
	find_ram("555785c66000-558585c66000 rw-p 00000000 00:00 0    [heap]\n" RW
		 "7f0670000000-7f06affff000 rwxp 00000000 00:00 0 \n" RW
		 "7f6e27e00000-7f6e2be00000 rw-p 00000000 00:00 0 \nRss:   6144 kB\n" MG
		 "7f6e3e400000-7f6e3f400000 rw-p 00000000 00:00 0 \n" MG
		 "7f6e84200000-7f6e84240000 rw-p 00000000 00:00 0 \n" MG,
		 &m);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.maps[0].start, 0x7f6e27e00000);
	assert_int_equal(mb_map_bytes(&m.maps[0]), 64 << 20);
	assert_int_equal(m.maps[0].rss_bytes, 6144 << 10);
	/* Four GiB and a DIMM of 128 MiB, the first locked in part. */
	find_ram("7e0000000000-7e0008000000 rw-p 00000000 00:00 0 \n" MG
		 "7f0000000000-7f0080000000 rw-p 00000000 00:00 0 \n" MG
		 "7f0080000000-7f0100000000 rw-p 00000000 00:00 0 \n" MG
		 "7f6e3e400000-7f6e3f400000 rw-p 00000000 00:00 0 \n" MG,
		 &m);
	assert_int_equal(m.n, 2);
	assert_int_equal(mb_map_bytes(&m.maps[0]), 128 << 20);
	assert_int_equal(mb_map_bytes(&m.maps[1]), 4ull << 30);
	/* Shared RAM cannot be marked; VGA memory is. */
	find_ram(
		"7f0000000000-7f0040000000 rw-s 00000000 00:01 2049   /memfd:ram (deleted)\n" RW
		"7f0100000000-7f0140000000 rw-s 00000000 00:01 2050   /memfd:tcg-jit (deleted)\n" RW
		"7f6e3e400000-7f6e3f400000 rw-p 00000000 00:00 0 \n" MG,
		&m);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.maps[0].start, 0x7f0000000000);
}

static void test_guest_ram_of_others(void **state)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };

	(void)state;
	/* Nothing is marked: two halves around the PCI hole. */
	find_ram("7d0000000000-7d0000800000 rw-p 00000000 00:00 0 \n" RW
		 "7e0000000000-7e0040000000 rw-p 00000000 00:00 0 \n" RW
		 "7f0000000000-7f00c0000000 rw-p 00000000 00:00 0 \n" RW
		 "7f6e40000000-7f6e50000000 rw-p 00000000 00:00 0 \nVmFlags: rd wr pf io\n",
		 &m);
	assert_int_equal(m.n, 2);
	find_ram("7d0000000000-7d0000800000 rw-p 00000000 00:00 0 \n" RW, &m);
	assert_int_equal(m.n, 0);
}

static void test_maps_refuse_nonsense(void **state)
{
	static const char *const bad[] = {
		"7f00-7e00 rw-p 00000000 00:00 0\n",
		"7f0000000000 rw-p 00000000 00:00 0\n",
		"7f0000000001-7f0000002000 rw-p 0 0:0 0\n",
		"7f0000000000-7f0000001000 rw 0 0:0 0\n",
		"\n",
	};
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++) {
		mb_autofclose FILE *f = fmemopen((void *)(uintptr_t)bad[i], strlen(bad[i]), "r");

		assert_fails(mb_maps_parse(f, &m, &err), EBADMSG, &err, "line 1");
	}
}

static int set_up(void **state)
{
	static uint8_t content[20][MB_PAGE_BYTES];

	(void)state;
	for (uint32_t i = 0; i < MB_ARRAY_LEN(content); i++)
		fill_page(content[i], MAPPED, i);
	snprintf(file_path, sizeof(file_path), "%s", temp_file("mapped", content, sizeof(content)));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_reads_what_is_there),
		cmocka_unit_test(test_ram_is_numbered_by_block),
		cmocka_unit_test(test_only),
		cmocka_unit_test(test_mapping_vanishes),
		cmocka_unit_test(test_process_ends),
		cmocka_unit_test(test_process_runs_another_program),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_permission),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_pagemap_ways_agree),
		cmocka_unit_test(test_pagemap_entries),
		cmocka_unit_test(test_addresses_keep_their_frames),
		cmocka_unit_test(test_guest_ram_of_qemu),
		cmocka_unit_test(test_guest_ram_of_others),
		cmocka_unit_test(test_maps_refuse_nonsense),
	};

	return cmocka_run_group_tests_name("source process", tests, set_up, NULL);
}
