// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

#include "server/plan/explain.h"

/* v0 moves from h0 to h1, where v1 is; then v2 comes to h0. */
struct setup {
	struct fleet f;
	struct mb_move moves[2];
	struct mb_plan plan;
};

static void set_up(struct setup *s)
{
	const uint64_t mb[] = { 1, 1, 1 };

	memset(s, 0, sizeof(*s));
	fleet_init(&s->f, 3, mb, 3, mb);
	s->moves[0] = (struct mb_move){ .vm = 0,
					.from = 0,
					.to = 1,
					.feasible = true,
					.gain_pages = 384,
					.there_pages = 512,
					.with = 1,
					.copy_mb = 70,
					.time_s = 9,
					.converges = true };
	s->moves[1] = (struct mb_move){ .vm = 2, .from = 2, .to = 0, .feasible = true };
	s->plan = (struct mb_plan){ .moves = s->moves, .n_moves = 2 };
}

/* Nothing is written past the buffer, nor anything that is not text. */
static void explain(const struct setup *s, char *ret)
{
	char guarded[MB_EXPLAIN_BYTES + 16];
	size_t len;

	memset(guarded, 0x55, sizeof(guarded));
	mb_plan_explain(&s->f.view, &s->plan, 0, guarded);
	len = strnlen(guarded, MB_EXPLAIN_BYTES);
	assert_true(len > 0 && len < MB_EXPLAIN_BYTES);
	for (size_t i = MB_EXPLAIN_BYTES; i < sizeof(guarded); i++)
		assert_int_equal(guarded[i], 0x55);
	assert_null(strchr(guarded, '\n'));
	assert_int_not_equal(guarded[len - 1], '.');
	memcpy(ret, guarded, len + 1);
}

static void expect(const struct setup *s, const char *want)
{
	char got[MB_EXPLAIN_BYTES];

	explain(s, got);
	assert_string_equal(got, want);
}

#define THERE "2.0 MB of its pages are there already, most of them in \"v1\""
#define COST  "; saves 1.5 MB; copies 70 MB in about 9 s"

static void test_every_reason(void **state)
{
	struct setup s;

	(void)state;
	set_up(&s);
	s.moves[0].why = MB_WHY_GAIN;
	expect(&s, "saves memory there: " THERE COST);
	s.moves[0].why = MB_WHY_RULE;
	expect(&s, "breaks a rule on \"h0\", or has no room there: " THERE COST);
	s.moves[0].why = MB_WHY_EMPTY;
	expect(&s, "empties \"h0\": " THERE COST);
	s.moves[0].why = MB_WHY_RELIEVE;
	expect(&s, "relieves \"h0\": " THERE COST);
	s.moves[0].why = MB_WHY_TOGETHER;
	expect(&s, "goes where its affinity group goes: " THERE COST);
	s.moves[0].why = MB_WHY_ROOM;
	expect(&s, "makes room for \"v2\": " THERE COST);
	s.moves[0].detour = true;
	expect(&s, "steps aside to make room for \"v2\": " THERE COST);
	s.plan.n_moves = 1;
	expect(&s, "steps aside to make room: " THERE COST);
	/* A first placement copies nothing, whatever it is for. */
	s.moves[0].from = MB_NOWHERE;
	s.moves[0].detour = false;
	s.moves[0].why = MB_WHY_PLACE;
	expect(&s, "runs nowhere yet: " THERE "; saves 1.5 MB");
}

/* 512 of there, 384 of gain: 32 and 24 of a sample, and 8 that were shared where it came from. */
static void test_estimates(void **state)
{
	struct setup s;

	(void)state;
	set_up(&s);
	s.moves[0].why = MB_WHY_GAIN;
	s.f.vms[s.moves[0].vm].sample_shift = 4;
	expect(&s,
	       "saves memory there: 2.0 +-0.8 MB of its pages are there already, most of them in "
	       "\"v1\"; saves 1.5 +-0.9 MB; copies 70 MB in about 9 s");
}

static void test_good_and_bad(void **state)
{
	struct setup s;

	(void)state;
	set_up(&s);
	s.moves[0].why = MB_WHY_EMPTY;
	s.moves[0].with = MB_NOWHERE;
	s.moves[0].gain_pages = -128;
	expect(&s, "empties \"h0\"; gives up 0.5 MB; copies 70 MB in about 9 s");
	s.moves[0].gain_pages = 0;
	expect(&s, "empties \"h0\"; saves 0.0 MB; copies 70 MB in about 9 s");
	s.moves[0].converges = false;
	expect(&s, "empties \"h0\"; saves 0.0 MB; copies 70 MB in about 9 s, but dirties memory "
		   "faster than the link copies it");
	s.moves[0].converges = true;
	s.moves[0].feasible = false;
	expect(&s, "cannot be made: no room for its full size on \"h1\" when its turn comes, or a "
		   "rule forbids it; it empties \"h0\"; saves 0.0 MB; copies 70 MB in about 9 s");
}

/* A move to make room names who takes it: not one that cannot be made. */
static void test_room_for_whom(void **state)
{
	struct setup s;
	char got[MB_EXPLAIN_BYTES];

	(void)state;
	set_up(&s);
	s.moves[0].why = MB_WHY_ROOM;
	s.moves[1].feasible = false;
	explain(&s, got);
	assert_null(strstr(got, "v2"));
}

static void test_odd_names_and_figures(void **state)
{
	static char longest[1001];
	static const char *const names[] = { "", "%s%n%d", "\"", "\\", longest };
	struct setup s;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (enum mb_move_why why = MB_WHY_GAIN; why <= MB_WHY_TOGETHER; why++)
			for (unsigned int worst = 0; worst < 2; worst++) {
				char got[MB_EXPLAIN_BYTES];

				set_up(&s);
				for (uint32_t k = 0; k < 3; k++)
					s.f.vms[k].name = s.f.hosts[k].name = names[i];
				s.moves[0].why = why;
				s.moves[0].feasible = !worst;
				if (worst) {
					s.moves[0].gain_pages = INT64_MIN;
					s.moves[0].there_pages = s.moves[0].copy_mb =
						s.moves[0].time_s = UINT64_MAX;
				}
				explain(&s, got);
				if (i == 1)
					assert_non_null(strstr(got, "\"%s%n%d\""));
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_reason),
		cmocka_unit_test(test_estimates),
		cmocka_unit_test(test_good_and_bad),
		cmocka_unit_test(test_room_for_whom),
		cmocka_unit_test(test_odd_names_and_figures),
	};

	return cmocka_run_group_tests_name("plan_explain", tests, NULL, NULL);
}
