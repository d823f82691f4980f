// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the groups are found:
 *
 *	lists       sorted; one cursor each; all cut at the same digests
 *	bucket      what lies between two cuts: some 2^13 (digest, VM) entries (group_bucket.h)
 *	local sort  by mixed digest, stable: equal digests side by side, their VMs ascending
 *	set table   VM set -> group (group_table.h)
 */
#include "server/groups.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/fingerprint.h"
#include "server/group_bucket.h"
#include "server/group_table.h"

#define BUCKET_PER_LIST	   8 /* entries at least: a cache line, or the cursors cost more */
#define SAMPLES_PER_BUCKET 16
#define PREFETCH_LISTS	   8

struct work {
	const struct mb_digest_list *lists;
	const uint64_t *const *keep; /* NULL: all of all */
	uint32_t n_lists;
	uint32_t *cursors; /* next entry of each list */
	uint32_t *ends;	   /* first entry past the range */
	uint64_t *bounds;  /* last digest of each bucket, ascending */
	size_t n_bounds;
	struct mb_bucket bucket;
	struct mb_group_table table;
};

static void work_deinit(struct work *w)
{
	free(w->cursors);
	free(w->ends);
	free(w->bounds);
	mb_bucket_deinit(&w->bucket);
	mb_group_table_deinit(&w->table);
}

/* Entries below `digest`. */
static uint32_t rank_of(const struct mb_digest_list *l, uint64_t digest)
{
	uint32_t lo = 0, hi = l->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (l->digests[mid] < digest)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Cuts the space where the data is: quantiles of every stride-th entry. 32-bit digests fill
 * only the lowest 2^-32 of the space, and clustered ones less.
 */
static int cut_buckets(struct work *w, uint64_t first, uint64_t last, struct mb_err *err)
{
	mb_autofree uint64_t *samples = NULL, *tmp = NULL;
	uint64_t n_entries = 0, target, stride, at = 0, skip;
	size_t n = 0;

	for (uint32_t v = 0; v < w->n_lists; v++) {
		const struct mb_digest_list *l = &w->lists[v];

		w->cursors[v] = rank_of(l, first);
		w->ends[v] = last == UINT64_MAX ? l->n : rank_of(l, last + 1);
		n_entries += w->ends[v] - w->cursors[v];
	}
	target = MB_MAX((uint64_t)MB_BUCKET_ENTRIES, (uint64_t)BUCKET_PER_LIST * w->n_lists);
	stride = target / SAMPLES_PER_BUCKET;
	samples = malloc((n_entries / stride + 1) * sizeof(*samples));
	tmp = malloc((n_entries / stride + 1) * sizeof(*tmp));
	w->bounds = malloc((n_entries / target + 2) * sizeof(*w->bounds));
	if (!samples || !tmp || !w->bounds)
		return mb_fail_mem(err, "the buckets of the sharing groups");
	skip = stride / 2;
	for (uint32_t v = 0; v < w->n_lists; v++) {
		for (at = w->cursors[v] + skip; at < w->ends[v]; at += stride)
			samples[n++] = w->lists[v].digests[at];
		skip = at - w->ends[v];
	}
	mb_sort_u64(samples, tmp, n);
	for (size_t i = SAMPLES_PER_BUCKET; i < n; i += SAMPLES_PER_BUCKET)
		if (!w->n_bounds || w->bounds[w->n_bounds - 1] < samples[i])
			w->bounds[w->n_bounds++] = samples[i];
	if (!w->n_bounds || w->bounds[w->n_bounds - 1] < last)
		w->bounds[w->n_bounds++] = last;
	return 0;
}

static bool keeps(const uint64_t *keep, uint32_t rank)
{
	return !keep || (keep[rank / 64] >> rank % 64 & 1);
}

/* Takes the entries up to `bound` off the lists. */
static int gather(struct work *w, uint64_t bound, struct mb_err *err)
{
	struct mb_bucket *b = &w->bucket;

	b->n = 0;
	for (uint32_t v = 0; v < w->n_lists; v++) {
		const uint64_t *digests = w->lists[v].digests;
		const uint64_t *keep = w->keep ? w->keep[v] : NULL;
		uint32_t c = w->cursors[v], end = w->ends[v];

		if (v + PREFETCH_LISTS < w->n_lists) {
			uint32_t ahead = v + PREFETCH_LISTS;

			__builtin_prefetch(w->lists[ahead].digests + w->cursors[ahead]);
			__builtin_prefetch(w->lists[ahead].digests + w->cursors[ahead] + 8);
		}
		for (; c < end && digests[c] <= bound; c++) {
			int r = keeps(keep, c) ?
					mb_bucket_push(b, digests[c], v, MB_BUCKET_NOW, err) :
					0;

			if (r < 0)
				return r;
		}
		w->cursors[v] = c;
	}
	return 0;
}

/* Adds each digest that two or more VMs have to its group. */
static int group(struct work *w, struct mb_err *err)
{
	struct mb_bucket *b = &w->bucket;

	for (size_t i = 0, end; i < b->n; i = end) {
		uint32_t n = 1;
		int r;

		for (end = i + 1; end < b->n && b->entries[end].key == b->entries[i].key; end++)
			b->set[n++] = b->entries[end].vm;
		if (n < 2)
			continue;
		b->set[0] = b->entries[i].vm;
		r = mb_group_table_add(&w->table, b->set, n, 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int mb_group_set_compare(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b)
{
	for (uint32_t i = 0; i < n_a && i < n_b; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return (n_a > n_b) - (n_a < n_b);
}

int mb_groups_compute_kept(struct mb_groups *ret, const struct mb_digest_list *lists,
			   const uint64_t *const *keep, uint32_t n_lists, uint64_t first,
			   uint64_t last, struct mb_err *err)
{
	mb_cleanup(
		work_deinit) struct work w = { .lists = lists, .keep = keep, .n_lists = n_lists };
	int r;

	*ret = (struct mb_groups){ 0 };
	if (n_lists > (uint32_t)1 << 31)
		return mb_fail(err, EINVAL, "%u VMs are more than 2^31", n_lists);
	if (first > last)
		return mb_group_table_finish(&w.table, ret, err);
	w.cursors = malloc(((size_t)n_lists + 1) * sizeof(*w.cursors));
	w.ends = malloc(((size_t)n_lists + 1) * sizeof(*w.ends));
	if (!w.cursors || !w.ends)
		return mb_fail_mem(err, "the cursors of the sharing groups");
	r = cut_buckets(&w, first, last, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < w.n_bounds && r == 0; i++) {
		r = gather(&w, w.bounds[i], err);
		if (r < 0)
			break;
		mb_bucket_sort(&w.bucket);
		r = group(&w, err);
	}
	return r < 0 ? r : mb_group_table_finish(&w.table, ret, err);
}

int mb_groups_compute(struct mb_groups *ret, const struct mb_digest_list *lists, uint32_t n_lists,
		      uint64_t first, uint64_t last, struct mb_err *err)
{
	return mb_groups_compute_kept(ret, lists, NULL, n_lists, first, last, err);
}

void mb_groups_deinit(struct mb_groups *g)
{
	free(g->groups);
	free(g->vms);
	*g = (struct mb_groups){ 0 };
}

void mb_groups_matrix(const struct mb_groups *g, uint32_t n, uint64_t *ret_inter)
{
	memset(ret_inter, 0, (size_t)n * n * sizeof(*ret_inter));
	for (size_t i = 0; i < g->n_groups; i++) {
		const uint32_t *vms = g->vms + g->groups[i].first_vm;
		uint64_t weight = g->groups[i].weight_pages;

		for (uint32_t a = 0; a < g->groups[i].n_vms; a++) {
			uint64_t *row = ret_inter + (size_t)vms[a] * n;

			for (uint32_t b = a + 1; b < g->groups[i].n_vms; b++)
				row[vms[b]] += weight;
		}
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			ret_inter[j * n + i] = ret_inter[i * n + j];
}

void mb_groups_any(const struct mb_groups *g, uint32_t n, uint64_t *ret_any)
{
	memset(ret_any, 0, n * sizeof(*ret_any));
	for (size_t i = 0; i < g->n_groups; i++)
		for (uint32_t k = 0; k < g->groups[i].n_vms; k++)
			ret_any[g->vms[g->groups[i].first_vm + k]] += g->groups[i].weight_pages;
}

uint64_t mb_groups_inter_saving(const struct mb_groups *g, const uint8_t *on_host)
{
	uint64_t saving = 0;

	for (size_t i = 0; i < g->n_groups; i++) {
		uint32_t n = 0;

		for (uint32_t k = 0; k < g->groups[i].n_vms; k++)
			n += on_host[g->vms[g->groups[i].first_vm + k]] != 0;
		if (n > 1)
			saving += g->groups[i].weight_pages * (n - 1);
	}
	return saving;
}
