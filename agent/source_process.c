// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory of a process, read from outside while it runs. The hypervisor's way: a guest's RAM is
 * memory of its VM monitor.
 *
 * ram: frame = page offset within guest RAM, its blocks one after another by address in the monitor
 *	(on QEMU with one block: the guest-physical frame below the PCI hole). A block that comes
 *	later gets frames after all others.
 * all: frame = virtual address / 4096.
 */
#include "agent/source.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/blocks.h"
#include "agent/guest_ram.h"
#include "agent/maps.h"
#include "agent/pagemap.h"
#include "agent/parts.h"
#include "agent/printable.h"
#include "agent/ptrace.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"

enum {
	BATCH_PAGES = 256, /* 1 MiB a call: four times as fast as page by page */
};

struct process {
	struct mb_source base;
	pid_t pid;
	int dir;       /* /proc/PID: this very process, whoever gets its number later */
	int mem;       /* /proc/PID/mem; -1: not read by it */
	char comm[16]; /* printable */
	bool ram;      /* guest RAM only */
	struct mb_parts parts;
	struct mb_maps maps, chosen;
	struct mb_frame_map frames; /* ram: the number of each address */
	struct mb_blocks blocks;    /* ascending by frame */
	uint64_t memory_bytes;
	struct mb_pagemap pagemap;
	uint8_t *content;	/* BATCH_PAGES of them; owned */
	struct mb_page *hashed; /* their parts; owned */

	/* The epoch */
	const struct mb_frame_set *only;
	size_t block;	   /* the one being read; blocks.n: all done */
	struct mb_run run; /* of it, what is left */
	uint64_t expected_pages, passed_pages;
	uint64_t unread[MB_UNREAD_REASONS];
	uint64_t addr[BATCH_PAGES];
	struct mb_page batch[BATCH_PAGES];
	size_t batch_i, batch_n; /* of hashed[] */
};

static struct process *to_process(struct mb_source *s)
{
	return (struct process *)s; /* embedded first */
}

/* --- this host -------------------------------------------------------------------------------- */

static int check_page_size(struct mb_err *err)
{
	long bytes = sysconf(_SC_PAGESIZE);

	return bytes == MB_PAGE_BYTES ?
		       0 :
		       mb_fail(err, ENOTSUP, "pages of %ld bytes on this host, %d wanted", bytes,
			       MB_PAGE_BYTES);
}

static int process_check(char ret_found[MB_FOUND_MAX], struct mb_err *err)
{
	char from = 'x', to = 0;
	struct iovec local = { &to, 1 }, remote = { &from, 1 };
	int r = check_page_size(err);

	(void)ret_found;
	if (r < 0)
		return r;
	if (access("/proc/self/smaps", R_OK) < 0 || access("/proc/self/pagemap", R_OK) < 0)
		return mb_fail(err, errno,
			       "no /proc/PID/smaps or pagemap (CONFIG_PROC_PAGE_MONITOR): %m");
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1)
		return errno == EPERM ? mb_ptrace_fail(EPERM, "process_vm_readv", err) :
					mb_fail(err, errno, "process_vm_readv: %m");
	return mb_ptrace_check(err);
}

/* --- the process ------------------------------------------------------------------------------ */

/* Without memory it is as good as ended: a zombie, or on its way there. */
static bool has_ended(const struct process *p)
{
	mb_autoclose int fd = openat(p->dir, "statm", O_RDONLY | O_CLOEXEC);
	char first[2];

	return fd < 0 || read(fd, first, sizeof(first)) != sizeof(first) || first[0] == '0';
}

static int fail_gone(const struct process *p, struct mb_err *err)
{
	if (has_ended(p))
		return mb_fail(err, ESRCH, "process %d has ended", (int)p->pid);
	return mb_fail(err, ESTALE, "process %d started another program while it was read",
		       (int)p->pid);
}

static int fail_access(const struct process *p, int code, const char *what, struct mb_err *err)
{
	char where[64];

	if (code == ESRCH || (code == ENOENT && has_ended(p)))
		return fail_gone(p, err);
	snprintf(where, sizeof(where), "process %d: %s", (int)p->pid, what);
	if (code == EPERM || code == EACCES)
		return mb_ptrace_fail(code, where, err);
	return mb_fail(err, code, "%s: %s", where, strerror(code));
}

static int read_maps(struct process *p, struct mb_err *err)
{
	int fd = openat(p->dir, "smaps", O_RDONLY | O_CLOEXEC);
	mb_autofclose FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	int r;

	if (!f) {
		r = fail_access(p, errno, "smaps", err);
		mb_closep(&fd);
		return r;
	}
	r = mb_maps_parse(f, &p->maps, err);
	if (r == -ESRCH)
		return fail_gone(p, err);
	if (r < 0)
		return mb_fail_in(err, r, "process %d", (int)p->pid);
	if (p->maps.n)
		return 0;
	if (p->memory_bytes)
		return fail_gone(p, err);
	return mb_fail(err, ESRCH, "process %d has no memory: it has ended, or is the kernel's own",
		       (int)p->pid);
}

/* The executable may be unreadable, or replaced since ("... (deleted)"). */
static bool runs_vm_monitor(const struct process *p)
{
	char path[PATH_MAX + 1], *name, *deleted;
	ssize_t n = readlinkat(p->dir, "exe", path, sizeof(path) - 1);

	if (n < 0)
		return mb_is_vm_monitor(p->comm);
	path[n] = 0;
	deleted = strstr(path, " (deleted)");
	if (deleted)
		*deleted = 0;
	name = strrchr(path, '/');
	return mb_is_vm_monitor(name ? name + 1 : path);
}

static void read_comm(struct process *p)
{
	mb_autoclose int fd = openat(p->dir, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, p->comm, sizeof(p->comm) - 1);

	p->comm[n > 0 ? n : 0] = 0;
	p->comm[strcspn(p->comm, "\n")] = 0;
	mb_printable(p->comm);
}

/* --- which memory ----------------------------------------------------------------------------- */

static uint8_t class_of(const struct mb_map *m)
{
	if (m->hugetlb)
		return MB_CLASS_HUGETLB;
	if (m->inode)
		return MB_CLASS_FILE;
	return m->shared ? MB_CLASS_UNKNOWN : MB_CLASS_ANON;
}

/* What the kernel maps by itself is the same everywhere, and not all of it can be read. */
static bool is_kernels(const struct mb_map *m)
{
	return strncmp(m->name, "[vvar", 5) == 0 || strncmp(m->name, "[vdso", 5) == 0 ||
	       strncmp(m->name, "[vsyscall", 9) == 0;
}

static int choose_all(struct process *p, struct mb_err *err)
{
	p->chosen.n = 0;
	for (size_t i = 0; i < p->maps.n; i++) {
		const struct mb_map *m = &p->maps.maps[i];
		int r;

		if (!m->readable || m->device || is_kernels(m))
			continue;
		r = mb_maps_add(&p->chosen, m, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int choose_ram(struct process *p, struct mb_err *err)
{
	int r = mb_guest_ram_find(&p->maps, &p->chosen, err);

	if (r < 0 || p->chosen.n)
		return r;
	return mb_fail(
		err, ENOENT,
		"process %d (%s) has no guest RAM: no mapping is marked mergeable, none that "
		"can be written has 16 MiB (process:%d,all reads all its memory)",
		(int)p->pid, p->comm, (int)p->pid);
}

static int place_blocks(struct process *p, struct mb_err *err)
{
	p->blocks.n = 0;
	p->memory_bytes = p->expected_pages = 0;
	for (size_t i = 0; i < p->chosen.n; i++) {
		const struct mb_map *m = &p->chosen.maps[i];
		uint64_t backed = m->rss_bytes + m->hugetlb_bytes + m->swap_bytes;
		struct mb_block block = {
			.start = m->start,
			.end = m->end,
			.frame = m->start / MB_PAGE_BYTES,
			.cls = class_of(m),
		};
		/* What a page is to the guest cannot be seen from here: no class. */
		int r = p->ram ? mb_frame_map_place(&p->frames, m->start, m->end, &p->blocks, err) :
				 mb_blocks_add(&p->blocks, &block, err);

		if (r < 0)
			return r;
		/* Address space is no memory; a guest's RAM is its size, touched or not. */
		p->memory_bytes += p->ram ? mb_map_bytes(m) : backed;
		p->expected_pages += backed / MB_PAGE_BYTES;
	}
	mb_blocks_sort(&p->blocks);
	return 0;
}

static int choose(struct process *p, struct mb_err *err)
{
	int r = read_maps(p, err);

	if (r == 0)
		r = p->ram ? choose_ram(p, err) : choose_all(p, err);
	return r < 0 ? r : place_blocks(p, err);
}

/* --- open ------------------------------------------------------------------------------------- */

static void process_close(struct mb_source *s)
{
	struct process *p = to_process(s);

	mb_closep(&p->dir);
	mb_closep(&p->mem);
	mb_pagemap_close(&p->pagemap);
	mb_maps_deinit(&p->maps);
	mb_maps_deinit(&p->chosen);
	mb_blocks_deinit(&p->blocks);
	mb_blocks_deinit(&p->frames.known);
	free(p->content);
	free(p->hashed);
	free(p);
}

enum mode { MODE_DEFAULT, MODE_RAM, MODE_ALL };

static int parse_arg(const char *arg, pid_t *ret_pid, enum mode *ret_mode, struct mb_err *err)
{
	size_t digits = strcspn(arg, ",");
	const char *mode = arg + digits;
	char number[24];
	uint64_t pid;
	int r;

	if (digits >= sizeof(number))
		return mb_fail(err, EINVAL, "PID \"%.40s\" is not a number", arg);
	memcpy(number, arg, digits);
	number[digits] = 0;
	if (!*mode)
		*ret_mode = MODE_DEFAULT;
	else if (strcmp(mode, ",ram") == 0)
		*ret_mode = MODE_RAM;
	else if (strcmp(mode, ",all") == 0)
		*ret_mode = MODE_ALL;
	else
		return mb_fail(err, EINVAL, "\"%.40s\" is neither ram nor all", mode + 1);
	r = mb_parse_u64(number, 1, INT_MAX, "PID", &pid, err);
	*ret_pid = r < 0 ? 0 : (pid_t)pid;
	return r;
}

/* Is reading allowed at all? Nothing is ever mapped at address 0: this touches no page. */
static int probe_read(const struct process *p, struct mb_err *err)
{
	char to;
	struct iovec local = { &to, 1 }, remote = { NULL, 1 };

	if (process_vm_readv(p->pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
		return 0;
	return fail_access(p, errno, "process_vm_readv", err);
}

static int open_proc(struct process *p, enum mode mode, const struct mb_source_options *options,
		     struct mb_err *err)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)p->pid);
	p->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0)
		return errno == ENOENT ? mb_fail(err, ESRCH, "no process %d", (int)p->pid) :
					 mb_fail(err, errno, "%s: %m", path);
	r = mb_parts_init(&p->parts, options->algorithm, MB_PAGE_BYTES, options->parts, err);
	if (r < 0)
		return r;
	p->hashed = calloc((size_t)BATCH_PAGES * p->parts.n, sizeof(*p->hashed));
	p->content = aligned_alloc(MB_PAGE_BYTES, BATCH_PAGES * MB_PAGE_BYTES);
	if (!p->content || !p->hashed)
		return mb_fail_mem(err, "a buffer");
	read_comm(p);
	p->ram = mode == MODE_RAM || (mode == MODE_DEFAULT && runs_vm_monitor(p));
	r = choose(p, err);
	if (r < 0)
		return r;
	r = mb_pagemap_open(&p->pagemap, p->dir, err);
	if (r < 0)
		return fail_access(p, -r, "pagemap", err);
	return probe_read(p, err);
}

static int process_open(const char *arg, const struct mb_source_options *options,
			struct mb_source **ret, struct mb_err *err)
{
	struct process *p;
	enum mode mode = MODE_DEFAULT;
	pid_t pid = 0;
	int r = parse_arg(arg, &pid, &mode, err);

	if (r < 0 || (r = check_page_size(err)) < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return mb_fail_mem(err, "a source");
	p->base.ops = &mb_source_process;
	p->pid = pid;
	p->dir = p->mem = p->pagemap.fd = -1;
	r = open_proc(p, mode, options, err);
	if (r < 0) {
		process_close(&p->base);
		return r;
	}
	*ret = &p->base;
	return 0;
}

static void process_describe(struct mb_source *s, struct mb_source_info *ret)
{
	struct process *p = to_process(s);
	uint64_t mib = p->memory_bytes >> 20;
	char blocks[40] = "";

	*ret = (struct mb_source_info){
		.memory_bytes = p->memory_bytes,
		.stable_frames = true,
		.live = true,
		.identity = p->parts.identity,
	};
	if (p->chosen.n > 1)
		snprintf(blocks, sizeof(blocks), " in %zu %s", p->chosen.n,
			 p->ram ? "blocks" : "mappings");
	snprintf(ret->text, sizeof(ret->text), "process %d (%s), %" PRIu64 " MiB %s%s", (int)p->pid,
		 p->comm, mib, p->ram ? "guest RAM" : "of its memory", blocks);
}

/* --- an epoch --------------------------------------------------------------------------------- */

static void seek_block(struct process *p)
{
	const struct mb_block *b;

	p->run = (struct mb_run){ 0 };
	if (p->block == p->blocks.n)
		return;
	b = &p->blocks.blocks[p->block];
	mb_pagemap_seek(&p->pagemap, b->start, b->end);
}

/*
 * From 5.19 on process_vm_readv() pins what it reads, and for that takes pages that KSM has merged
 * apart. /proc/PID/mem leaves them as they are, at half the speed.
 */
static void choose_way(struct process *p)
{
	char text[24];
	mb_autoclose int fd = openat(p->dir, "ksm_merging_pages", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	mb_closep(&p->mem);
	p->mem = -1;
	/* Before 5.18 there is no such file. */
	if (n > 0 && text[0] != '0')
		p->mem = openat(p->dir, "mem", O_RDONLY | O_CLOEXEC);
}

static int process_begin(struct mb_source *s, const struct mb_frame_set *only, struct mb_err *err)
{
	struct process *p = to_process(s);
	int r;

	p->only = only;
	p->block = p->blocks.n;
	p->batch_i = p->batch_n = 0;
	p->passed_pages = 0;
	memset(p->unread, 0, sizeof(p->unread));
	/* Opened anew: the address space is another one after an exec. */
	mb_pagemap_close(&p->pagemap);
	r = choose(p, err);
	if (r < 0)
		return r;
	r = mb_pagemap_open(&p->pagemap, p->dir, err);
	if (r < 0)
		return fail_access(p, -r, "pagemap", err);
	choose_way(p);
	p->block = 0;
	seek_block(p);
	return 0;
}

/* The next run of the epoch, from block to block; -ENODATA after the last. */
static int next_run(struct process *p, struct mb_err *err)
{
	while (p->block < p->blocks.n) {
		int r = mb_pagemap_next(&p->pagemap, &p->run, err);

		if (r == 0)
			return 0;
		if (r == -ESRCH)
			return fail_gone(p, err);
		if (r != -ENODATA)
			return mb_fail_in(err, r, "process %d", (int)p->pid);
		p->block++;
		seek_block(p);
	}
	return -ENODATA;
}

/* Fills addr and batch with the next pages that are to be read. */
static int collect(struct process *p, size_t *ret_n, struct mb_err *err)
{
	size_t n = 0;

	while (n < BATCH_PAGES) {
		const struct mb_block *b;
		uint64_t frame;

		if (p->run.start == p->run.end) {
			int r = next_run(p, err);

			if (r == -ENODATA)
				break;
			if (r < 0)
				return r;
		}
		b = &p->blocks.blocks[p->block];
		frame = b->frame + (p->run.start - b->start) / MB_PAGE_BYTES;
		if (mb_frame_set_has(p->only, frame)) {
			if (p->run.swapped) {
				p->unread[MB_UNREAD_SWAPPED]++;
			} else {
				p->addr[n] = p->run.start;
				p->batch[n++] = (struct mb_page){ .frame = frame, .cls = b->cls };
			}
		}
		p->run.start += MB_PAGE_BYTES;
		p->passed_pages++;
	}
	*ret_n = n;
	return 0;
}

/* The same as read_some() by /proc/PID/mem: a call for each piece that is in one. */
static int read_mem(struct process *p, size_t i, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t k = 1;
		ssize_t got;

		while (done + k < n &&
		       p->addr[i + done + k] == p->addr[i + done + k - 1] + MB_PAGE_BYTES)
			k++;
		got = pread(p->mem, p->content + (i + done) * MB_PAGE_BYTES, k * MB_PAGE_BYTES,
			    (off_t)p->addr[i + done]);
		if (got < MB_PAGE_BYTES)
			break;
		done += (size_t)got / MB_PAGE_BYTES;
		if ((size_t)got < k * MB_PAGE_BYTES)
			break;
	}
	return done ? (int)done : -EFAULT;
}

/* Reads `n` pages of the batch, starting with page `i`; returns how many, or -errno. */
static int read_some(struct process *p, size_t i, size_t n)
{
	struct iovec local = { p->content + i * MB_PAGE_BYTES, n * MB_PAGE_BYTES };
	struct iovec remote[BATCH_PAGES];
	size_t n_remote = 0;
	ssize_t got;

	if (p->mem >= 0)
		return read_mem(p, i, n);
	for (size_t k = i; k < i + n; k++) {
		if (k > i && p->addr[k] == p->addr[k - 1] + MB_PAGE_BYTES)
			remote[n_remote - 1].iov_len += MB_PAGE_BYTES;
		else
			remote[n_remote++] =
				(struct iovec){ (void *)(uintptr_t)p->addr[k], MB_PAGE_BYTES };
	}
	got = process_vm_readv(p->pid, &local, 1, remote, n_remote, 0);
	if (got < 0)
		return -errno;
	return got < MB_PAGE_BYTES ? -EFAULT : (int)(got / MB_PAGE_BYTES);
}

/* Pages that failed leave no gap. */
static void hash_pages(struct process *p, size_t i, size_t n)
{
	for (; n; i++, n--) {
		mb_parts_hash(&p->parts, &p->batch[i], p->content + i * MB_PAGE_BYTES,
			      p->hashed + p->batch_n);
		p->batch_n += p->parts.n;
	}
}

static int read_batch(struct process *p, size_t n, struct mb_err *err)
{
	size_t done = 0, want = n;

	while (done < n) {
		int got = read_some(p, done, want);

		if (got > 0) {
			hash_pages(p, done, (size_t)got);
			done += (size_t)got;
			want = n - done;
		} else if (got != -EFAULT) {
			return fail_access(p, -got, "process_vm_readv", err);
		} else if (want > 1) {
			want = 1;
		} else {
			p->unread[MB_UNREAD_FAILED]++;
			done++;
			want = n - done;
		}
	}
	/* Only now is it known that the number was this process's while we read. */
	return mb_pagemap_alive(&p->pagemap) ? 0 : fail_gone(p, err);
}

static int process_read(struct mb_source *s, struct mb_page *pages, size_t cap, size_t *ret_n,
			struct mb_err *err)
{
	struct process *p = to_process(s);

	*ret_n = 0;
	while (*ret_n < cap) {
		size_t n = MB_MIN(cap - *ret_n, p->batch_n - p->batch_i);
		int r;

		memcpy(pages + *ret_n, p->hashed + p->batch_i, n * sizeof(*pages));
		p->batch_i += n;
		*ret_n += n;
		if (p->batch_i < p->batch_n)
			break;
		p->batch_i = p->batch_n = 0;
		r = collect(p, &n, err);
		if (r < 0)
			return r;
		if (n == 0)
			break;
		r = read_batch(p, n, err);
		if (r < 0) {
			p->batch_n = 0;
			return r;
		}
	}
	return 0;
}

static void process_unread(struct mb_source *s, uint64_t ret[MB_UNREAD_REASONS])
{
	memcpy(ret, to_process(s)->unread, sizeof(to_process(s)->unread));
}

static double process_progress(struct mb_source *s)
{
	struct process *p = to_process(s);

	if (p->block == p->blocks.n)
		return 1;
	return p->passed_pages < p->expected_pages ?
		       (double)p->passed_pages / (double)p->expected_pages :
		       1;
}

const struct mb_source_ops mb_source_process = {
	.scheme = "process",
	.syntax = "process:PID[,ram|all]",
	.summary = "memory of a running process: a VM monitor's guest RAM, or all of it",
	.check = process_check,
	.open = process_open,
	.close = process_close,
	.describe = process_describe,
	.begin = process_begin,
	.read = process_read,
	.unread = process_unread,
	.progress = process_progress,
};
