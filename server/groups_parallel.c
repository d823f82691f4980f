// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/groups_parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/fingerprint.h"

/* Some 10 ms of work; less is not worth a thread. */
#define ENTRIES_PER_THREAD ((uint64_t)1 << 19)
/* The largest range is then a few percent above the mean. */
#define SAMPLES_PER_RANGE 1024

/* One range of the digest space and what became of it. */
struct part {
	const struct mb_digest_list *lists;
	const uint64_t *const *keep;
	uint32_t n_lists;
	uint64_t first, last;
	struct mb_groups groups;
	size_t merged; /* groups taken so far */
	pthread_t thread;
	bool started;
	int r;
	struct mb_err err;
};

static uint64_t count_entries(const struct mb_digest_list *lists, uint32_t n_lists)
{
	uint64_t n = 0;

	for (uint32_t v = 0; v < n_lists; v++)
		n += lists[v].n;
	return n;
}

static unsigned int choose_threads(uint64_t n_entries)
{
	cpu_set_t cpus;
	uint64_t n = 1;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = (uint64_t)CPU_COUNT(&cpus);
	n = MB_MIN(n, n_entries / ENTRIES_PER_THREAD);
	return (unsigned int)MB_MIN(MB_MAX(n, 1u), (uint64_t)MB_GROUPS_THREADS_MAX);
}

/*
 * Quantiles of every stride-th entry in [first, last]: ends[] are the last digests of all ranges
 * but the last one, strictly ascending. Returns how many, which may be fewer than asked for: few
 * distinct digests cannot be cut into many ranges.
 */
static int cut(const struct mb_digest_list *lists, uint32_t n_lists, uint64_t first, uint64_t last,
	       unsigned int n_ranges, uint64_t *ends, struct mb_err *err)
{
	uint64_t n_entries = count_entries(lists, n_lists), skip = 0;
	uint64_t stride = MB_MAX(n_entries / ((uint64_t)SAMPLES_PER_RANGE * n_ranges), 1u);
	mb_autofree uint64_t *samples = malloc((n_entries / stride + 1) * sizeof(*samples));
	mb_autofree uint64_t *tmp = malloc((n_entries / stride + 1) * sizeof(*tmp));
	size_t n = 0;
	int n_ends = 0;

	if (!samples || !tmp)
		return mb_fail_mem(err, "the ranges of the sharing groups");
	for (uint32_t v = 0; v < n_lists; v++) {
		uint64_t at;

		for (at = skip; at < lists[v].n; at += stride)
			if (lists[v].digests[at] >= first && lists[v].digests[at] < last)
				samples[n++] = lists[v].digests[at];
		skip = at - lists[v].n;
	}
	mb_sort_u64(samples, tmp, n);
	for (unsigned int i = 1; i < n_ranges && n; i++) {
		uint64_t end = samples[n * i / n_ranges];

		if (!n_ends || ends[n_ends - 1] < end)
			ends[n_ends++] = end;
	}
	return n_ends;
}

static void *compute_part(void *arg)
{
	struct part *p = arg;

	p->r = mb_groups_compute_kept(&p->groups, p->lists, p->keep, p->n_lists, p->first, p->last,
				      &p->err);
	return NULL;
}

/* All but the last in threads of their own; where there can be no more of them, here. */
static int compute_parts(struct part *parts, unsigned int n, struct mb_err *err)
{
	int r = 0;

	for (unsigned int i = 0; i + 1 < n; i++)
		parts[i].started =
			pthread_create(&parts[i].thread, NULL, compute_part, &parts[i]) == 0;
	for (unsigned int i = n; i-- > 0;)
		if (!parts[i].started)
			compute_part(&parts[i]);
	for (unsigned int i = 0; i < n; i++) {
		if (parts[i].started)
			pthread_join(parts[i].thread, NULL);
		if (parts[i].r < 0 && r == 0) {
			r = parts[i].r;
			if (err)
				*err = parts[i].err;
		}
	}
	return r;
}

static int compare_heads(const struct part *a, const struct part *b)
{
	const struct mb_group *x = &a->groups.groups[a->merged], *y = &b->groups.groups[b->merged];

	return mb_group_set_compare(a->groups.vms + x->first_vm, x->n_vms,
				    b->groups.vms + y->first_vm, y->n_vms);
}

/* The part whose next group comes first; NULL: all are merged. */
static struct part *least(struct part *parts, unsigned int n)
{
	struct part *best = NULL;

	for (unsigned int i = 0; i < n; i++)
		if (parts[i].merged < parts[i].groups.n_groups &&
		    (!best || compare_heads(&parts[i], best) < 0))
			best = &parts[i];
	return best;
}

/* Appends the next group of `p`, or adds it to the last one that was appended. */
static int take(struct mb_groups *ret, struct part *p, struct mb_err *err)
{
	const struct mb_group *g = &p->groups.groups[p->merged++];
	const uint32_t *vms = p->groups.vms + g->first_vm;
	struct mb_group *before = ret->groups + ret->n_groups - 1;

	if (ret->n_groups &&
	    mb_group_set_compare(ret->vms + before->first_vm, before->n_vms, vms, g->n_vms) == 0) {
		before->weight_pages += g->weight_pages;
		return 0;
	}
	if (ret->n_vms + g->n_vms > UINT32_MAX)
		return mb_fail(err, EOVERFLOW, "the VM sets of all sharing groups exceed 2^32");
	ret->groups[ret->n_groups++] =
		(struct mb_group){ g->weight_pages, (uint32_t)ret->n_vms, g->n_vms };
	memcpy(ret->vms + ret->n_vms, vms, g->n_vms * sizeof(*vms));
	ret->n_vms += g->n_vms;
	return 0;
}

static int merge(struct part *parts, unsigned int n, struct mb_groups *ret, struct mb_err *err)
{
	size_t n_groups = 0, n_vms = 0;
	void *smaller;
	struct part *p;
	int r = 0;

	for (unsigned int i = 0; i < n; i++) {
		n_groups += parts[i].groups.n_groups;
		n_vms += parts[i].groups.n_vms;
	}
	ret->groups = malloc((n_groups + 1) * sizeof(*ret->groups));
	ret->vms = malloc((n_vms + 1) * sizeof(*ret->vms));
	if (!ret->groups || !ret->vms)
		r = mb_fail_mem(err, "the sharing groups");
	while (r == 0 && (p = least(parts, n)))
		r = take(ret, p, err);
	if (r < 0) {
		mb_groups_deinit(ret);
		return r;
	}
	/* Most groups are in every range: give back what was too much. It may fail; no harm. */
	smaller = realloc(ret->groups, (ret->n_groups + 1) * sizeof(*ret->groups));
	ret->groups = smaller ? smaller : ret->groups;
	smaller = realloc(ret->vms, (ret->n_vms + 1) * sizeof(*ret->vms));
	ret->vms = smaller ? smaller : ret->vms;
	return 0;
}

int mb_groups_compute_parallel(struct mb_groups *ret, const struct mb_digest_list *lists,
			       const uint64_t *const *keep, uint32_t n_lists, uint64_t first,
			       uint64_t last, unsigned int n_threads, struct mb_err *err)
{
	struct part parts[MB_GROUPS_THREADS_MAX];
	uint64_t ends[MB_GROUPS_THREADS_MAX];
	int r, n;

	*ret = (struct mb_groups){ 0 };
	/* What it refuses, it refuses before it looks at the lists. */
	if (n_lists > (uint32_t)1 << 31 || first > last)
		return mb_groups_compute_kept(ret, lists, keep, n_lists, first, last, err);
	if (!n_threads)
		n_threads = choose_threads(count_entries(lists, n_lists));
	n_threads = MB_MIN(n_threads, (unsigned int)MB_GROUPS_THREADS_MAX);
	if (n_threads < 2)
		return mb_groups_compute_kept(ret, lists, keep, n_lists, first, last, err);
	n = cut(lists, n_lists, first, last, n_threads, ends, err);
	if (n < 0)
		return n;
	ends[n++] = last;
	for (int i = 0; i < n; i++)
		parts[i] = (struct part){ .lists = lists,
					  .keep = keep,
					  .n_lists = n_lists,
					  .first = i ? ends[i - 1] + 1 : first,
					  .last = ends[i] };
	r = compute_parts(parts, (unsigned int)n, err);
	if (r == 0)
		r = merge(parts, (unsigned int)n, ret, err);
	for (int i = 0; i < n; i++)
		mb_groups_deinit(&parts[i].groups);
	return r;
}
