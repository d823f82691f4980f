// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/recount.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/fingerprint.h"
#include "server/group_bucket.h"
#include "server/group_table.h"

/*
 * Costs, in tenths of a ns as tests/bench/bench_fresh.c measured them; only their ratios count.
 * Counting all anew: each entry. Here: each entry that is looked at, each that is sorted, each step
 * of a search, each VM of a set that pages move from or to, each VM of an old group.
 */
enum {
	COST_ANEW = 150,
	COST_READ = 12,
	COST_SORT = 230,
	COST_PROBE = 60,
	COST_MOVE = 250,
	COST_KEEP = 50,
};

enum {
	/* Changes at a time: 16 KiB of filter, 1 of 64 strange digests gets through. */
	SLICE_CHANGES = 2048,
	SAMPLES_PER_SLICE = 16,
	FILTER_BITS = 17,
	/* Slices after which the cost of all of them can be told. */
	TRIAL_SLICES = 4,
	PREFETCH_LISTS = 8,
};

struct work {
	const struct mb_recount_vm *vms;
	uint32_t n_vms;
	uint64_t n_changes; /* of all VMs together */
	uint64_t *bounds;   /* last digest of each slice, ascending */
	size_t n_bounds;
	uint32_t *from, *to;		     /* of each list: the slice */
	uint32_t *changed_from, *changed_to; /* of what changed, likewise */
	uint64_t *filter;
	uint64_t *sought, *tmp; /* SLICE_CHANGES */
	struct mb_bucket bucket;
	struct mb_group_table table; /* what changes of the groups */
	uint64_t cost, cost_max;
};

static void work_deinit(struct work *w)
{
	free(w->bounds);
	free(w->from);
	free(w->to);
	free(w->changed_from);
	free(w->changed_to);
	free(w->filter);
	free(w->sought);
	free(w->tmp);
	mb_bucket_deinit(&w->bucket);
	mb_group_table_deinit(&w->table);
}

static bool keeps(const struct mb_recount_vm *vm, uint32_t rank)
{
	return !vm->keep || (vm->keep[rank / 64] >> rank % 64 & 1);
}

/* --- what changed ----------------------------------------------------------------------------- */

static int too_much(struct mb_err *err)
{
	return mb_fail(err, E2BIG, "so much has changed that counting all anew is cheaper");
}

/* All that a new VM has came to it. */
static const struct mb_digest_list *changed_of(const struct mb_recount_vm *vm)
{
	return vm->is_new ? &vm->list : &vm->changed;
}

/* Cuts the digest space where changes are: quantiles of every stride-th. */
static int cut_slices(struct work *w, struct mb_err *err)
{
	const uint64_t stride = SLICE_CHANGES / SAMPLES_PER_SLICE;
	mb_autofree uint64_t *samples = NULL, *tmp = NULL;
	uint64_t skip = stride / 2, at;
	size_t n = 0;

	samples = malloc((w->n_changes / stride + 1) * sizeof(*samples));
	tmp = malloc((w->n_changes / stride + 1) * sizeof(*tmp));
	w->bounds = malloc((w->n_changes / SLICE_CHANGES + 2) * sizeof(*w->bounds));
	if (!samples || !tmp || !w->bounds)
		return mb_fail_mem(err, "slices of changed digests");
	for (uint32_t v = 0; v < w->n_vms; v++) {
		const struct mb_digest_list *changed = changed_of(&w->vms[v]);

		for (at = skip; at < changed->n; at += stride)
			samples[n++] = changed->digests[at];
		skip = at - changed->n;
	}
	mb_sort_u64(samples, tmp, n);
	for (size_t i = SAMPLES_PER_SLICE; i < n; i += SAMPLES_PER_SLICE)
		if (!w->n_bounds || w->bounds[w->n_bounds - 1] < samples[i])
			w->bounds[w->n_bounds++] = samples[i];
	if (!w->n_bounds || w->bounds[w->n_bounds - 1] < UINT64_MAX)
		w->bounds[w->n_bounds++] = UINT64_MAX;
	return 0;
}

/* What may be spent, and on how much. */
static int look_at_changes(struct work *w, struct mb_err *err)
{
	uint64_t entries = 0;

	for (uint32_t v = 0; v < w->n_vms; v++) {
		entries += w->vms[v].list.n;
		w->n_changes += changed_of(&w->vms[v])->n;
	}
	w->cost_max = entries * COST_ANEW;
	if (!w->n_changes)
		return 0;
	/* Each is sorted once at least. */
	if (w->n_changes * COST_SORT + entries * COST_READ > w->cost_max &&
	    w->n_changes > SLICE_CHANGES)
		return too_much(err);
	return cut_slices(w, err);
}

/* --- a slice of it ---------------------------------------------------------------------------- */

struct slice {
	uint64_t last;
	uint64_t n_changes, n_entries; /* of all VMs */
};

/* The first entry of list[from, n) that is not below `digest`; near ones are found fast. */
static uint32_t gallop(const struct mb_digest_list *l, uint32_t from, uint64_t digest)
{
	uint32_t lo = from, hi, step = 1;

	while (l->n - lo > step && l->digests[lo + step] < digest) {
		lo += step;
		step *= 2;
	}
	hi = l->n - lo > step ? lo + step : l->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (l->digests[mid] < digest)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Takes the next slice off the lists. */
static void cut_lists(struct work *w, struct slice *s)
{
	for (uint32_t v = 0; v < w->n_vms; v++) {
		const struct mb_digest_list *list = &w->vms[v].list;
		const struct mb_digest_list *changed = changed_of(&w->vms[v]);

		w->from[v] = w->to[v];
		w->changed_from[v] = w->changed_to[v];
		if (s->last == UINT64_MAX) {
			w->to[v] = list->n;
			w->changed_to[v] = changed->n;
		} else {
			w->to[v] = gallop(list, w->from[v], s->last + 1);
			w->changed_to[v] = gallop(changed, w->changed_from[v], s->last + 1);
		}
		s->n_entries += w->to[v] - w->from[v];
		s->n_changes += w->changed_to[v] - w->changed_from[v];
	}
}

static size_t filter_at(uint64_t digest)
{
	return digest * 0x9e3779b97f4a7c15u >> (64 - FILTER_BITS);
}

static void fill_filter(struct work *w)
{
	memset(w->filter, 0, ((size_t)1 << FILTER_BITS) / 8);
	for (uint32_t v = 0; v < w->n_vms; v++) {
		const uint64_t *digests = changed_of(&w->vms[v])->digests;

		for (uint32_t i = w->changed_from[v]; i < w->changed_to[v]; i++)
			w->filter[filter_at(digests[i]) / 64] |= (uint64_t)1
								 << filter_at(digests[i]) % 64;
	}
}

/* D's part of the slice, ascending; how many there are. */
static size_t fill_sought(struct work *w)
{
	size_t n = 0, distinct = 0;

	for (uint32_t v = 0; v < w->n_vms; v++) {
		uint32_t n_of_vm = w->changed_to[v] - w->changed_from[v];

		if (n_of_vm)
			memcpy(w->sought + n, changed_of(&w->vms[v])->digests + w->changed_from[v],
			       n_of_vm * sizeof(*w->sought));
		n += n_of_vm;
	}
	mb_sort_u64(w->sought, w->tmp, n);
	for (size_t i = 0; i < n; i++)
		if (!distinct || w->sought[distinct - 1] != w->sought[i])
			w->sought[distinct++] = w->sought[i];
	return distinct;
}

/* VM v has `digest` now; before it come those that it has no more. */
static int push(struct work *w, uint32_t v, uint64_t digest, struct mb_err *err)
{
	const uint64_t *changed = w->vms[v].changed.digests;
	uint32_t when = MB_BUCKET_NOW | MB_BUCKET_BEFORE, *at = &w->changed_from[v];
	int r;

	if (w->vms[v].is_new)
		return mb_bucket_push(&w->bucket, digest, v, MB_BUCKET_NOW, err);
	for (; *at < w->changed_to[v] && changed[*at] < digest; ++*at) {
		r = mb_bucket_push(&w->bucket, changed[*at], v, MB_BUCKET_BEFORE, err);
		if (r < 0)
			return r;
	}
	if (*at < w->changed_to[v] && changed[*at] == digest) {
		when = MB_BUCKET_NOW;
		++*at;
	}
	return mb_bucket_push(&w->bucket, digest, v, when, err);
}

/* Those that it has no more, up to the slice's end. */
static int push_rest(struct work *w, uint32_t v, struct mb_err *err)
{
	const uint64_t *changed = w->vms[v].changed.digests;
	int r = 0;

	if (w->vms[v].is_new)
		return 0;
	for (uint32_t *at = &w->changed_from[v]; r == 0 && *at < w->changed_to[v]; ++*at)
		r = mb_bucket_push(&w->bucket, changed[*at], v, MB_BUCKET_BEFORE, err);
	return r;
}

static int read_list(struct work *w, uint32_t v, struct mb_err *err)
{
	const struct mb_recount_vm *vm = &w->vms[v];
	const uint64_t *digests = vm->list.digests, *filter = w->filter;
	int r = 0;

	for (uint32_t i = w->from[v], end = w->to[v]; i < end && r == 0; i++) {
		size_t at = filter_at(digests[i]);

		if ((filter[at / 64] >> at % 64 & 1) && keeps(vm, i))
			r = push(w, v, digests[i], err);
	}
	return r;
}

static int search_list(struct work *w, uint32_t v, size_t n_sought, struct mb_err *err)
{
	const struct mb_recount_vm *vm = &w->vms[v];
	uint32_t at = w->from[v];
	int r = 0;

	for (size_t i = 0; i < n_sought && r == 0 && at < w->to[v]; i++) {
		at = gallop(&vm->list, at, w->sought[i]);
		if (at < w->to[v] && vm->list.digests[at] == w->sought[i] && keeps(vm, at))
			r = push(w, v, w->sought[i], err);
	}
	return r;
}

/* Is looking for each digest in each list cheaper than reading the lists? */
static bool is_sparse(struct work *w, const struct slice *s)
{
	uint64_t steps = 2, by_search, by_reading = s->n_entries * COST_READ;
	bool ret;

	for (uint64_t gap = s->n_entries / w->n_vms / MB_MAX(s->n_changes, 1u); gap; gap /= 4)
		steps++;
	by_search = steps * s->n_changes * w->n_vms * COST_PROBE;
	ret = by_search < by_reading && s->n_changes <= SLICE_CHANGES;
	w->cost += ret ? by_search : by_reading;
	return ret;
}

/* The entries of the slice's digests; all VMs must go by the same rule (header). */
static int gather(struct work *w, const struct slice *s, struct mb_err *err)
{
	bool sparse = is_sparse(w, s);
	size_t n_sought = 0;
	int r = 0;

	if (sparse)
		n_sought = fill_sought(w);
	else
		fill_filter(w);
	w->bucket.n = 0;
	for (uint32_t v = 0; v < w->n_vms && r == 0; v++) {
		if (v + PREFETCH_LISTS < w->n_vms) {
			uint32_t ahead = v + PREFETCH_LISTS;

			__builtin_prefetch(w->vms[ahead].list.digests + w->from[ahead]);
			__builtin_prefetch(w->vms[ahead].changed.digests + w->changed_from[ahead]);
		}
		r = sparse ? search_list(w, v, n_sought, err) : read_list(w, v, err);
		if (r == 0)
			r = push_rest(w, v, err);
	}
	w->cost += w->bucket.n * COST_SORT;
	return r;
}

/* Each digest's page moves from the set that it was in to the one that it is in. */
static int move_pages(struct work *w, struct mb_err *err)
{
	struct mb_bucket *b = &w->bucket;

	for (size_t i = 0, end; i < b->n; i = end) {
		uint32_t n = 0, n_before = 0;
		int r = 0;

		for (end = i; end < b->n && b->entries[end].key == b->entries[i].key; end++) {
			b->set[n] = b->set_before[n_before] = b->entries[end].vm;
			n += b->entries[end].when & MB_BUCKET_NOW;
			n_before += b->entries[end].when / MB_BUCKET_BEFORE;
		}
		if (n == n_before && memcmp(b->set, b->set_before, n * sizeof(*b->set)) == 0)
			continue;
		w->cost += (uint64_t)((n > 1 ? n : 0) + (n_before > 1 ? n_before : 0)) * COST_MOVE;
		if (n_before > 1)
			r = mb_group_table_add(&w->table, b->set_before, n_before, -(uint64_t)1,
					       err);
		if (r == 0 && n > 1)
			r = mb_group_table_add(&w->table, b->set, n, 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What all slices will cost, by those that were done. */
static bool is_too_dear(const struct work *w, uint64_t cost_before, uint64_t done)
{
	double part = (double)done / (double)w->n_changes;

	return (double)cost_before + (double)(w->cost - cost_before) / part > (double)w->cost_max;
}

static int count(struct work *w, struct mb_err *err)
{
	uint64_t done = 0, cost_before = w->cost;
	int r = 0;

	for (size_t i = 0; i < w->n_bounds && r == 0; i++) {
		struct slice s = { .last = w->bounds[i] };

		cut_lists(w, &s);
		r = gather(w, &s, err);
		if (r < 0)
			break;
		mb_bucket_sort(&w->bucket);
		r = move_pages(w, err);
		done += s.n_changes;
		if (r == 0 && i + 1 < w->n_bounds &&
		    (w->cost > w->cost_max ||
		     (i == TRIAL_SLICES && is_too_dear(w, cost_before, done))))
			return too_much(err);
	}
	return r;
}

/* --- the matrix ------------------------------------------------------------------------------- */

static uint64_t n_pairs(const struct mb_group *groups, size_t n)
{
	uint64_t pairs = 0;

	for (size_t g = 0; g < n; g++)
		if (groups[g].weight_pages)
			pairs += (uint64_t)groups[g].n_vms * groups[g].n_vms;
	return pairs;
}

/* Before anybody is struck out: that changes no other two VMs' figure. */
static void move_inter(const struct work *w, uint64_t *inter)
{
	for (size_t g = 0; g < w->table.n_groups; g++) {
		const struct mb_group *group = &w->table.groups[g];
		const uint32_t *vms = w->table.vms + group->first_vm;

		for (uint32_t a = 0; group->weight_pages && a < group->n_vms; a++)
			for (uint32_t b = 0; b < group->n_vms; b++)
				if (a != b)
					inter[(size_t)vms[a] * w->n_vms + vms[b]] +=
						group->weight_pages;
	}
}

/* --- onto the old groups ---------------------------------------------------------------------- */

static bool is_struck(const struct work *w, uint32_t now)
{
	return now == MB_RECOUNT_GONE || w->vms[now].is_new;
}

/* The group as VMs are numbered now, without those that are struck out; how many there are. */
static uint32_t rename_set(const struct work *w, const struct mb_groups *old, size_t g,
			   const uint32_t *renamed, uint32_t *ret)
{
	const uint32_t *vms = old->vms + old->groups[g].first_vm;
	uint32_t n = 0;

	for (uint32_t i = 0; i < old->groups[g].n_vms; i++) {
		uint32_t now = renamed[vms[i]];

		if (!is_struck(w, now))
			ret[n++] = now;
	}
	return n;
}

/* A set that lost a VM may stand anywhere in the order: it goes by the table. */
static int strike_out(struct work *w, const struct mb_groups *old, const uint32_t *renamed,
		      uint32_t *set, struct mb_err *err)
{
	int r = 0;

	for (size_t g = 0; g < old->n_groups && r == 0; g++) {
		uint32_t n = rename_set(w, old, g, renamed, set);

		if (n > 1 && n < old->groups[g].n_vms)
			r = mb_group_table_add(&w->table, set, n, old->groups[g].weight_pages, err);
	}
	return r;
}

static int emit(struct mb_groups *ret, const uint32_t *vms, uint32_t n, uint64_t weight,
		struct mb_err *err)
{
	if (!weight)
		return 0;
	/* More pages were taken away than there were. */
	if (weight >> 63)
		return mb_fail(err, EINVAL, "the old sharing groups are not those of these VMs");
	if (ret->n_vms + n > UINT32_MAX)
		return mb_fail(err, EOVERFLOW, "the VM sets of all sharing groups exceed 2^32");
	memcpy(ret->vms + ret->n_vms, vms, n * sizeof(*vms));
	ret->groups[ret->n_groups++] = (struct mb_group){ weight, (uint32_t)ret->n_vms, n };
	ret->n_vms += n;
	return 0;
}

static int merge(const struct work *w, const struct mb_groups *old, const uint32_t *renamed,
		 const struct mb_groups *changes, uint32_t *set, struct mb_groups *ret,
		 struct mb_err *err)
{
	size_t g = 0, c = 0;
	uint32_t n = 0;
	int r = 0;

	while (r == 0) {
		const struct mb_group *change = c < changes->n_groups ? &changes->groups[c] : NULL;
		uint64_t weight = 0;
		int order;

		/* The next old group that nobody was struck out of. */
		for (; !n && g < old->n_groups; g += !n) {
			n = rename_set(w, old, g, renamed, set);
			n = n == old->groups[g].n_vms ? n : 0;
		}
		if (!n && !change)
			break;
		order = !change ? -1 :
			!n	? 1 :
				  mb_group_set_compare(set, n, changes->vms + change->first_vm,
						       change->n_vms);
		if (order >= 0) {
			weight = change->weight_pages;
			c++;
		}
		if (order <= 0) {
			weight += old->groups[g++].weight_pages;
			r = emit(ret, set, n, weight, err);
			n = 0;
		} else {
			r = emit(ret, changes->vms + change->first_vm, change->n_vms, weight, err);
		}
	}
	return r;
}

static int finish(struct work *w, const struct mb_groups *old, const uint32_t *renamed,
		  uint32_t *set, struct mb_groups *ret, struct mb_err *err)
{
	mb_cleanup(mb_groups_deinit) struct mb_groups changes = { 0 };
	int r = mb_group_table_finish(&w->table, &changes, err);

	if (r < 0)
		return r;
	ret->groups = malloc((old->n_groups + changes.n_groups + 1) * sizeof(*ret->groups));
	ret->vms = malloc((old->n_vms + changes.n_vms + 1) * sizeof(*ret->vms));
	r = ret->groups && ret->vms ? merge(w, old, renamed, &changes, set, ret, err) :
				      mb_fail_mem(err, "the sharing groups");
	if (r < 0)
		mb_groups_deinit(ret);
	return r;
}

static uint32_t largest_set(const struct mb_groups *g)
{
	uint32_t n = 0;

	for (size_t i = 0; i < g->n_groups; i++)
		n = MB_MAX(n, g->groups[i].n_vms);
	return n;
}

int mb_groups_recount(struct mb_groups *ret, const struct mb_groups *old, const uint32_t *renamed,
		      const struct mb_recount_vm *vms, uint32_t n_vms, uint64_t *inter,
		      struct mb_err *err)
{
	mb_cleanup(work_deinit) struct work w = { .vms = vms,
						  .n_vms = n_vms,
						  .cost = old->n_vms * COST_KEEP };
	mb_autofree uint32_t *set = malloc(((size_t)largest_set(old) + 1) * sizeof(*set));
	bool move;
	int r;

	*ret = (struct mb_groups){ 0 };
	w.from = calloc((size_t)n_vms + 1, sizeof(*w.from));
	w.to = calloc((size_t)n_vms + 1, sizeof(*w.to));
	w.changed_from = calloc((size_t)n_vms + 1, sizeof(*w.changed_from));
	w.changed_to = calloc((size_t)n_vms + 1, sizeof(*w.changed_to));
	w.filter = malloc(((size_t)1 << FILTER_BITS) / 8);
	w.sought = malloc(SLICE_CHANGES * sizeof(*w.sought));
	w.tmp = malloc(SLICE_CHANGES * sizeof(*w.tmp));
	if (!set || !w.from || !w.to || !w.changed_from || !w.changed_to || !w.filter ||
	    !w.sought || !w.tmp)
		return mb_fail_mem(err, "counting sharing groups again");
	if ((r = look_at_changes(&w, err)) < 0 || (r = count(&w, err)) < 0)
		return r;
	/* Many changes in large sets, and the whole matrix is less work. */
	move = inter &&
	       n_pairs(w.table.groups, w.table.n_groups) / 2 < n_pairs(old->groups, old->n_groups);
	if (move)
		move_inter(&w, inter);
	if ((r = strike_out(&w, old, renamed, set, err)) < 0 ||
	    (r = finish(&w, old, renamed, set, ret, err)) < 0)
		return r;
	if (inter && !move)
		mb_groups_matrix(ret, n_vms, inter);
	return 0;
}
