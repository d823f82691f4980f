// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_execution.h"

void case_init(struct plan_case *c, uint32_t n_vms, const uint64_t *vm_mb, const uint32_t *vm_host,
	       uint32_t n_hosts, const uint64_t *host_mb)
{
	memset(c, 0, sizeof(*c));
	fleet_init(&c->fleet, n_vms, vm_mb, n_hosts, host_mb);
	for (uint32_t v = 0; v < n_vms; v++)
		c->fleet.vms[v].host = vm_host[v];
	c->plan.moves = c->moves;
}

static uint32_t place_now(const struct plan_case *c, uint32_t vm)
{
	uint32_t at = c->fleet.vms[vm].host;

	for (size_t i = 0; i < c->plan.n_moves; i++)
		if (c->moves[i].vm == vm)
			at = c->moves[i].to;
	return at;
}

void case_move(struct plan_case *c, uint32_t vm, uint32_t to)
{
	assert_true(c->plan.n_moves < CASE_MOVES_MAX);
	c->moves[c->plan.n_moves] = (struct mb_move){ .vm = vm,
						      .from = place_now(c, vm),
						      .to = to,
						      .feasible = true,
						      .copy_mb = c->fleet.vms[vm].memory_mb,
						      .time_s = 10 };
	c->plan.n_moves++;
}

void case_chain(struct plan_case *c)
{
	case_init(c, 4, (const uint64_t[]){ 4, 4, 4, 1 }, (const uint32_t[]){ 0, 1, 3, 4 }, 6,
		  (const uint64_t[]){ 4, 4, 4, 4, 1, 1 });
	case_move(c, 1, 2);
	case_move(c, 0, 1);
	case_move(c, 2, 0);
	case_move(c, 3, 5); /* has to do with none of them */
}

static uint64_t used_now(const struct plan_case *c, uint32_t host)
{
	uint64_t sum = 0;

	for (uint32_t v = 0; v < c->fleet.view.n_vms; v++)
		sum += place_now(c, v) == host ? c->fleet.vms[v].memory_mb : 0;
	return sum;
}

void case_random(struct plan_case *c, struct rng *r)
{
	uint64_t vm_mb[FLEET_VMS_MAX], host_mb[FLEET_HOSTS_MAX], used[FLEET_HOSTS_MAX] = { 0 };
	uint32_t n_vms = 1 + (uint32_t)rng_below(r, 12), n_hosts = 2 + (uint32_t)rng_below(r, 5);
	uint32_t host[FLEET_VMS_MAX], n_moves = (uint32_t)rng_below(r, 24);

	for (uint32_t v = 0; v < n_vms; v++) {
		vm_mb[v] = 1 + rng_below(r, 8);
		host[v] = rng_below(r, 8) ? (uint32_t)rng_below(r, n_hosts) : MB_NOWHERE;
		if (host[v] != MB_NOWHERE)
			used[host[v]] += vm_mb[v];
	}
	/* So full that much has to wait for what leaves. */
	for (uint32_t h = 0; h < n_hosts; h++)
		host_mb[h] = used[h] + rng_below(r, 10);
	case_init(c, n_vms, vm_mb, host, n_hosts, host_mb);
	for (uint32_t i = 0; i < n_moves; i++) {
		uint32_t v = (uint32_t)rng_below(r, n_vms), to = (uint32_t)rng_below(r, n_hosts);

		if (place_now(c, v) == to || used_now(c, to) + vm_mb[v] > host_mb[to])
			continue;
		case_move(c, v, to);
		c->moves[c->plan.n_moves - 1].time_s = 1 + rng_below(r, 30);
	}
	if (rng_below(r, 4) == 0 && place_now(c, 0) != 0) {
		case_move(c, 0, 0);
		c->moves[c->plan.n_moves - 1].feasible = false;
	}
}

void case_create(const struct plan_case *c, const struct mb_execution_options *o,
		 struct mb_execution *ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_execution_create(ret, &c->fleet.view, &c->plan_options, &c->plan,
				      o ? o : &mb_execution_options_default, 1000, &err),
		  &err);
}

static int keep_nothing(void *ctx, const struct mb_execution *x, struct mb_err *err)
{
	(void)ctx;
	(void)x;
	(void)err;
	return 0;
}

void case_run(struct mb_execution *x, struct fake *f, uint64_t *now_ms)
{
	struct mb_err err = { 0 };
	uint64_t wake;

	for (unsigned int i = 0; i < 20000 && !mb_execution_has_ended(x); i++) {
		assert_ok(
			mb_execution_drive(x, &f->mover, keep_nothing, NULL, *now_ms, &wake, &err),
			&err);
		assert_string_equal(f->wrong, "");
		if (!mb_execution_has_ended(x)) {
			assert_true(wake > *now_ms && wake != UINT64_MAX);
			*now_ms = wake;
		}
	}
	assert_true(mb_execution_has_ended(x));
}

const char *state_of(const struct mb_execution *x, uint32_t i)
{
	assert_true(i < x->n_moves);
	return mb_move_state_name(x->moves[i].state);
}

void case_play(struct plan_case *c, const struct mb_execution_options *o,
	       const enum fake_fate *script, struct fake *f, struct mb_execution *x)
{
	uint64_t now = 1000;

	case_create(c, o, x);
	fake_init(f, &c->fleet, 1);
	f->script = script;
	case_run(x, f, &now);
}

void case_expect(const struct mb_execution *x, const char *states)
{
	char all[400] = "";

	for (uint32_t i = 0; i < x->n_moves; i++) {
		strcat(all, i ? " " : "");
		strcat(all, state_of(x, i));
	}
	assert_string_equal(all, states);
}

struct mb_order case_step(struct mb_execution *x, enum mb_order_kind kind, uint32_t move,
			  uint64_t now)
{
	struct mb_order o = mb_execution_step(x, now);

	assert_int_equal(o.kind, kind);
	if (kind != MB_ORDER_NONE)
		assert_int_equal(o.move, move);
	return o;
}
