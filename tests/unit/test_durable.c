// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/durable.h"

#include "tests/unit/util_test.h"

enum { SPACE = 300 };

/* The same, said plainly: since when each digest is held, and the two times. */
struct model {
	bool held[SPACE], whole;
	uint64_t since[SPACE], old, young;
};

static void model_step(struct model *m, const bool *now_held, uint64_t now, uint64_t time)
{
	for (int d = 0; d < SPACE; d++) {
		if (now_held[d] && !m->held[d])
			m->since[d] = now;
		m->held[d] = now_held[d];
	}
	if (now - m->young < time)
		return;
	m->whole = false;
	m->old = m->young;
	m->young = now;
}

static uint32_t list_of(const bool *held, uint64_t *ret)
{
	uint32_t n = 0;

	for (int d = 0; d < SPACE; d++)
		if (held[d])
			ret[n++] = (uint64_t)d * 7;
	return n;
}

static void check(const struct model *m, const struct mb_durable *d,
		  const struct mb_digest_list *list, uint64_t now, uint64_t time, uint64_t gap)
{
	uint64_t filtered[SPACE];
	uint32_t n = 0;

	assert_int_equal(d->n, list->n);
	assert_int_equal(d->whole, m->whole);
	for (uint32_t i = 0; i < list->n; i++) {
		uint64_t since = m->since[list->digests[i] / 7];
		bool durable = mb_durable_has(d, i);

		assert_int_equal(durable, m->whole || since <= m->old);
		if (!m->whole && durable)
			assert_true(now - since >= time);
		/* All that stays becomes durable. */
		if (now - since >= 2 * time + gap)
			assert_true(durable);
	}
	mb_durable_filter(d, list, 0, list->n, filtered);
	for (uint32_t i = 0; i < list->n; i++)
		if (mb_durable_has(d, i))
			assert_int_equal(filtered[n++], list->digests[i]);
	assert_int_equal(mb_durable_filter(d, list, 0, list->n, filtered), n);
}

static void test_as_the_model(void **state)
{
	struct rng rng = { 3 };
	size_t durable = 0, fleeting = 0;

	(void)state;
	for (int run = 0; run < 200; run++) {
		uint64_t now = 1000, time = 1 + rng_below(&rng, 60), gap = 1 + rng_below(&rng, 40);
		struct model m = { .whole = true, .old = now, .young = now };
		uint64_t a[SPACE], b[SPACE];
		struct mb_digest_list from = { a, 0 }, to = { b, 0 };
		bool held[SPACE];
		struct mb_durable d, next;
		struct mb_err err = { 0 };

		for (int k = 0; k < SPACE; k++) {
			held[k] = rng_below(&rng, 2);
			m.held[k] = held[k];
			m.since[k] = now;
		}
		from.n = list_of(held, a);
		mb_durable_start(&d, from.n, now);
		for (int step = 0; step < 30; step++) {
			/* Some change often, some hardly ever. */
			for (int k = 0; k < SPACE; k++)
				if (rng_below(&rng, 2 + (uint64_t)k) == 0)
					held[k] = !held[k];
			now += 1 + rng_below(&rng, gap);
			to.n = list_of(held, b);
			assert_ok(mb_durable_carry(&next, &d, &from, &to, now, time, &err), &err);
			model_step(&m, held, now, time);
			check(&m, &next, &to, now, time, gap);
			for (uint32_t i = 0; i < to.n; i++)
				*(mb_durable_has(&next, i) ? &durable : &fleeting) += 1;
			mb_durable_deinit(&d);
			d = next;
			memcpy(a, b, sizeof(a));
			from.n = to.n;
		}
		mb_durable_deinit(&d);
	}
	assert_true(durable > 10000 && fleeting > 10000);
}

static void test_a_new_vm_is_durable(void **state)
{
	uint64_t a[] = { 1, 5, 9 }, b[] = { 5, 6 };
	struct mb_digest_list from = { a, 3 }, to = { b, 2 };
	struct mb_durable d, next;
	struct mb_err err = { 0 };

	(void)state;
	mb_durable_start(&d, 3, 100);
	assert_ok(mb_durable_carry(&next, &d, &from, &to, 199, 100, &err), &err);
	assert_true(next.whole && mb_durable_has(&next, 0) && mb_durable_has(&next, 1));
	mb_durable_deinit(&next);
	assert_ok(mb_durable_carry(&next, &d, &from, &to, 200, 100, &err), &err);
	assert_true(!next.whole && mb_durable_has(&next, 0) && !mb_durable_has(&next, 1));
	mb_durable_deinit(&next);
	/* No time: all lasts. A clock that goes back: not a moment has passed. */
	assert_ok(mb_durable_carry(&next, &d, &from, &to, 200, 0, &err), &err);
	assert_true(mb_durable_has(&next, 1));
	mb_durable_deinit(&next);
	assert_ok(mb_durable_carry(&next, &d, &from, &to, 3, 1, &err), &err);
	assert_true(next.whole);
	assert_int_equal(next.young_ns, 100);
	mb_durable_deinit(&next);
	mb_durable_deinit(&d);
}

static void test_empty_lists(void **state)
{
	struct mb_digest_list none = { NULL, 0 };
	struct mb_durable d, next;
	struct mb_err err = { 0 };

	(void)state;
	mb_durable_start(&d, 0, 0);
	assert_ok(mb_durable_carry(&next, &d, &none, &none, 10, 1, &err), &err);
	assert_int_equal(mb_durable_filter(&next, &none, 0, 0, NULL), 0);
	mb_durable_deinit(&next);
	mb_durable_deinit(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_model),
		cmocka_unit_test(test_a_new_vm_is_durable),
		cmocka_unit_test(test_empty_lists),
	};

	return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
