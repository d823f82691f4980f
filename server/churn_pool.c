// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/churn_pool.h"

#include <math.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/churn_replay.h"

/*
 * Pages looked at for one answer; epochs of a VM below which it tells little; digests that the VMs
 * have in all, for a reference, and the same times the VMs looked at.
 */
enum { PAGES_MAX = 16 << 20, EPOCHS_WANTED = 16, UNION_MAX = 4 << 20 };
#define REFERENCES_MAX ((uint64_t)64 << 20)

static const double LN_2 = 0.69314718055994530942;

/* --- what the others have --------------------------------------------------------------------- */

/* Every distinct digest of the VMs, ascending, as often as VMs have it. */
struct all {
	uint64_t *digests;
	size_t n;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* ret->digests NULL: it cannot be told. Digests of different identities do not compare. */
static int gather(const struct mb_vm *const *vms, uint32_t n, struct all *ret, struct mb_err *err)
{
	size_t sum = 0;

	*ret = (struct all){ 0 };
	for (uint32_t i = 0; i < n; i++) {
		const struct mb_fingerprint *fp;

		if (!vms[i]->epoch)
			continue;
		fp = mb_fpref_fingerprint(vms[i]->fp);
		if (!fp || !mb_small_is_all(&vms[i]->sample) ||
		    mb_identity_compare(&vms[i]->identity, &vms[0]->identity, NULL) < 0)
			return 0;
		sum += fp->n_distinct;
	}
	if (n < 2 || !sum || sum > UNION_MAX)
		return 0;
	ret->digests = reallocarray(NULL, sum, sizeof(*ret->digests));
	if (!ret->digests)
		return mb_fail_mem(err, "an answer");
	for (uint32_t i = 0; i < n; i++) {
		const struct mb_fingerprint *fp;

		if (!vms[i]->epoch)
			continue;
		fp = mb_fpref_fingerprint(vms[i]->fp);
		memcpy(ret->digests + ret->n, fp->digests, fp->n_distinct * sizeof(*fp->digests));
		ret->n += fp->n_distinct;
	}
	qsort(ret->digests, ret->n, sizeof(*ret->digests), compare);
	return 0;
}

static int make_reference(const struct all *all, const struct mb_vm *vm, struct mb_fingerprint *ret,
			  struct mb_err *err)
{
	const struct mb_fingerprint *own = mb_fpref_fingerprint(vm->fp);
	int r = mb_fingerprint_init(ret, all->n, 0, err);
	uint32_t k = 0;

	for (size_t i = 0, end; r == 0 && i < all->n; i = end) {
		uint64_t digest = all->digests[i];

		for (end = i + 1; end < all->n && all->digests[end] == digest;)
			end++;
		while (k < own->n_distinct && own->digests[k] < digest)
			k++;
		if (end - i > 1 || k == own->n_distinct || own->digests[k] != digest)
			mb_fingerprint_push(ret, digest, 1);
	}
	return r;
}

/* --- one VM ----------------------------------------------------------------------------------- */

static int take_row(void *ctx, const struct mb_churn_row *row, struct mb_err *err)
{
	(void)err;
	mb_churn_sums_add(ctx, row);
	return 0;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Sums of what cannot be added as a mean. */
struct tally {
	uint64_t before, kept, n, losses;
	double exposure_ns;
};

static void add(struct mb_churn_pool *to, struct tally tallies[MB_CHURN_KINDS],
		const struct mb_churn_sums *sums)
{
	double rows = (double)sums->rows;

	/* One epoch tells of no change. */
	if (sums->rows < 2)
		return;
	to->n_vms++;
	to->duration_ns = MB_MAX(to->duration_ns, sums->duration_ns);
	for (int w = 0; w < MB_CHURN_WINDOWS_MAX; w++)
		to->n_known[w] += sums->windows[w] > 0;
	for (int k = 0; k < MB_CHURN_KINDS; k++) {
		struct mb_churn_kind_summary *kind = &to->kinds[k];
		const struct mb_survival *survival = &sums->kinds[k].survival;

		kind->digests += (double)sums->kinds[k].digests / rows;
		kind->pages += (double)sums->kinds[k].pages / rows;
		tallies[k].before += sums->kinds[k].before;
		tallies[k].kept += sums->kinds[k].kept;
		tallies[k].n += survival->n;
		tallies[k].losses += survival->n - survival->left;
		tallies[k].exposure_ns += survival->exposure_ns;
		for (int w = 0; w < MB_CHURN_WINDOWS_MAX; w++) {
			double known = (double)sums->windows[w];

			if (!sums->windows[w])
				continue;
			kind->durable_pages[w] += (double)sums->kinds[k].durable[w] / known;
			kind->of_pages[w] += (double)sums->kinds[k].of[w] / known;
		}
	}
}

static struct mb_half_life half_life(const struct tally *t)
{
	if (!t->n || t->exposure_ns <= 0)
		return (struct mb_half_life){ .how = MB_HALF_LIFE_UNKNOWN };
	if (!t->losses)
		return (struct mb_half_life){ .how = MB_HALF_LIFE_NO_LOSS };
	return (struct mb_half_life){ MB_HALF_LIFE_FITTED,
				      LN_2 * t->exposure_ns / (double)t->losses };
}

static void finish(struct mb_churn_pool *p, const struct tally tallies[MB_CHURN_KINDS])
{
	for (int k = 0; k < MB_CHURN_KINDS; k++) {
		p->kinds[k].kept = tallies[k].before ?
					   (double)tallies[k].kept / (double)tallies[k].before :
					   NAN;
		p->kinds[k].half_life = half_life(&tallies[k]);
		for (int w = 0; w < MB_CHURN_WINDOWS_MAX; w++)
			if (!p->n_known[w])
				p->kinds[k].durable_pages[w] = p->kinds[k].of_pages[w] = NAN;
	}
}

/* So many of the n that each can be looked at for some epochs. */
static uint32_t choose(const struct mb_vm *const *vms, uint32_t n, const struct all *all)
{
	uint64_t pages = 0, most = n;

	for (uint32_t i = 0; i < n; i++)
		pages += vms[i]->sharing.pages;
	pages = MB_MAX(pages / MB_MAX(n, 1u), 1u);
	most = MB_MIN(most, PAGES_MAX / (pages * EPOCHS_WANTED));
	if (all->n)
		most = MB_MIN(most, REFERENCES_MAX / all->n);
	return (uint32_t)MB_MAX(most, 1u);
}

int mb_churn_pool(struct mb_store *s, const struct mb_vm *const *vms, uint32_t n,
		  uint64_t since_unix_ns, const struct mb_churn_config *config,
		  struct mb_churn_pool *ret, struct mb_err *err)
{
	struct tally tallies[MB_CHURN_KINDS] = { 0 };
	struct all all;
	uint32_t chosen;
	int r = gather(vms, n, &all, err);

	*ret = (struct mb_churn_pool){ .has_reference = all.digests };
	chosen = n ? choose(vms, n, &all) : 0;
	for (uint32_t i = 0; r == 0 && i < chosen; i++) {
		const struct mb_vm *vm = vms[(uint64_t)i * n / chosen];
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint reference = { 0 };
		struct mb_churn_sums own = { 0 };
		struct mb_churn_config c = *config;

		if (!vm->epoch)
			continue;
		c.zero_digest = vm->identity.zero_digest;
		c.reference = all.digests ? &reference : NULL;
		if (all.digests)
			r = make_reference(&all, vm, &reference, err);
		if (r == 0)
			r = mb_churn_replay(
				s, vm, &c, since_unix_ns,
				MB_MAX(PAGES_MAX / chosen / MB_MAX(vm->sharing.pages, 1u), 2u),
				take_row, &own, err);
		add(ret, tallies, &own);
	}
	finish(ret, tallies);
	free(all.digests);
	return r;
}
