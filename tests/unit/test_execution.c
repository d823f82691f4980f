// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/execution.h"

#include "tests/unit/util_execution.h"

/* What ASan may find it finds on fewer plans. */
#ifdef __SANITIZE_ADDRESS__
#define PLANS 600
#else
#define PLANS 3000
#endif

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
	case_chain(&c);
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
	for (uint64_t seed = 1; seed <= PLANS; seed++) {
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
		assert_true(fates[i] > PLANS / 30);
	for (unsigned int i = MB_MOVE_LOST; i < MB_MOVE_STATES; i++)
		assert_true(counts[i] > PLANS / 30);
	assert_true(crashes > PLANS / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_cannot_be),
		cmocka_unit_test(test_chaos),
	};

	return cmocka_run_group_tests_name("execution", tests, NULL, NULL);
}
