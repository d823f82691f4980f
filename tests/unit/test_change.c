// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/change.h"

#include "tests/unit/util_test.h"

enum { DIGESTS = 200, ROUNDS = 400 };

/* Digest d is there, and counts. */
struct state {
	uint64_t digests[DIGESTS], keep[DIGESTS / 64 + 1];
	uint32_t n;
	bool counts[DIGESTS];
};

static struct mb_kept_list list_of(const struct state *s)
{
	return (struct mb_kept_list){ { s->digests, s->n }, s->keep };
}

static void draw(struct rng *r, struct state *s, const struct state *from, uint64_t percent)
{
	*s = (struct state){ 0 };
	for (uint32_t d = 0; d < DIGESTS; d++) {
		bool change = !from || rng_below(r, 100) < percent;
		bool there = change ? rng_below(r, 2) : from->counts[d] || rng_below(r, 9) == 0;

		s->counts[d] = change ? there && rng_below(r, 4) : from->counts[d];
		if (!there)
			continue;
		s->keep[s->n / 64] |= (uint64_t)s->counts[d] << s->n % 64;
		s->digests[s->n++] = d;
	}
}

static void test_sums_up(void **state)
{
	struct rng r = { 3 };

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct mb_change c = { 0 };
		struct state first, last, next;
		uint32_t n = 0;

		draw(&r, &first, NULL, 0);
		last = first;
		for (uint64_t steps = rng_below(&r, 5); steps; steps--) {
			struct mb_kept_list from = list_of(&last), to;

			draw(&r, &next, &last, rng_below(&r, 30));
			to = list_of(&next);
			mb_change_add(&c, &from, &to);
			last = next;
		}
		assert_false(c.all);
		for (uint32_t d = 0; d < DIGESTS; d++) {
			if (first.counts[d] == last.counts[d])
				continue;
			assert_true(n < c.n);
			assert_int_equal(c.digests[n++], d);
		}
		assert_int_equal(n, c.n);
		assert_int_equal(mb_change_bytes(&c), n * sizeof(uint64_t));
		mb_change_deinit(&c);
	}
}

/* Digests n * 2 + odd. */
static struct mb_kept_list run_of(uint64_t *room, uint32_t n, uint64_t odd)
{
	for (uint32_t i = 0; i < n; i++)
		room[i] = 2 * (uint64_t)i + odd;
	return (struct mb_kept_list){ { room, n }, NULL };
}

static void test_too_many_are_all(void **state)
{
	enum { MANY = 20000 };
	static uint64_t a[MANY], b[MANY];
	struct mb_kept_list from = run_of(a, MANY, 0), to = run_of(b, MANY, 0);
	struct mb_change c = { 0 };

	(void)state;
	/* Less than a quarter, in a second step just that, then two more. */
	to.list.n = 16002;
	mb_change_add(&c, &from, &to);
	assert_false(c.all);
	assert_int_equal(c.n, 3998);
	from.list.n = to.list.n;
	b[0] = 1;
	mb_change_add(&c, &from, &to);
	assert_false(c.all);
	assert_int_equal(c.n, 4000);
	a[0] = 1;
	b[1] = 3;
	mb_change_add(&c, &from, &to);
	assert_true(c.all);
	mb_change_deinit(&c);
	from = run_of(a, MANY, 0);
	to = run_of(b, MANY, 1);
	mb_change_add(&c, &from, &to);
	assert_true(c.all);
	assert_null(c.digests);
	assert_int_equal(mb_change_bytes(&c), 0);
	/* It stays so. */
	mb_change_add(&c, &to, &to);
	assert_true(c.all);
	mb_change_deinit(&c);
	assert_false(c.all);
	/* Little is listed whatever the size. */
	from.list.n = 500;
	to.list.n = 500;
	mb_change_add(&c, &from, &to);
	assert_false(c.all);
	assert_int_equal(c.n, 1000);
	mb_change_set_all(&c);
	assert_true(c.all);
	assert_int_equal(c.n, 0);
	mb_change_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_up),
		cmocka_unit_test(test_too_many_are_all),
	};

	return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
