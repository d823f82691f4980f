// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to bring sharing groups up to date (server/recount.h), as a share of counting all
 * anew in the same run, by how much has changed and where. Checks that both come to the same.
 * usage: bench_fresh [VMS [PAGES]]     (200 VMs of 65536 distinct pages)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/cleanup.h"
#include "proto/fingerprint.h"
#include "server/groups.h"
#include "server/recount.h"

enum { REPEATS = 3, OS = 4, APPS = 50, KEEP_PERCENT = 75 };

static uint64_t state;

static uint64_t next(void)
{
	return mb_mix64(state += 0x9e3779b97f4a7c15u);
}

static double now_s(void)
{
	struct timespec t;

	/* Of this program alone: the machine may be shared. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *need(void *p)
{
	if (p)
		return p;
	fputs("bench_fresh: out of memory\n", stderr);
	exit(1);
}

static void must(int r, const struct mb_err *err)
{
	if (r == 0)
		return;
	fprintf(stderr, "bench_fresh: %s\n", err->text);
	exit(1);
}

/* A quarter of an operating system, a quarter of an application, the rest is its own. */
struct vm {
	uint64_t *pages; /* [0, n_pages): digests by place; images first */
	size_t n_pages, n_image;
	uint64_t *before, *now, *changed; /* sorted */
	uint32_t n_before, n_now, n_changed;
};

static uint64_t image_page(uint64_t image, uint64_t i)
{
	return mb_mix64(image << 32 | i);
}

static void make_vm(struct vm *vm, size_t n)
{
	uint64_t images[2] = { 1 + next() % OS, 100 + next() % APPS };

	vm->pages = need(calloc(n, sizeof(*vm->pages)));
	vm->n_pages = n;
	for (int k = 0; k < 2; k++)
		for (uint64_t i = 0; i < n / 4; i++)
			if (next() % 100 < KEEP_PERCENT)
				vm->pages[vm->n_image++] = image_page(images[k], i);
	for (size_t i = vm->n_image; i < n; i++)
		vm->pages[i] = next();
}

static uint32_t sort_list(const struct vm *vm, uint64_t **ret)
{
	mb_autofree uint64_t *tmp = need(calloc(vm->n_pages, sizeof(*tmp)));
	uint32_t n = 0;

	*ret = need(malloc(vm->n_pages * sizeof(**ret)));
	memcpy(*ret, vm->pages, vm->n_pages * sizeof(**ret));
	mb_sort_u64(*ret, tmp, vm->n_pages);
	for (size_t i = 0; i < vm->n_pages; i++)
		if (!n || (*ret)[n - 1] != (*ret)[i])
			(*ret)[n++] = (*ret)[i];
	return n;
}

/* Rewrites this share of the places from `first` on; of an image's page often becomes another's. */
static void churn(struct vm *vm, double share, bool everywhere)
{
	size_t first = everywhere ? 0 : vm->n_image;
	size_t n = (size_t)((double)vm->n_pages * share);

	for (size_t i = 0; i < n; i++) {
		uint64_t *page = &vm->pages[first + next() % (vm->n_pages - first)];

		*page = everywhere && next() % 3 == 0 ?
				image_page(1 + next() % OS, next() % (vm->n_pages / 4)) :
				next();
	}
}

static void diff(struct vm *vm)
{
	uint32_t i = 0, j = 0, n = 0;

	vm->changed = need(malloc(((size_t)vm->n_before + vm->n_now + 1) * sizeof(uint64_t)));
	while (i < vm->n_before || j < vm->n_now) {
		if (j == vm->n_now || (i < vm->n_before && vm->before[i] < vm->now[j])) {
			vm->changed[n++] = vm->before[i++];
		} else if (i == vm->n_before || vm->now[j] < vm->before[i]) {
			vm->changed[n++] = vm->now[j++];
		} else {
			i++;
			j++;
		}
	}
	vm->n_changed = n;
}

static bool same(const struct mb_groups *a, const struct mb_groups *b)
{
	return a->n_groups == b->n_groups && a->n_vms == b->n_vms &&
	       memcmp(a->groups, b->groups, a->n_groups * sizeof(*a->groups)) == 0 &&
	       memcmp(a->vms, b->vms, a->n_vms * sizeof(*a->vms)) == 0;
}

/* Best of some: ns; groups of the last. */
static double time_anew(const struct mb_digest_list *lists, uint32_t n, struct mb_groups *ret)
{
	struct mb_err err = { 0 };
	double best = 0;

	for (int i = 0; i < REPEATS; i++) {
		double start = now_s(), s;

		mb_groups_deinit(ret);
		must(mb_groups_compute(ret, lists, n, 0, UINT64_MAX, &err), &err);
		s = now_s() - start;
		best = i ? MB_MIN(best, s) : s;
	}
	return best;
}

static double time_recount(const struct mb_groups *old, const uint32_t *renamed,
			   const struct mb_recount_vm *vms, uint32_t n, struct mb_groups *ret,
			   bool *ret_given_up)
{
	struct mb_err err = { 0 };
	double best = 0;

	for (int i = 0; i < REPEATS; i++) {
		double start = now_s(), s;
		int r;

		mb_groups_deinit(ret);
		r = mb_groups_recount(ret, old, renamed, vms, n, NULL, &err);
		s = now_s() - start;
		*ret_given_up = r == -E2BIG;
		must(*ret_given_up ? 0 : r, &err);
		best = i ? MB_MIN(best, s) : s;
	}
	return best;
}

static void run(uint32_t n, size_t pages, const char *name, uint32_t n_churned, double share,
		bool everywhere)
{
	mb_autofree struct vm *vms = need(calloc(n, sizeof(*vms)));
	mb_autofree struct mb_recount_vm *recount = need(calloc(n, sizeof(*recount)));
	mb_autofree struct mb_digest_list *lists = need(calloc(n, sizeof(*lists)));
	mb_autofree uint32_t *renamed = need(calloc(n, sizeof(*renamed)));
	struct mb_groups old = { 0 }, anew = { 0 }, again = { 0 };
	uint64_t entries = 0, changed = 0;
	struct mb_err err = { 0 };
	double anew_s, recount_s;
	bool given_up;

	state = 1;
	for (uint32_t v = 0; v < n; v++) {
		make_vm(&vms[v], pages);
		vms[v].n_before = sort_list(&vms[v], &vms[v].before);
		lists[v] = (struct mb_digest_list){ vms[v].before, vms[v].n_before };
		renamed[v] = v;
	}
	must(mb_groups_compute(&old, lists, n, 0, UINT64_MAX, &err), &err);
	for (uint32_t v = 0; v < n; v++) {
		churn(&vms[v], v < n_churned ? share : 0, everywhere);
		vms[v].n_now = sort_list(&vms[v], &vms[v].now);
		diff(&vms[v]);
		free(vms[v].before);
		free(vms[v].pages);
		lists[v] = (struct mb_digest_list){ vms[v].now, vms[v].n_now };
		recount[v].list = lists[v];
		recount[v].changed = (struct mb_digest_list){ vms[v].changed, vms[v].n_changed };
		entries += vms[v].n_now;
		changed += vms[v].n_changed;
	}
	anew_s = time_anew(lists, n, &anew);
	recount_s = time_recount(&old, renamed, recount, n, &again, &given_up);
	if (!given_up && !same(&anew, &again)) {
		fputs("bench_fresh: FAILED: the two differ\n", stderr);
		exit(1);
	}
	printf("%-10s %8" PRIu32 " %7.2f %% %9" PRIu64 " %8zu %9.1f %9.1f %7.3f  %s\n", name,
	       n_churned, 100 * share, changed, anew.n_groups, anew_s * 1e3, recount_s * 1e3,
	       recount_s / anew_s, given_up ? "given up: counted anew" : "");
	fflush(stdout);
	mb_groups_deinit(&old);
	mb_groups_deinit(&anew);
	mb_groups_deinit(&again);
	for (uint32_t v = 0; v < n; v++) {
		free(vms[v].now);
		free(vms[v].changed);
	}
}

int main(int argc, char **argv)
{
	static const double shares[] = { .001, .01, .05, .25, .5 };
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 200;
	size_t pages = argc > 2 ? strtoul(argv[2], NULL, 10) : 65536;

	if (n < 2 || pages < 1000) {
		fputs("usage: bench_fresh [VMS [PAGES]]\n", stderr);
		return 2;
	}
	printf("%" PRIu32 " VMs of %zu distinct pages\n%-10s %8s %9s %9s %8s %9s %9s %7s\n", n,
	       pages, "changes", "VMs", "churn", "digests", "groups", "anew ms", "here ms",
	       "ratio");
	run(n, pages, "one VM", 1, 100.0 / (double)pages, true);
	run(n, pages, "one VM", 1, .05, true);
	for (size_t i = 0; i < MB_ARRAY_LEN(shares); i++)
		run(n, pages, "own pages", n, shares[i], false);
	for (size_t i = 0; i < MB_ARRAY_LEN(shares); i++)
		run(n, pages, "all pages", n, shares[i], true);
	return 0;
}
