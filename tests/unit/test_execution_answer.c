// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/execution.h"

#include "tests/unit/util_execution.h"

/* A move alone, under one fate (and whatever follows). */
static void one(const enum fake_fate *script, const struct mb_execution_options *o, uint32_t from,
		struct fake *f, struct mb_execution *x)
{
	struct plan_case c;

	case_init(&c, 1, (const uint64_t[]){ 4 }, &from, 3, (const uint64_t[]){ 4, 4, 4 });
	case_move(&c, 0, 1);
	case_play(&c, o, script, f, x);
}

static void test_every_fate_alone(void **state)
{
	static const struct {
		enum fake_fate fate[4];
		uint32_t from;
		const char *end, *reason;
		uint32_t tries, host;
	} cases[] = {
		{ { FATE_ARRIVES, FATES }, 0, "done", "", 1, 1 },
		{ { FATE_ARRIVES, FATES }, MB_NOWHERE, "done", "", 1, 1 },
		{ { FATE_NEVER, FATES }, 0, "failed", "assigned devices", 1, 0 },
		{ { FATE_FAILS, FATES }, MB_NOWHERE, "done", "", 2, 1 },
		{ { FATE_UNSURE_BEGUN, FATES }, 0, "done", "", 1, 1 },
		{ { FATE_UNSURE_NOT, FATE_ARRIVES, FATES }, 0, "done", "", 2, 1 },
		{ { FATE_HANGS, FATES }, 0, "failed", "took longer than 120 s", 1, 0 },
		{ { FATE_DIVERGES, FATES }, 0, "failed", "took longer than 120 s", 1, 0 },
		{ { FATE_LATE, FATES }, 0, "done", "arrived before it was cancelled", 1, 1 },
		{ { FATE_LIES_FAILED, FATES }, 0, "done", "in spite of: operation failed", 1, 1 },
		{ { FATE_LIES_DONE, FATE_LIES_DONE, FATE_LIES_DONE, FATES },
		  0,
		  "failed",
		  "says done, but the VM is where it was",
		  3,
		  0 },
		{ { FATE_LOST_FOR_GOOD, FATES }, 0, "lost", "cannot", 1, 9 },
		{ { FATE_SLOW, FATES }, 0, "done", "", 1, 1 },
		{ { FATE_RESTARTS, FATES }, 0, "done", "", 1, 1 },
		{ { FATE_DIES, FATES }, 0, "failed", "runs nowhere", 1, MB_NOWHERE },
		{ { FATE_BY_HAND, FATES }, 0, "done", "there already", 0, 1 },
		{ { FATE_GONE, FATES }, 0, "failed", "runs nowhere", 0, MB_NOWHERE },
		{ { FATE_UNSEEN, FATE_UNSEEN, FATES }, 0, "done", "", 9, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mb_execution x;
		struct fake f;

		one(cases[i].fate, NULL, cases[i].from, &f, &x);
		print_message("%zu: %s, %u tries: %s\n", i, state_of(&x, 0), x.moves[0].tries,
			      x.moves[0].reason);
		if (cases[i].fate[0] == FATE_LOST_FOR_GOOD) {
			assert_string_equal(state_of(&x, 0), "lost");
			assert_true(x.moves[0].ended_ms >= x.moves[0].lost_ms + 3600000);
		}
		assert_string_equal(state_of(&x, 0), cases[i].end);
		if (*cases[i].reason && cases[i].host != 9)
			assert_non_null(strstr(x.moves[0].reason, cases[i].reason));
		else if (!*cases[i].reason)
			assert_string_equal(x.moves[0].reason, "");
		if (cases[i].tries != 9)
			assert_int_equal(x.moves[0].tries, cases[i].tries);
		if (cases[i].host != 9)
			assert_int_equal(f.vms[0].host, cases[i].host);
		mb_execution_deinit(&x);
	}
}

static void test_somebody_else_moved_it(void **state)
{
	static const enum fake_fate script[] = { FATE_STOLEN, FATES };
	struct mb_execution x;
	struct fake f;

	(void)state;
	one(script, NULL, 0, &f, &x);
	if (f.vms[0].host == 1) {
		case_expect(&x, "done");
	} else {
		case_expect(&x, "failed");
		assert_non_null(strstr(x.moves[0].reason, "somebody else moved it"));
		assert_int_equal(f.n_begun, 0);
	}
	mb_execution_deinit(&x);
}

static void start_one(struct plan_case *c, struct mb_execution *x)
{
	case_init(c, 2, (const uint64_t[]){ 4, 4 }, (const uint32_t[]){ 0, 2 }, 3,
		  (const uint64_t[]){ 4, 4, 4 });
	case_move(c, 0, 1);
	case_move(c, 1, 0);
	case_create(c, NULL, x);
	case_step(x, MB_ORDER_LOCATE, 0, 1000);
	/* No second question while the first is under way; and the answer counts once. */
	case_step(x, MB_ORDER_NONE, 0, 1000);
	mb_execution_located(x, 0, MB_LOCATED_HOST, "h0", "", 1000);
	mb_execution_located(x, 0, MB_LOCATED_HOST, "h1", "", 1000);
	case_step(x, MB_ORDER_BEGIN, 0, 1000);
}

static void test_what_is_asked(void **state)
{
	const struct mb_copied progress = { .copied_mb = 3, .left_mb = 1, .ask_in_ms = 7000 };
	struct mb_migration g;
	struct mb_execution x;
	struct plan_case c;

	(void)state;
	start_one(&c, &x);
	mb_execution_migration(&x, 0, &g);
	assert_string_equal(g.vm, "v0");
	assert_string_equal(g.from, "h0");
	assert_string_equal(g.to, "h1");
	assert_int_equal(g.begun_ms, 1000);
	assert_int_equal(g.deadline_ms, 121000);
	mb_execution_begun(&x, 0, MB_BEGUN_OK, "", 1000);
	assert_int_equal(case_step(&x, MB_ORDER_NONE, 0, 1999).wake_ms, 2000);
	case_step(&x, MB_ORDER_POLL, 0, 2000);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &progress, "", 2000);
	/* As the mover wants it. */
	assert_int_equal(case_step(&x, MB_ORDER_NONE, 0, 2000).wake_ms, 9000);
	/* The clock was set back by a day: that is no reason to sleep for a day. */
	assert_true(case_step(&x, MB_ORDER_NONE, 0, 100).wake_ms <= 100 + 60000);
	mb_execution_deinit(&x);
}

static void test_cancel(void **state)
{
	const struct mb_copied progress = { 0 };
	struct mb_execution x;
	struct plan_case c;

	(void)state;
	start_one(&c, &x);
	mb_execution_begun(&x, 0, MB_BEGUN_OK, "", 1000);
	mb_execution_cancel(&x, 1500);
	case_expect(&x, "running skipped");
	case_step(&x, MB_ORDER_CANCEL, 0, 1500);
	mb_execution_cancelled(&x, 0, MB_CANCELLED_ASKED, "", 1500);
	case_step(&x, MB_ORDER_POLL, 0, 2500);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &progress, "", 2500);
	/* Once more after ten seconds. */
	case_step(&x, MB_ORDER_POLL, 0, 11500);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &progress, "", 11500);
	case_step(&x, MB_ORDER_CANCEL, 0, 11500);
	mb_execution_cancelled(&x, 0, MB_CANCELLED_LATE, "", 11500);
	case_step(&x, MB_ORDER_POLL, 0, 11500);
	mb_execution_polled(&x, 0, MB_POLLED_FAILED, &progress, "aborted", 11500);
	case_step(&x, MB_ORDER_LOCATE, 0, 11500);
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 11500);
	case_expect(&x, "cancelled skipped");
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_CANCELLED);
	assert_int_equal(x.hosts[1].used_mb, 0);
	assert_int_equal(x.hosts[0].used_mb, 4);
	mb_execution_deinit(&x);
}

/* The answer to a question that was asked before the operator cancelled. */
static void test_cancel_between_question_and_answer(void **state)
{
	struct mb_execution x;
	struct plan_case c;

	(void)state;
	case_init(&c, 1, (const uint64_t[]){ 4 }, (const uint32_t[]){ 0 }, 2,
		  (const uint64_t[]){ 4, 4 });
	case_move(&c, 0, 1);
	case_create(&c, NULL, &x);
	case_step(&x, MB_ORDER_LOCATE, 0, 1000);
	mb_execution_cancel(&x, 1000);
	case_expect(&x, "running");
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 1000);
	case_expect(&x, "cancelled");
	mb_execution_deinit(&x);
	/* It is begun at that very moment: it has to be stopped, not forgotten. */
	start_one(&c, &x);
	mb_execution_cancel(&x, 1000);
	mb_execution_begun(&x, 0, MB_BEGUN_OK, "", 1000);
	case_expect(&x, "running skipped");
	case_step(&x, MB_ORDER_POLL, 0, 2000);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &(struct mb_copied){ 0 }, "", 2000);
	case_step(&x, MB_ORDER_CANCEL, 0, 2000);
	mb_execution_deinit(&x);
}

static void lose_one(struct plan_case *c, struct mb_execution *x)
{
	start_one(c, x);
	mb_execution_begun(x, 0, MB_BEGUN_OK, "", 1000);
	case_step(x, MB_ORDER_POLL, 0, 2000);
	mb_execution_polled(x, 0, MB_POLLED_LOST, &(struct mb_copied){ 0 }, "no link", 2000);
	case_expect(x, "lost waiting");
	case_step(x, MB_ORDER_LOCATE, 0, 2000);
	mb_execution_located(x, 0, MB_LOCATED_HOST, "h0", "", 2000);
	/* That it is still there does not say that it will not leave. */
	case_expect(x, "lost waiting");
	assert_int_equal(x->hosts[0].used_mb + x->hosts[1].used_mb, 8);
}

static void test_lost_and_found(void **state)
{
	struct mb_execution x;
	struct plan_case c;
	struct mb_err err = { 0 };

	(void)state;
	/* Seen at its destination, whatever the mover knows. */
	lose_one(&c, &x);
	case_step(&x, MB_ORDER_POLL, 0, 3000);
	mb_execution_polled(&x, 0, MB_POLLED_LOST, &(struct mb_copied){ 0 }, "no link", 3000);
	case_step(&x, MB_ORDER_LOCATE, 0, 3000);
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h1", "", 3000);
	case_expect(&x, "done waiting");
	assert_int_equal(x.hosts[0].used_mb, 0);
	case_step(&x, MB_ORDER_LOCATE, 1, 3000);
	mb_execution_deinit(&x);
	/* The mover knows again. */
	lose_one(&c, &x);
	case_step(&x, MB_ORDER_POLL, 0, 3000);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &(struct mb_copied){ 0 }, "", 3000);
	case_expect(&x, "running waiting");
	assert_int_equal(x.moves[0].lost_ms, 0);
	mb_execution_deinit(&x);
	/* The operator knows. */
	lose_one(&c, &x);
	assert_fails(mb_execution_decide(&x, 1, true, 3000, &err), EINVAL, &err, "move 2");
	assert_fails(mb_execution_decide(&x, 2, true, 3000, &err), EINVAL, &err, "move 3");
	assert_ok(mb_execution_decide(&x, 0, true, 3000, &err), &err);
	case_expect(&x, "done waiting");
	assert_fails(mb_execution_decide(&x, 0, true, 3000, &err), EINVAL, &err, "not lost");
	mb_execution_deinit(&x);
	lose_one(&c, &x);
	assert_ok(mb_execution_decide(&x, 0, false, 3000, &err), &err);
	case_step(&x, MB_ORDER_NONE, 0, 3000);
	case_expect(&x, "failed skipped");
	assert_int_equal(x.hosts[1].used_mb, 0);
	mb_execution_deinit(&x);
}

static void test_given_up_for_lost(void **state)
{
	struct mb_execution_options o = mb_execution_options_default;
	static const enum fake_fate script[] = { FATE_DEAF, FATES };
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	o.lost_max_ms = 60000;
	case_chain(&c);
	case_play(&c, &o, script, &f, &x);
	case_expect(&x, "lost skipped skipped done");
	assert_non_null(strstr(x.moves[0].reason, "does not stop, asked 3 times"));
	/* Both ends keep its room. */
	assert_int_equal(x.hosts[1].used_mb, 4);
	assert_int_equal(x.hosts[2].used_mb, 4);
	mb_execution_deinit(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_fate_alone),
		cmocka_unit_test(test_somebody_else_moved_it),
		cmocka_unit_test(test_what_is_asked),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_between_question_and_answer),
		cmocka_unit_test(test_lost_and_found),
		cmocka_unit_test(test_given_up_for_lost),
	};

	return cmocka_run_group_tests_name("execution_answer", tests, NULL, NULL);
}
