// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the groups are found:
 *
 *	lists       sorted; one cursor each; all cut at the same digests
 *	bucket      what lies between two cuts: some 2^13 (digest, VM) entries, to stay in L2
 *	local sort  by mixed digest, stable: equal digests side by side, their VMs ascending
 *	set table   VM set -> group, by a 64-bit signature and then the whole list
 *
 * Measured with 1000 VMs: this sort takes half the time of an open-addressing table of digests,
 * and digests chosen to collide cannot make it slow.
 */
#include "server/groups.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/fingerprint.h"
#include "proto/multiset_hash.h"

#define BUCKET_ENTRIES	   8192 /* aimed at; with both halves of the sort some 260 KiB */
#define BUCKET_PER_LIST	   8	/* but a cache line of every list, or the cursors cost more */
#define SAMPLES_PER_BUCKET 16
#define PREFETCH_LISTS	   8
#define RADIX_BITS	   10
#define RADIX_MASK	   (((uint32_t)1 << RADIX_BITS) - 1)

struct entry {
	uint64_t key; /* the digest, mixed: a bijection that spreads clustered digests */
	uint32_t vm;
};

/* One bucket of the digest space: reused for all. */
struct bucket {
	struct entry *entries, *sorted;
	uint32_t *set; /* the VMs of one digest */
	size_t n, cap; /* of all three */
};

/* Groups under construction. */
struct set_table {
	uint32_t *slots;      /* group + 1, 0 = free; 2^bits */
	uint64_t *signatures; /* per group */
	struct mb_group *groups;
	uint32_t *vms;
	size_t n_groups, cap_groups;
	size_t n_vms, cap_vms;
	unsigned int bits;
};

struct work {
	const struct mb_digest_list *lists;
	uint32_t n_lists;
	uint32_t *cursors; /* next entry of each list */
	uint32_t *ends;	   /* first entry past the range */
	uint64_t *bounds;  /* last digest of each bucket, ascending */
	size_t n_bounds;
	struct bucket bucket;
	struct set_table sets;
};

static void work_deinit(struct work *w)
{
	free(w->cursors);
	free(w->ends);
	free(w->bounds);
	free(w->bucket.entries);
	free(w->bucket.sorted);
	free(w->bucket.set);
	free(w->sets.slots);
	free(w->sets.signatures);
	free(w->sets.groups);
	free(w->sets.vms);
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
	target = MB_MAX((uint64_t)BUCKET_ENTRIES, (uint64_t)BUCKET_PER_LIST * w->n_lists);
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

/* Makes room; the entries stay, the rest is scratch. */
static int bucket_grow(struct bucket *b, struct mb_err *err)
{
	size_t cap = b->cap ? 2 * b->cap : 2 * BUCKET_ENTRIES;
	struct entry *entries = realloc(b->entries, cap * sizeof(*entries));

	if (entries)
		b->entries = entries;
	free(b->sorted);
	free(b->set);
	b->sorted = malloc(cap * sizeof(*b->sorted));
	b->set = malloc(cap * sizeof(*b->set));
	if (!entries || !b->sorted || !b->set)
		return mb_fail_mem(err, "a bucket of the sharing groups");
	b->cap = cap;
	return 0;
}

static uint64_t signature_of(const uint32_t *vms, uint32_t n)
{
	uint64_t h = n;

	for (uint32_t i = 0; i < n; i++)
		h = (h ^ vms[i]) * 0x9e3779b97f4a7c15u;
	return mb_mix64(h);
}

static int set_table_grow(struct set_table *t, struct mb_err *err)
{
	unsigned int bits = t->bits ? t->bits + 1 : 12;
	size_t mask = ((size_t)1 << bits) - 1;
	uint32_t *slots = calloc(mask + 1, sizeof(*slots));

	if (!slots)
		return mb_fail_mem(err, "the table of sharing groups");
	for (size_t g = 0; g < t->n_groups; g++) {
		size_t s = t->signatures[g] & mask;

		while (slots[s])
			s = (s + 1) & mask;
		slots[s] = (uint32_t)(g + 1);
	}
	free(t->slots);
	t->slots = slots;
	t->bits = bits;
	return 0;
}

static int set_table_push(struct set_table *t, const uint32_t *vms, uint32_t n, uint64_t signature,
			  struct mb_err *err)
{
	if (t->n_groups == UINT32_MAX - 1)
		return mb_fail(err, EOVERFLOW, "more than 2^32 sharing groups");
	if (t->n_groups == t->cap_groups) {
		size_t cap = t->cap_groups ? 2 * t->cap_groups : 1024;
		void *p = realloc(t->groups, cap * sizeof(*t->groups));

		if (!p)
			return mb_fail_mem(err, "the sharing groups");
		t->groups = p;
		p = realloc(t->signatures, cap * sizeof(*t->signatures));
		if (!p)
			return mb_fail_mem(err, "the sharing groups");
		t->signatures = p;
		t->cap_groups = cap;
	}
	if (t->cap_vms - t->n_vms < n) {
		size_t cap = MB_MAX(2 * t->cap_vms, t->n_vms + n + 4096);
		void *p = realloc(t->vms, cap * sizeof(*t->vms));

		if (!p)
			return mb_fail_mem(err, "the VM sets of the sharing groups");
		t->vms = p;
		t->cap_vms = cap;
	}
	if (t->n_vms + n > UINT32_MAX)
		return mb_fail(err, EOVERFLOW, "the VM sets of all sharing groups exceed 2^32");
	memcpy(t->vms + t->n_vms, vms, n * sizeof(*vms));
	t->groups[t->n_groups] = (struct mb_group){ 1, (uint32_t)t->n_vms, n };
	t->signatures[t->n_groups] = signature;
	t->n_groups++;
	t->n_vms += n;
	return 0;
}

/* One more page for this set of VMs. */
static int set_table_add(struct set_table *t, const uint32_t *vms, uint32_t n, struct mb_err *err)
{
	uint64_t signature = signature_of(vms, n);
	size_t mask, s;
	int r;

	if (2 * (t->n_groups + 1) > ((size_t)1 << t->bits) || !t->slots) {
		r = set_table_grow(t, err);
		if (r < 0)
			return r;
	}
	mask = ((size_t)1 << t->bits) - 1;
	for (s = signature & mask; t->slots[s]; s = (s + 1) & mask) {
		size_t g = t->slots[s] - 1;

		if (t->signatures[g] == signature && t->groups[g].n_vms == n &&
		    memcmp(t->vms + t->groups[g].first_vm, vms, n * sizeof(*vms)) == 0) {
			t->groups[g].weight_pages++;
			return 0;
		}
	}
	r = set_table_push(t, vms, n, signature, err);
	if (r < 0)
		return r;
	t->slots[s] = (uint32_t)t->n_groups;
	return 0;
}

/* Takes the entries up to `bound` off the lists. */
static int bucket_gather(struct work *w, uint64_t bound, struct mb_err *err)
{
	struct bucket *b = &w->bucket;

	b->n = 0;
	for (uint32_t v = 0; v < w->n_lists; v++) {
		const uint64_t *digests = w->lists[v].digests;
		uint32_t c = w->cursors[v], end = w->ends[v];

		if (v + PREFETCH_LISTS < w->n_lists) {
			uint32_t ahead = v + PREFETCH_LISTS;

			__builtin_prefetch(w->lists[ahead].digests + w->cursors[ahead]);
			__builtin_prefetch(w->lists[ahead].digests + w->cursors[ahead] + 8);
		}
		for (; c < end && digests[c] <= bound; c++) {
			if (b->n == b->cap) {
				int r = bucket_grow(b, err);

				if (r < 0)
					return r;
			}
			b->entries[b->n++] = (struct entry){ mb_mix64(digests[c]), v };
		}
		w->cursors[v] = c;
	}
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	if (ea->key != eb->key)
		return ea->key < eb->key ? -1 : 1;
	return (ea->vm > eb->vm) - (ea->vm < eb->vm);
}

static void radix_pass(const struct entry *from, struct entry *to, size_t n, unsigned int shift)
{
	uint32_t at[RADIX_MASK + 1] = { 0 }, sum = 0;

	for (size_t i = 0; i < n; i++)
		at[from[i].key >> shift & RADIX_MASK]++;
	for (size_t v = 0; v <= RADIX_MASK; v++) {
		uint32_t count = at[v];

		at[v] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i].key >> shift & RADIX_MASK]++] = from[i];
}

/* Brings equal keys together, VMs ascending. Both passes are stable; few keys agree in 20 bits. */
static void bucket_sort(struct bucket *b)
{
	const uint64_t mask = ((uint64_t)1 << 2 * RADIX_BITS) - 1;

	radix_pass(b->entries, b->sorted, b->n, 0);
	radix_pass(b->sorted, b->entries, b->n, RADIX_BITS);
	for (size_t i = 0, end; i < b->n; i = end) {
		uint64_t key = b->entries[i].key, differs = 0;

		for (end = i + 1; end < b->n && !((b->entries[end].key ^ key) & mask); end++)
			differs |= b->entries[end].key ^ key;
		if (differs)
			qsort(b->entries + i, end - i, sizeof(*b->entries), compare_entries);
	}
}

/* Adds each digest that two or more VMs have to its group. */
static int bucket_group(struct bucket *b, struct set_table *t, struct mb_err *err)
{
	for (size_t i = 0, end; i < b->n; i = end) {
		uint32_t n = 1;
		int r;

		for (end = i + 1; end < b->n && b->entries[end].key == b->entries[i].key; end++)
			b->set[n++] = b->entries[end].vm;
		if (n < 2)
			continue;
		b->set[0] = b->entries[i].vm;
		r = set_table_add(t, b->set, n, err);
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

static int compare_sets(const void *a, const void *b, void *vms)
{
	const struct mb_group *ga = a, *gb = b;
	const uint32_t *set = vms;

	return mb_group_set_compare(set + ga->first_vm, ga->n_vms, set + gb->first_vm, gb->n_vms);
}

/* Hands the groups over, ordered by VM set and their sets likewise. */
static int set_table_finish(struct set_table *t, struct mb_groups *ret, struct mb_err *err)
{
	uint32_t *vms = malloc((t->n_vms + 1) * sizeof(*vms));
	size_t at = 0;
	void *p;

	if (!vms)
		return mb_fail_mem(err, "the VM sets of the sharing groups");
	if (t->n_groups)
		qsort_r(t->groups, t->n_groups, sizeof(*t->groups), compare_sets, t->vms);
	for (size_t g = 0; g < t->n_groups; g++) {
		memcpy(vms + at, t->vms + t->groups[g].first_vm, t->groups[g].n_vms * sizeof(*vms));
		t->groups[g].first_vm = (uint32_t)at;
		at += t->groups[g].n_vms;
	}
	/* Shrinking may fail; then the larger block stays. */
	p = realloc(t->groups, (t->n_groups + 1) * sizeof(*t->groups));
	if (!p && !t->groups) {
		free(vms);
		return mb_fail_mem(err, "the sharing groups");
	}
	t->groups = p ? p : t->groups;
	*ret = (struct mb_groups){
		.groups = mb_take_ptr(t->groups),
		.n_groups = t->n_groups,
		.vms = vms,
		.n_vms = t->n_vms,
	};
	return 0;
}

int mb_groups_compute(struct mb_groups *ret, const struct mb_digest_list *lists, uint32_t n_lists,
		      uint64_t first, uint64_t last, struct mb_err *err)
{
	mb_cleanup(work_deinit) struct work w = { .lists = lists, .n_lists = n_lists };
	int r;

	*ret = (struct mb_groups){ 0 };
	if (n_lists > (uint32_t)1 << 31)
		return mb_fail(err, EINVAL, "%u VMs are more than 2^31", n_lists);
	if (first > last)
		return set_table_finish(&w.sets, ret, err);
	w.cursors = malloc(((size_t)n_lists + 1) * sizeof(*w.cursors));
	w.ends = malloc(((size_t)n_lists + 1) * sizeof(*w.ends));
	if (!w.cursors || !w.ends)
		return mb_fail_mem(err, "the cursors of the sharing groups");
	r = cut_buckets(&w, first, last, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < w.n_bounds && r == 0; i++) {
		r = bucket_gather(&w, w.bounds[i], err);
		if (r < 0)
			break;
		bucket_sort(&w.bucket);
		r = bucket_group(&w.bucket, &w.sets, err);
	}
	return r < 0 ? r : set_table_finish(&w.sets, ret, err);
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
