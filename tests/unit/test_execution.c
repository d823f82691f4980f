// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/execution.h"

#include "tests/unit/util_execution.h"

/* --- one thing at a time ---------------------------------------------------------------------- */

/* v0 on h0 goes to h1; v1 on h1 makes room for it and goes to h2; v2 on h3 goes to h0 after v0. */
static void make_chain(struct plan_case *c)
{
	case_init(c, 4, (const uint64_t[]){ 4, 4, 4, 1 }, (const uint32_t[]){ 0, 1, 3, 4 }, 6,
		  (const uint64_t[]){ 4, 4, 4, 4, 1, 1 });
	case_move(c, 1, 2);
	case_move(c, 0, 1);
	case_move(c, 2, 0);
	case_move(c, 3, 5); /* has to do with none of them */
}

static void run(struct plan_case *c, const struct mb_execution_options *o,
		const enum fake_fate *script, struct fake *f, struct mb_execution *x)
{
	uint64_t now = 1000;

	case_create(c, o, x);
	fake_init(f, &c->fleet, 1);
	f->script = script;
	case_run(x, f, &now);
}

static void expect(const struct mb_execution *x, const char *states)
{
	char all[400] = "";

	for (uint32_t i = 0; i < x->n_moves; i++) {
		strcat(all, i ? " " : "");
		strcat(all, state_of(x, i));
	}
	assert_string_equal(all, states);
}

static void test_all_goes_well(void **state)
{
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	make_chain(&c);
	run(&c, NULL, NULL, &f, &x);
	expect(&x, "done done done done");
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_DONE);
	/* One waits for the other; the fourth begins at once. */
	assert_true(x.moves[1].begun_ms >= x.moves[0].ended_ms);
	assert_true(x.moves[2].begun_ms >= x.moves[1].ended_ms);
	assert_int_equal(x.moves[3].begun_ms, 1000);
	assert_int_equal(x.moves[0].ended_ms, 11000);
	assert_int_equal(x.ended_ms, x.moves[2].ended_ms);
	assert_int_equal(f.n_begun, 4);
	mb_execution_deinit(&x);
}

static void test_nothing_to_do(void **state)
{
	struct mb_execution x;
	struct plan_case c;

	(void)state;
	make_chain(&c);
	c.plan.n_moves = 0;
	case_create(&c, NULL, &x);
	assert_true(mb_execution_has_ended(&x));
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_DONE);
	assert_int_equal(mb_execution_step(&x, 1000).kind, MB_ORDER_NONE);
	mb_execution_deinit(&x);
}

static void test_a_failure_takes_along_what_counts_on_it(void **state)
{
	/* All three tries of the first; the fourth move begins beside the first try. */
	static const enum fake_fate script[] = { FATE_FAILS, FATE_ARRIVES, FATE_REFUSED, FATE_FAILS,
						 FATES };
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	make_chain(&c);
	run(&c, NULL, script, &f, &x);
	expect(&x, "failed skipped skipped done");
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_INCOMPLETE);
	assert_int_equal(x.moves[0].tries, 3);
	assert_non_null(strstr(x.moves[0].reason, "unexpectedly failed"));
	assert_non_null(strstr(x.moves[1].reason, "move 1, VM v1, which is failed"));
	assert_non_null(strstr(x.moves[2].reason, "move 2, VM v0, which is skipped"));
	assert_int_equal(f.vms[1].host, 1);
	assert_int_equal(f.vms[0].attempts, 0);
	mb_execution_deinit(&x);
}

static void test_back_off(void **state)
{
	static const enum fake_fate script[] = { FATE_REFUSED, FATE_ARRIVES, FATE_REFUSED,
						 FATE_ARRIVES, FATES };
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	make_chain(&c);
	run(&c, NULL, script, &f, &x);
	expect(&x, "done done done done");
	assert_int_equal(x.moves[0].tries, 3);
	/* 5 s, then 10 s. */
	assert_int_equal(x.moves[0].begun_ms, 1000 + 5000 + 10000);
	assert_string_equal(x.moves[0].reason, "");
	mb_execution_deinit(&x);
}

/* A move alone, under one fate (and whatever follows). */
static void one(const enum fake_fate *script, const struct mb_execution_options *o, uint32_t from,
		struct fake *f, struct mb_execution *x)
{
	struct plan_case c;

	case_init(&c, 1, (const uint64_t[]){ 4 }, &from, 3, (const uint64_t[]){ 4, 4, 4 });
	case_move(&c, 0, 1);
	run(&c, o, script, f, x);
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
		expect(&x, "done");
	} else {
		expect(&x, "failed");
		assert_non_null(strstr(x.moves[0].reason, "somebody else moved it"));
		assert_int_equal(f.n_begun, 0);
	}
	mb_execution_deinit(&x);
}

static void test_a_host_in_trouble(void **state)
{
	static const enum fake_fate script[] = { FATE_REFUSED, FATE_REFUSED, FATES };
	struct mb_execution_options o = mb_execution_options_default;
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	o.tries_max = 1;
	o.trouble_max = 2;
	case_init(&c, 4, (const uint64_t[]){ 1, 1, 1, 1 }, (const uint32_t[]){ 0, 0, 0, 0 }, 3,
		  (const uint64_t[]){ 4, 4, 4 });
	case_move(&c, 0, 1);
	case_move(&c, 1, 1);
	case_move(&c, 2, 1);
	case_move(&c, 3, 2);
	run(&c, &o, script, &f, &x);
	expect(&x, "failed failed skipped done");
	assert_non_null(strstr(x.moves[2].reason, "host h1 is in trouble"));
	mb_execution_deinit(&x);
}

static void test_bounded_concurrency(void **state)
{
	struct mb_execution_options o = mb_execution_options_default;
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	case_init(&c, 4, (const uint64_t[]){ 1, 1, 1, 1 }, (const uint32_t[]){ 0, 0, 0, 0 }, 5,
		  (const uint64_t[]){ 4, 4, 4, 4, 4 });
	for (uint32_t v = 0; v < 4; v++)
		case_move(&c, v, v + 1);
	run(&c, NULL, NULL, &f, &x);
	assert_int_equal(x.ended_ms, 1000 + 40000);
	mb_execution_deinit(&x);
	o.per_host_max = 2;
	case_create(&c, &o, &x);
	fake_init(&f, &c.fleet, 1);
	f.per_host_max = 2;
	case_run(&x, &f, &(uint64_t){ 1000 });
	assert_int_equal(x.ended_ms, 1000 + 20000);
	mb_execution_deinit(&x);
	o.per_host_max = 4;
	o.total_max = 3;
	case_create(&c, &o, &x);
	fake_init(&f, &c.fleet, 1);
	f.per_host_max = 3;
	case_run(&x, &f, &(uint64_t){ 1000 });
	assert_int_equal(x.ended_ms, 1000 + 20000);
	mb_execution_deinit(&x);
}

static struct mb_order step(struct mb_execution *x, enum mb_order_kind kind, uint32_t move,
			    uint64_t now)
{
	struct mb_order o = mb_execution_step(x, now);

	assert_int_equal(o.kind, kind);
	if (kind != MB_ORDER_NONE)
		assert_int_equal(o.move, move);
	return o;
}

static void start_one(struct plan_case *c, struct mb_execution *x)
{
	case_init(c, 2, (const uint64_t[]){ 4, 4 }, (const uint32_t[]){ 0, 2 }, 3,
		  (const uint64_t[]){ 4, 4, 4 });
	case_move(c, 0, 1);
	case_move(c, 1, 0);
	case_create(c, NULL, x);
	step(x, MB_ORDER_LOCATE, 0, 1000);
	/* No second question while the first is under way; and the answer counts once. */
	step(x, MB_ORDER_NONE, 0, 1000);
	mb_execution_located(x, 0, MB_LOCATED_HOST, "h0", "", 1000);
	mb_execution_located(x, 0, MB_LOCATED_HOST, "h1", "", 1000);
	step(x, MB_ORDER_BEGIN, 0, 1000);
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
	assert_int_equal(step(&x, MB_ORDER_NONE, 0, 1999).wake_ms, 2000);
	step(&x, MB_ORDER_POLL, 0, 2000);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &progress, "", 2000);
	/* As the mover wants it. */
	assert_int_equal(step(&x, MB_ORDER_NONE, 0, 2000).wake_ms, 9000);
	/* The clock was set back by a day: that is no reason to sleep for a day. */
	assert_true(step(&x, MB_ORDER_NONE, 0, 100).wake_ms <= 100 + 60000);
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
	expect(&x, "running skipped");
	step(&x, MB_ORDER_CANCEL, 0, 1500);
	mb_execution_cancelled(&x, 0, MB_CANCELLED_ASKED, "", 1500);
	step(&x, MB_ORDER_POLL, 0, 2500);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &progress, "", 2500);
	/* Once more after ten seconds. */
	step(&x, MB_ORDER_POLL, 0, 11500);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &progress, "", 11500);
	step(&x, MB_ORDER_CANCEL, 0, 11500);
	mb_execution_cancelled(&x, 0, MB_CANCELLED_LATE, "", 11500);
	step(&x, MB_ORDER_POLL, 0, 11500);
	mb_execution_polled(&x, 0, MB_POLLED_FAILED, &progress, "aborted", 11500);
	step(&x, MB_ORDER_LOCATE, 0, 11500);
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 11500);
	expect(&x, "cancelled skipped");
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
	step(&x, MB_ORDER_LOCATE, 0, 1000);
	mb_execution_cancel(&x, 1000);
	expect(&x, "running");
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 1000);
	expect(&x, "cancelled");
	mb_execution_deinit(&x);
	/* It is begun at that very moment: it has to be stopped, not forgotten. */
	start_one(&c, &x);
	mb_execution_cancel(&x, 1000);
	mb_execution_begun(&x, 0, MB_BEGUN_OK, "", 1000);
	expect(&x, "running skipped");
	step(&x, MB_ORDER_POLL, 0, 2000);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &(struct mb_copied){ 0 }, "", 2000);
	step(&x, MB_ORDER_CANCEL, 0, 2000);
	mb_execution_deinit(&x);
}

static void lose_one(struct plan_case *c, struct mb_execution *x)
{
	start_one(c, x);
	mb_execution_begun(x, 0, MB_BEGUN_OK, "", 1000);
	step(x, MB_ORDER_POLL, 0, 2000);
	mb_execution_polled(x, 0, MB_POLLED_LOST, &(struct mb_copied){ 0 }, "no link", 2000);
	expect(x, "lost waiting");
	step(x, MB_ORDER_LOCATE, 0, 2000);
	mb_execution_located(x, 0, MB_LOCATED_HOST, "h0", "", 2000);
	/* That it is still there does not say that it will not leave. */
	expect(x, "lost waiting");
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
	step(&x, MB_ORDER_POLL, 0, 3000);
	mb_execution_polled(&x, 0, MB_POLLED_LOST, &(struct mb_copied){ 0 }, "no link", 3000);
	step(&x, MB_ORDER_LOCATE, 0, 3000);
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h1", "", 3000);
	expect(&x, "done waiting");
	assert_int_equal(x.hosts[0].used_mb, 0);
	step(&x, MB_ORDER_LOCATE, 1, 3000);
	mb_execution_deinit(&x);
	/* The mover knows again. */
	lose_one(&c, &x);
	step(&x, MB_ORDER_POLL, 0, 3000);
	mb_execution_polled(&x, 0, MB_POLLED_RUNNING, &(struct mb_copied){ 0 }, "", 3000);
	expect(&x, "running waiting");
	assert_int_equal(x.moves[0].lost_ms, 0);
	mb_execution_deinit(&x);
	/* The operator knows. */
	lose_one(&c, &x);
	assert_fails(mb_execution_decide(&x, 1, true, 3000, &err), EINVAL, &err, "move 2");
	assert_fails(mb_execution_decide(&x, 2, true, 3000, &err), EINVAL, &err, "move 3");
	assert_ok(mb_execution_decide(&x, 0, true, 3000, &err), &err);
	expect(&x, "done waiting");
	assert_fails(mb_execution_decide(&x, 0, true, 3000, &err), EINVAL, &err, "not lost");
	mb_execution_deinit(&x);
	lose_one(&c, &x);
	assert_ok(mb_execution_decide(&x, 0, false, 3000, &err), &err);
	step(&x, MB_ORDER_NONE, 0, 3000);
	expect(&x, "failed skipped");
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
	make_chain(&c);
	run(&c, &o, script, &f, &x);
	expect(&x, "lost skipped skipped done");
	assert_non_null(strstr(x.moves[0].reason, "does not stop, asked 3 times"));
	/* Both ends keep its room. */
	assert_int_equal(x.hosts[1].used_mb, 4);
	assert_int_equal(x.hosts[2].used_mb, 4);
	mb_execution_deinit(&x);
}

/* A plan that counts sharing as room: in its order, and each when the one before has merged. */
static void test_sharing_as_room(void **state)
{
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	case_init(&c, 3, (const uint64_t[]){ 40, 40, 40 }, (const uint32_t[]){ 0, 1, 2 }, 4,
		  (const uint64_t[]){ 100, 100, 100, 100 });
	c.plan_options.count_sharing_percent = 100;
	case_move(&c, 0, 3);
	case_move(&c, 1, 3);
	case_move(&c, 2, 3);
	case_create(&c, NULL, &x);
	assert_true(x.hosts[3].in_order && !x.hosts[0].in_order);
	assert_int_equal(x.hosts[3].limit_mb, 120);
	fake_init(&f, &c.fleet, 1);
	f.capacity_mb[3] = 120;
	case_run(&x, &f, &(uint64_t){ 1000 });
	expect(&x, "done done done");
	/* 40 MB at 20 MB/s. */
	assert_int_equal(x.moves[1].begun_ms, x.moves[0].ended_ms + 2000);
	assert_int_equal(x.moves[2].begun_ms, x.moves[1].ended_ms + 2000);
	mb_execution_deinit(&x);
}

/* By hand a VM came where others are to go: they see no room, and say so. */
static void test_room_taken_by_others(void **state)
{
	static const enum fake_fate script[] = { FATE_STOLEN, FATES };
	bool seen = false;

	(void)state;
	for (uint64_t seed = 1; seed < 50 && !seen; seed++) {
		struct mb_execution x;
		struct plan_case c;
		struct fake f;

		case_init(&c, 2, (const uint64_t[]){ 4, 4 }, (const uint32_t[]){ 0, 0 }, 3,
			  (const uint64_t[]){ 8, 4, 4 });
		case_move(&c, 0, 1);
		case_move(&c, 1, 2);
		case_create(&c, NULL, &x);
		fake_init(&f, &c.fleet, seed);
		f.script = script;
		case_run(&x, &f, &(uint64_t){ 1000 });
		if (f.vms[0].host == 2) {
			expect(&x, "failed skipped");
			assert_non_null(strstr(x.moves[1].reason, "no room any more: 4 of 4 MB"));
			/* Not even looked at: its room would be taken from those that have some. */
			assert_false(f.vms[1].fated);
			seen = true;
		}
		mb_execution_deinit(&x);
	}
	assert_true(seen);
}

static void refuse(const struct plan_case *c, const struct mb_execution_options *o,
		   const char *word)
{
	struct mb_execution x;
	struct mb_err err = { 0 };

	assert_fails(
		mb_execution_create(&x, &c->fleet.view, &c->plan_options, &c->plan, o, 1000, &err),
		EINVAL, &err, word);
	assert_null(x.moves);
}

static void test_what_cannot_be(void **state)
{
	struct mb_execution_options o = mb_execution_options_default;
	struct plan_case c;

	(void)state;
	make_chain(&c);
	o.tries_max = 0;
	refuse(&c, &o, "tries_max");
	o = mb_execution_options_default;
	o.poll_ms = 0;
	refuse(&c, &o, "poll_ms");
	o = mb_execution_options_default;
	o.lost_max_ms = UINT64_MAX;
	refuse(&c, &o, "lost_max_ms");
	o = mb_execution_options_default;
	c.moves[1].from = 3;
	refuse(&c, &o, "move 2: VM \"v0\" is not where it is to leave from");
	c.moves[1].from = 1;
	refuse(&c, &o, "move 2: VM 0 from host 1 to host 1");
	c.moves[1].to = 6;
	refuse(&c, &o, "move 2");
	c.moves[0].vm = 4;
	refuse(&c, &o, "move 1");
}

/* --- all at once, at random ------------------------------------------------------------------- */

struct chaos {
	struct plan_case c;
	struct fake f;
	struct mb_execution x;
	struct rng rng; /* of the operator and the crashes */
	char *saved;
	bool crash_after_save, crash_before_save;
	unsigned int crashes;
	bool may_crash;
};

/* The law, in the simplest words: all that must be done before move i is done, in truth as well. */
static void check_order(struct chaos *k, uint32_t vm)
{
	const struct mb_execution *x = &k->x;
	const struct mb_move *m = NULL;
	uint32_t i;

	/* The VM's only move that runs is the one that begins. */
	for (i = 0; i < x->n_moves; i++)
		if (k->c.moves[i].vm == vm && x->moves[i].state == MB_MOVE_RUNNING)
			break;
	assert_true(i < x->n_moves);
	m = &k->c.moves[i];
	for (uint32_t j = 0; j < i; j++) {
		if (!k->c.moves[j].feasible ||
		    (k->c.moves[j].vm != vm && k->c.moves[j].from != m->to))
			continue;
		if (x->moves[j].state != MB_MOVE_DONE)
			fail_msg("move %u begins, move %u is %s", i, j, state_of(x, j));
	}
}

static void on_begin(void *ctx, uint32_t vm)
{
	check_order(ctx, vm);
}

static int chaos_save(void *ctx, const struct mb_execution *x, struct mb_err *err)
{
	struct chaos *k = ctx;
	json_t *json;

	if (k->crash_before_save)
		return mb_fail(err, ECANCELED, "crashed before it was durable");
	json = mb_execution_to_json(x);
	assert_non_null(json);
	free(k->saved);
	k->saved = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (k->crash_after_save)
		return mb_fail(err, ECANCELED, "crashed once it was durable");
	return 0;
}

/* What follows from the moves is what was counted all along. */
static void check_books(const struct mb_execution *x)
{
	json_t *json = mb_execution_to_json(x);
	struct mb_err err = { 0 };
	struct mb_execution y;

	assert_ok(mb_execution_from_json(&y, json, &err), &err);
	assert_int_equal(y.n_open, x->n_open);
	assert_int_equal(y.n_active, x->n_active);
	for (uint32_t h = 0; h < x->n_hosts; h++) {
		assert_int_equal(y.hosts[h].used_mb, x->hosts[h].used_mb);
		assert_int_equal(y.hosts[h].n_busy, x->hosts[h].n_busy);
		assert_true(x->hosts[h].n_busy <= x->options.per_host_max);
	}
	mb_execution_deinit(&y);
	json_decref(json);
}

static void restart(struct chaos *k)
{
	struct mb_err err = { 0 };
	json_t *json = json_loads(k->saved, 0, NULL);

	mb_execution_deinit(&k->x);
	assert_ok(mb_execution_from_json(&k->x, json, &err), &err);
	json_decref(json);
	k->crashes++;
}

static void operate(struct chaos *k, uint64_t now)
{
	struct mb_err err = { 0 };

	if (rng_below(&k->rng, 400) == 0)
		mb_execution_cancel(&k->x, now);
	for (uint32_t i = 0; i < k->x.n_moves && rng_below(&k->rng, 10) == 0; i++) {
		const struct mb_execution_move *m = &k->x.moves[i];
		const struct fake_vm *vm = &k->f.vms[k->c.moves[i].vm];

		if (m->state == MB_MOVE_LOST && !m->ended_ms && !vm->moving &&
		    vm->host != MB_NOWHERE)
			assert_ok(mb_execution_decide(&k->x, i, vm->host == m->to, now, &err),
				  &err);
	}
}

/* Where the execution says each VM is, and where it is. */
static void check_truth(const struct chaos *k)
{
	const struct mb_execution *x = &k->x;

	for (uint32_t v = 0; v < k->c.fleet.view.n_vms; v++) {
		uint32_t at = k->c.fleet.vms[v].host;
		bool known = true;

		for (uint32_t i = 0; i < x->n_moves; i++) {
			const struct mb_execution_move *m = &x->moves[i];

			if (k->c.moves[i].vm != v)
				continue;
			assert_true(m->ended_ms != 0);
			if (m->state == MB_MOVE_DONE)
				at = m->to;
			else if (m->state == MB_MOVE_LOST)
				known = false;
			else if (m->found != MB_NOWHERE)
				at = m->found;
			else if (strstr(m->reason, "on host far"))
				at = FAKE_FAR;
			else if (strstr(m->reason, "runs nowhere"))
				at = MB_NOWHERE;
			/* Nobody could tell, so it says where it was last: what may be wrong. */
			else if (strstr(m->reason, "cannot be told"))
				known &= k->f.vms[v].fate != FATE_STOLEN;
			if (m->state != MB_MOVE_DONE)
				assert_true(*m->reason || m->state == MB_MOVE_CANCELLED);
			/* Room is kept where the VM is, or may be. */
			if (m->state == MB_MOVE_DONE || m->state == MB_MOVE_LOST)
				assert_true(m->holds_to);
			else if (!strstr(m->reason, "runs nowhere"))
				assert_false(m->holds_to);
		}
		if (known && at != k->f.vms[v].host)
			fail_msg("v%u is on %d, not on %d", v, (int)k->f.vms[v].host, (int)at);
	}
}

/* Returns the hash of all that was asked and answered. */
static uint64_t chaos(uint64_t seed, bool may_crash, struct chaos *k, uint64_t *counts)
{
	struct mb_execution_options o = mb_execution_options_default;
	uint64_t now = 1000, wake, hash;
	struct rng r = { seed };
	struct mb_err err = { 0 };
	unsigned int steps = 0;

	memset(k, 0, sizeof(*k));
	case_random(&k->c, &r);
	o.per_host_max = 1 + (uint32_t)rng_below(&r, 3);
	o.total_max = (uint32_t)rng_below(&r, 4);
	o.tries_max = 1 + (uint32_t)rng_below(&r, 3);
	o.trouble_max = 1 + (uint32_t)rng_below(&r, 5);
	o.lost_max_ms = 1000 * (1 + rng_below(&r, 2000));
	case_create(&k->c, &o, &k->x);
	fake_init(&k->f, &k->c.fleet, seed);
	k->f.per_host_max = o.per_host_max;
	k->f.trouble_percent = (uint32_t)rng_below(&r, 100);
	k->f.on_begin = on_begin;
	k->f.ctx = k;
	k->rng.state = seed + 1;
	assert_ok(chaos_save(k, &k->x, &err), &err);
	for (; !mb_execution_has_ended(&k->x); steps++) {
		if (steps > 20000)
			fail_msg("seed %llu does not end", (unsigned long long)seed);
		k->crash_after_save = may_crash && rng_below(&k->rng, 20) == 0;
		k->crash_before_save = may_crash && rng_below(&k->rng, 20) == 0;
		if (mb_execution_drive(&k->x, &k->f.mover, chaos_save, k, now, &wake, &err) < 0) {
			restart(k);
			wake = now + rng_below(&k->rng, 10000);
		}
		if (*k->f.wrong)
			fail_msg("seed %llu: %s", (unsigned long long)seed, k->f.wrong);
		if (steps % 8 == 0 || mb_execution_has_ended(&k->x))
			check_books(&k->x);
		now = wake == UINT64_MAX ? now : wake;
		fake_pass_time(&k->f, now);
		operate(k, now);
	}
	check_truth(k);
	for (uint32_t i = 0; i < k->x.n_moves; i++)
		counts[k->x.moves[i].state]++;
	hash = k->f.hash;
	mb_execution_deinit(&k->x);
	free(k->saved);
	return hash;
}

static void test_chaos(void **state)
{
	uint64_t counts[MB_MOVE_STATES] = { 0 }, again[MB_MOVE_STATES] = { 0 };
	uint64_t fates[FATES] = { 0 }, crashes = 0, same = 0;
	struct chaos k;

	(void)state;
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		uint64_t hash = chaos(seed, seed % 2, &k, counts);

		crashes += k.crashes;
		for (unsigned int i = 0; i < FATES; i++)
			fates[i] += k.f.calls[i];
		if (seed % 8)
			continue;
		assert_int_equal(chaos(seed, seed % 2, &k, again), hash);
		same++;
	}
	for (unsigned int i = 0; i < MB_MOVE_STATES; i++)
		print_message("%s %llu, ", mb_move_state_name(i), (unsigned long long)counts[i]);
	print_message("%llu crashes, %llu runs repeated\n", (unsigned long long)crashes,
		      (unsigned long long)same);
	/* Each of it was really met. */
	for (unsigned int i = 0; i < FATES; i++)
		assert_true(fates[i] > 100);
	for (unsigned int i = MB_MOVE_LOST; i < MB_MOVE_STATES; i++)
		assert_true(counts[i] > 100);
	assert_true(crashes > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_goes_well),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_a_failure_takes_along_what_counts_on_it),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_every_fate_alone),
		cmocka_unit_test(test_somebody_else_moved_it),
		cmocka_unit_test(test_a_host_in_trouble),
		cmocka_unit_test(test_bounded_concurrency),
		cmocka_unit_test(test_what_is_asked),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_between_question_and_answer),
		cmocka_unit_test(test_lost_and_found),
		cmocka_unit_test(test_given_up_for_lost),
		cmocka_unit_test(test_sharing_as_room),
		cmocka_unit_test(test_room_taken_by_others),
		cmocka_unit_test(test_what_cannot_be),
		cmocka_unit_test(test_chaos),
	};

	return cmocka_run_group_tests_name("execution", tests, NULL, NULL);
}
