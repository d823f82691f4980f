// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor_process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/guest_ram.h"
#include "agent/printable.h"
#include "agent/processes.h"
#include "agent/ptrace.h"
#include "proto/base/cleanup.h"
#include "proto/digest.h"

void mb_doctor_processes_deinit(struct mb_doctor_processes *p)
{
	for (size_t i = 0; i < p->n; i++)
		mb_maps_deinit(&p->list[i].ram);
	free(p->list);
	*p = (struct mb_doctor_processes){ 0 };
}

static bool read_small(int dir, const char *name, char *text, size_t size)
{
	mb_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

static void read_names(int dir, struct mb_doctor_process *p)
{
	char path[PATH_MAX + 1], *end;
	ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);

	read_small(dir, "comm", p->name, sizeof(p->name));
	p->name[strcspn(p->name, "\n")] = 0;
	mb_printable(p->name);
	path[MB_MAX(n, 0)] = 0;
	end = strstr(path, " (deleted)");
	if (end)
		*end = 0;
	end = strrchr(path, '/');
	p->monitor = mb_is_vm_monitor(n > 0 ? (end ? end + 1 : path) : p->name);
}

static int read_maps(int dir, int pid, struct mb_maps *ret, struct mb_err *err)
{
	int fd = openat(dir, "smaps", O_RDONLY | O_CLOEXEC), r;
	mb_autofclose FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char where[48];

	snprintf(where, sizeof(where), "process %d: smaps", pid);
	if (!f) {
		r = errno;
		mb_closep(&fd);
		return r == EPERM || r == EACCES ? mb_ptrace_fail(r, where, err) :
						   mb_fail(err, r, "%s: %s", where, strerror(r));
	}
	r = mb_maps_parse(f, ret, err);
	return r < 0 ? mb_fail_in(err, r, "process %d", pid) : 0;
}

static bool is_private(const struct mb_map *m)
{
	/* Huge pages of hugetlbfs always have a file, if they are private. */
	return m->readable && m->writable && !m->device && !m->shared &&
	       (m->inode == 0 || m->hugetlb) &&
	       strncmp(m->name, "[v", 2) != 0;
}

static int choose(const struct mb_maps *maps, bool all, struct mb_maps *ret, struct mb_err *err)
{
	int r = 0;

	if (!all)
		return mb_guest_ram_find(maps, ret, err);
	for (size_t i = 0; i < maps->n && r == 0; i++)
		if (is_private(&maps->maps[i]))
			r = mb_maps_add(ret, &maps->maps[i], err);
	return r;
}

enum mb_gap_state mb_doctor_state_of(const struct mb_map *m)
{
	if (m->hugetlb)
		return MB_GAP_HUGETLB;
	if (m->shared)
		return MB_GAP_SHARED;
	return m->mergeable ? MB_GAP_WAITING : MB_GAP_UNMARKED;
}

static void add_up(struct mb_doctor_process *p)
{
	for (size_t i = 0; i < p->ram.n; i++) {
		const struct mb_map *m = &p->ram.maps[i];
		enum mb_gap_state state = mb_doctor_state_of(m);
		uint64_t pages = (m->rss_bytes + m->hugetlb_bytes) / MB_PAGE_BYTES;
		uint64_t huge = MB_MIN(m->huge_bytes / MB_PAGE_BYTES, pages);

		if (state == MB_GAP_WAITING) {
			p->resident[MB_GAP_HUGE] += huge;
			pages -= huge;
		}
		p->resident[state] += pages;
		p->swapped += m->swap_bytes / MB_PAGE_BYTES;
	}
}

uint64_t mb_doctor_resident(const struct mb_doctor_process *p)
{
	uint64_t sum = 0;

	for (int i = 0; i < MB_GAP_STATES; i++)
		sum += p->resident[i];
	return sum;
}

static void read_ksm(int dir, struct mb_doctor_process *p)
{
	char text[1024], *profit;

	if (read_small(dir, "ksm_merging_pages", text, sizeof(text)))
		p->has_merging = sscanf(text, "%" SCNu64, &p->merging) == 1;
	profit = read_small(dir, "ksm_stat", text, sizeof(text)) ?
			 strstr(text, "ksm_process_profit") :
			 NULL;
	p->has_profit = profit && sscanf(profit, "%*s %" SCNd64, &p->profit_bytes) == 1;
}

static int add(struct mb_doctor_processes *all, const struct mb_doctor_process *p,
	       struct mb_err *err)
{
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 16;
		void *list = reallocarray(all->list, cap, sizeof(*all->list));

		if (!list)
			return mb_fail_mem(err, "a list of processes");
		all->list = list;
		all->cap = cap;
	}
	all->list[all->n++] = *p;
	return 0;
}

/* `only_monitors`: others are left out. */
static int look(struct mb_doctor_processes *to, int dir, int pid, bool all, bool only_monitors,
		struct mb_err *err)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps maps = { 0 };
	struct mb_doctor_process p = { .pid = pid };
	int r;

	read_names(dir, &p);
	if (only_monitors && !p.monitor)
		return 0;
	r = read_maps(dir, pid, &maps, err);
	if (r < 0)
		return r;
	r = choose(&maps, all, &p.ram, err);
	if (r == 0 && !p.ram.n)
		r = mb_fail(err, ENOENT,
			    "process %d (%s) has no guest RAM: no mapping is marked mergeable, "
			    "none that can be written has 16 MiB (process:%d,all looks at all its "
			    "memory)",
			    pid, p.name, pid);
	if (r == 0) {
		add_up(&p);
		read_ksm(dir, &p);
		r = add(to, &p, err);
	}
	if (r < 0)
		mb_maps_deinit(&p.ram);
	return r;
}

int mb_doctor_process_add(struct mb_doctor_processes *p, const char *root, int pid, bool all,
			  struct mb_err *err)
{
	mb_autoclose int dir = -1;
	char path[320];

	snprintf(path, sizeof(path), "%s/proc/%d", root, pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? mb_fail(err, ESRCH, "no process %d", pid) :
					 mb_fail(err, errno, "%s: %m", path);
	return look(p, dir, pid, all, false, err);
}

struct finder {
	struct mb_doctor_processes *found;
	size_t unreadable;
	struct mb_err last;
};

static int visit(void *arg, const struct mb_process *process, struct mb_err *err)
{
	struct finder *f = arg;
	struct mb_err why = { 0 };
	int r = look(f->found, process->dir, atoi(process->id), false, true, &why);

	if (r == -ENOMEM) {
		*err = why;
		return r;
	}
	/* One that ends has no memory any more; one that begins no guest RAM yet. */
	if (r < 0 && !mb_process_is_gone(-r)) {
		f->unreadable++;
		f->last = why;
	}
	return 1;
}

int mb_doctor_process_find(struct mb_doctor_processes *p, const char *root, size_t *ret_unreadable,
			   struct mb_err *err)
{
	struct finder f = { .found = p };
	char path[320];
	uint64_t n;
	int r;

	snprintf(path, sizeof(path), "%s/proc", root);
	r = mb_processes_each(path, visit, &f, &n, err);
	*ret_unreadable = f.unreadable;
	if (r == 0 && f.unreadable && err)
		*err = f.last;
	return r;
}
