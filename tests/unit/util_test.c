// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <unistd.h>

#include "proto/multiset_hash.h"

uint64_t rng_next(struct rng *r)
{
	return mb_mix64(r->state += 0x9e3779b97f4a7c15u);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

void random_fingerprint(struct rng *r, size_t n, uint64_t space, struct mb_fingerprint *ret)
{
	uint64_t *digests = malloc((n + 1) * sizeof(*digests));
	struct mb_err err = { 0 };

	assert_non_null(digests);
	for (size_t i = 0; i < n; i++) {
		/* One in eight repeats an earlier one. */
		if (i && rng_below(r, 8) == 0)
			digests[i] = digests[rng_below(r, i)];
		else
			digests[i] = space ? rng_below(r, space) : rng_next(r);
	}
	assert_ok(mb_fingerprint_from_digests(ret, digests, n, &err), &err);
	free(digests);
}

void assert_fingerprint_equal(const struct mb_fingerprint *a, const struct mb_fingerprint *b)
{
	assert_int_equal(a->n_distinct, b->n_distinct);
	assert_int_equal(a->n_multi, b->n_multi);
	assert_int_equal(a->n_pages, b->n_pages);
	assert_memory_equal(a->digests, b->digests, a->n_distinct * sizeof(*a->digests));
	assert_memory_equal(a->multi, b->multi, a->n_multi * sizeof(*a->multi));
	assert_true(mb_multiset_hash_equal(a->hash, b->hash));
}

void assert_ok(int r, const struct mb_err *err)
{
	if (r != 0)
		fail_msg("%d: %s", r, err->text);
}

void assert_fails(int r, int code, const struct mb_err *err, const char *word)
{
	if (r != -code || !strstr(err->text, word))
		fail_msg("expected %d with \"%s\", got %d: %s", -code, word, r, err->text);
}

const char *traces_dir(void)
{
	const char *dir = getenv("MB_TRACES");

	dir = dir ? dir : "../shared/traces";
	if (access(dir, R_OK) == 0)
		return dir;
	print_message("skipped: no real traces at %s (set MB_TRACES)\n", dir);
	return NULL;
}
