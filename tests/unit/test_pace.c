// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pace.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

#define S  1000000000ull
#define MS 1000000ull

static char text[320];

static const char *say(const struct mb_pace *p, uint64_t pass_ns, uint64_t cost_ns)
{
	mb_pace_say(p, pass_ns, cost_ns, text, sizeof(text));
	return text;
}

/* Epochs as they come due, the longest wait so far, and what they took. */
struct sim {
	struct mb_pace p;
	uint64_t now, spent, longest, stretched;
	unsigned int longer, shorter;
};

static void sim_epoch(struct sim *s, uint64_t cost_ns)
{
	enum mb_pace_news news = mb_pace_epoch(&s->p, s->now, s->now + MS, cost_ns);

	s->longer += news == MB_PACE_LONGER;
	s->shorter += news == MB_PACE_SHORTER;
	s->stretched += s->p.wait_ns > s->p.interval_ns;
	s->longest = s->p.wait_ns > s->longest ? s->p.wait_ns : s->longest;
	s->spent += cost_ns;
	assert_int_equal(s->p.next_ns, s->now + s->p.wait_ns);
	s->now = s->p.next_ns;
}

static void test_as_asked(void **state)
{
	struct mb_pace p = { .interval_ns = 60 * S, .budget = .01 };

	(void)state;
	/* 600 ms in a minute are just what it may take. */
	assert_int_equal(mb_pace_epoch(&p, 100 * S, 101 * S, 600 * MS), MB_PACE_NO_NEWS);
	assert_int_equal(p.next_ns, 160 * S);
	assert_int_equal(mb_pace_epoch(&p, 160 * S, 161 * S, 1), MB_PACE_NO_NEWS);
	assert_int_equal(p.next_ns, 220 * S);
}

static void test_budget(void **state)
{
	struct mb_pace p = { .interval_ns = 10 * S, .budget = .01 };

	(void)state;
	assert_int_equal(mb_pace_epoch(&p, 0, S, 300 * MS), MB_PACE_LONGER);
	assert_int_equal(p.next_ns, 30 * S);
	assert_non_null(strstr(say(&p, S, 300 * MS), "an epoch took 300 ms"));
	assert_non_null(strstr(text, "300 ms are to be made up for"));
	assert_non_null(strstr(text, "30.0 s apart"));
	assert_non_null(strstr(text, "within 1 % of a core"));
	/* A little more is no news, but is kept to. */
	assert_int_equal(mb_pace_epoch(&p, 30 * S, 31 * S, 310 * MS), MB_PACE_NO_NEWS);
	assert_int_equal(p.next_ns, 61 * S);
	/* Much more is, and so is that it is as it should be again. */
	assert_int_equal(mb_pace_epoch(&p, 61 * S, 62 * S, 900 * MS), MB_PACE_LONGER);
	assert_int_equal(p.next_ns, 151 * S);
	assert_int_equal(mb_pace_epoch(&p, 151 * S, 152 * S, 1 * MS), MB_PACE_SHORTER);
	assert_int_equal(p.next_ns, 161 * S);
	assert_non_null(strstr(say(&p, S, 1 * MS), "again"));
	assert_int_equal(mb_pace_epoch(&p, 161 * S, 162 * S, 1 * MS), MB_PACE_NO_NEWS);
	/* One that was asked for before its time earned nothing meanwhile. */
	assert_int_equal(mb_pace_epoch(&p, 162 * S, 163 * S, 200 * MS), MB_PACE_NO_NEWS);
	assert_int_equal(mb_pace_epoch(&p, 163 * S, 164 * S, 200 * MS), MB_PACE_LONGER);
	assert_int_equal(p.wait_ns, 28200 * MS);
}

/* An audit every 60 epochs is paid with what those between put by: no hole, not a word. */
static void test_audits(void **state)
{
	struct sim s = { .p = { .interval_ns = 60 * S, .budget = .01 }, .now = 5 };

	(void)state;
	for (unsigned int i = 1; i <= 6000; i++)
		sim_epoch(&s, i % 60 ? 5 * MS : 6 * S);
	assert_int_equal(s.stretched + s.longer + s.shorter, 0);
	/* Dearer than what may be put by: a short hole, told once and once that it is over. */
	s = (struct sim){ .p = s.p, .now = s.now };
	for (unsigned int i = 1; i <= 610; i++)
		sim_epoch(&s, i % 60 ? 5 * MS : 8 * S);
	assert_in_range(s.longest, 120 * S, 260 * S);
	assert_int_equal(s.longer, 10);
	assert_int_equal(s.shorter, 10);
	assert_int_equal(s.stretched, 10);
}

/* However much is put by, it does not last for longer than 10 intervals. */
static void test_credit_is_bounded(void **state)
{
	struct sim s = { .p = { .interval_ns = S, .budget = .1 } };
	double before;

	(void)state;
	for (unsigned int i = 0; i < 100000; i++)
		sim_epoch(&s, 0);
	before = (double)s.now;
	s.spent = 0;
	for (unsigned int i = 0; i < 1000; i++)
		sim_epoch(&s, S);
	assert_true((double)s.spent <= .1 * ((double)s.now - before) + 1.01 * (double)S);
}

/* One dear epoch is paid off over time, the first one too: never is there a hole of more than 10.
 */
static void test_one_dear_epoch(void **state)
{
	struct mb_pace p = { .interval_ns = 10 * S, .budget = .01 };

	(void)state;
	for (uint64_t cost = S; cost < 10000 * S; cost *= 3) {
		struct sim s = { .p = { .interval_ns = 60 * S, .budget = .01 }, .now = 7 };

		for (unsigned int i = 0; i < 40000; i++)
			sim_epoch(&s, i == 0 || i == 20000 ? cost : 5 * MS);
		assert_true(s.longest <= 600 * S);
		assert_int_equal(s.p.wait_ns, 60 * S);
		assert_true((double)s.spent <= .01 * (double)s.now);
	}
	/* One that is as good as paid for does not count against the next. */
	assert_int_equal(mb_pace_epoch(&p, 0, S, 300 * MS), MB_PACE_LONGER);
	assert_int_equal(mb_pace_epoch(&p, 30 * S - S / 2, 30 * S, 2 * S), MB_PACE_LONGER);
	assert_int_equal(p.wait_ns, 100 * S);
}

/* Whatever the costs: in the long run it is within the budget. */
static void test_long_run(void **state)
{
	static const struct {
		unsigned int every;
		uint64_t dear, cheap;
	} cases[] = {
		{ 1, 1500 * MS, 0 },	 { 1, 11 * S, 0 },	  { 1, 400 * S, 0 },
		{ 2, 100 * S, MS },	 { 60, 40 * S, 90 * MS }, { 60, 3000 * S, MS },
		{ 7, 20 * S, 590 * MS }, { 1000, 9000 * S, MS },
	};

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		struct sim s = { .p = { .interval_ns = 60 * S, .budget = .01 } };
		double debt = 0;

		for (unsigned int k = 0; k < 20000; k++) {
			sim_epoch(&s, k % cases[i].every ? cases[i].cheap : cases[i].dear);
			debt = s.p.debt_ns > debt ? s.p.debt_ns : debt;
		}
		assert_true((double)s.spent <= .01 * (double)s.now * 1.001 + debt);
		/* What is owed does not grow without bounds. */
		assert_true(debt <= 12 * (double)cases[i].dear);
		/* Nor does it dawdle. */
		if (cases[i].every == 1)
			assert_true((double)s.spent >= .01 * (double)s.now * .99);
		/* All alike: all is said in the beginning. */
		if (cases[i].every == 1)
			assert_in_range(s.longer + s.shorter, 1, 12);
	}
}

static void test_small_budgets(void **state)
{
	struct mb_pace p = { .interval_ns = S, .budget = 1e-300 };

	(void)state;
	assert_int_equal(mb_pace_epoch(&p, S, 2 * S, S), MB_PACE_LONGER);
	assert_int_equal(p.next_ns, 11 * S);
	for (uint64_t i = 0; i < 200; i++) {
		mb_pace_epoch(&p, p.next_ns, p.next_ns + S, S);
		assert_true(p.wait_ns <= 365 * 86400 * S);
	}
	p = (struct mb_pace){ .budget = 1e-300 };
	assert_int_equal(mb_pace_epoch(&p, S, 2 * S, S), MB_PACE_LONGER);
	assert_int_equal(p.wait_ns, 365 * 86400 * S);
	/* The end of time is not its beginning. */
	p = (struct mb_pace){ .budget = 1e-300 };
	mb_pace_epoch(&p, UINT64_MAX - S, UINT64_MAX, UINT64_MAX);
	assert_true(p.next_ns == UINT64_MAX);
	p = (struct mb_pace){ .interval_ns = S };
	mb_pace_epoch(&p, 0, UINT64_MAX, 0);
	assert_in_range(p.wait_ns, 365 * 86400 * S, 2 * 365 * 86400 * S);
}

static void test_slow_pass(void **state)
{
	struct mb_pace p = { .interval_ns = S };

	(void)state;
	assert_int_equal(mb_pace_epoch(&p, 0, 8 * S, 8 * S), MB_PACE_LONGER);
	assert_int_equal(p.next_ns, 9 * S);
	assert_non_null(strstr(say(&p, 8 * S, 8 * S), "too long for --interval"));
}

static void test_without_a_pause(void **state)
{
	struct mb_pace p = { 0 };

	(void)state;
	assert_int_equal(mb_pace_epoch(&p, 0, 8 * S, 8 * S), MB_PACE_NO_NEWS);
	assert_int_equal(mb_pace_epoch(&p, 9 * S, 10 * S, S), MB_PACE_NO_NEWS);
	/* But with a budget. */
	p = (struct mb_pace){ .budget = .5 };
	assert_int_equal(mb_pace_epoch(&p, 0, S, S), MB_PACE_LONGER);
	assert_int_equal(p.next_ns, 2 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_asked),	cmocka_unit_test(test_budget),
		cmocka_unit_test(test_audits),		cmocka_unit_test(test_credit_is_bounded),
		cmocka_unit_test(test_one_dear_epoch),	cmocka_unit_test(test_long_run),
		cmocka_unit_test(test_small_budgets),	cmocka_unit_test(test_slow_pass),
		cmocka_unit_test(test_without_a_pause),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
