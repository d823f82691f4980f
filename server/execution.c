// SPDX-License-Identifier: GPL-2.0-or-later
/* Making an execution, and what follows from its moves: room, slots, who leaves which host. */
#include "server/execution.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/execution_inside.h"
#include "server/plan/cost.h"

const struct mb_execution_options mb_execution_options_default = {
	.per_host_max = 1,
	.tries_max = 3,
	.cancels_max = 3,
	.trouble_max = 3,
	.deadline_percent = 400,
	.deadline_min_ms = 120000,
	.poll_ms = 1000,
	.backoff_ms = 5000,
	.backoff_max_ms = 60000,
	.cancel_ms = 10000,
	.lost_max_ms = 3600000,
};

int mb_execution_options_check(const struct mb_execution_options *o, struct mb_err *err)
{
	/* Times that added to a date stay below 2^63. */
	const uint64_t longest = (uint64_t)1 << 50;

	if (!o->per_host_max || !o->tries_max || !o->cancels_max || !o->trouble_max)
		return mb_fail(err, EINVAL,
			       "per_host_max, tries_max, cancels_max or trouble_max: 0");
	if (!o->poll_ms || o->backoff_max_ms < o->poll_ms || o->backoff_max_ms > longest)
		return mb_fail(err, EINVAL, "backoff_max_ms %llu, poll_ms %llu",
			       (unsigned long long)o->backoff_max_ms,
			       (unsigned long long)o->poll_ms);
	if (o->backoff_ms > longest || o->cancel_ms > longest || o->lost_max_ms > longest ||
	    o->deadline_min_ms > longest)
		return mb_fail(err, EINVAL,
			       "backoff_ms, cancel_ms, lost_max_ms or deadline_min_ms: too long");
	return 0;
}

void mb_execution_deinit(struct mb_execution *x)
{
	free(x->hosts);
	free(x->moves);
	free(x->leaving);
	free(x->active);
	*x = (struct mb_execution){ 0 };
}

/* --- what follows from the moves -------------------------------------------------------------- */

static void index_leaving(struct mb_execution *x)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < x->n_moves; i++)
		if (x->moves[i].from != MB_NOWHERE)
			x->hosts[x->moves[i].from].n_leaving++;
	for (uint32_t h = 0; h < x->n_hosts; h++) {
		x->hosts[h].first_leaving = at;
		at += x->hosts[h].n_leaving;
		x->hosts[h].n_leaving = 0;
	}
	for (uint32_t i = 0; i < x->n_moves; i++) {
		struct mb_execution_host *h;

		if (x->moves[i].from == MB_NOWHERE)
			continue;
		h = &x->hosts[x->moves[i].from];
		x->leaving[h->first_leaving + h->n_leaving++] = i;
	}
}

static int link_same(struct mb_execution *x, struct mb_err *err)
{
	json_t *last = json_object(); /* the VM's move so far */
	int r = last ? 0 : -1;

	for (uint32_t i = 0; i < x->n_moves && r == 0; i++) {
		const json_t *before = json_object_get(last, x->moves[i].vm);

		x->moves[i].same = before ? (uint32_t)json_integer_value(before) : MB_NOWHERE;
		r = json_object_set_new(last, x->moves[i].vm, json_integer(i));
	}
	json_decref(last);
	return r == 0 ? 0 : mb_fail_mem(err, "an execution");
}

/* Where each VM's size counts, as far as it has come. */
static void count(struct mb_execution *x)
{
	for (uint32_t h = 0; h < x->n_hosts; h++)
		x->hosts[h].used_mb = x->hosts[h].base_mb;
	for (uint32_t i = 0; i < x->n_moves; i++) {
		const struct mb_execution_move *m = &x->moves[i];

		if (m->holds_to)
			x->hosts[m->to].used_mb += m->memory_mb;
		if (m->found != MB_NOWHERE)
			x->hosts[m->found].used_mb += m->memory_mb;
		if (m->state == MB_MOVE_DONE && m->from != MB_NOWHERE)
			x->hosts[m->from].used_mb -= m->memory_mb;
		if (m->state == MB_MOVE_DONE)
			x->hosts[m->to].merged_ms =
				MB_MAX(x->hosts[m->to].merged_ms, m->ended_ms + m->merge_s * 1000);
		if (!mb_move_has_ended(m))
			x->n_open++;
		if (!mb_move_is_active(m))
			continue;
		x->active[x->n_active++] = i;
		x->hosts[m->to].n_busy++;
		if (m->from != MB_NOWHERE)
			x->hosts[m->from].n_busy++;
	}
}

int mb_execution_derive(struct mb_execution *x, struct mb_err *err)
{
	x->leaving = calloc((size_t)x->n_moves + 1, sizeof(*x->leaving));
	x->active = calloc((size_t)x->n_moves + 1, sizeof(*x->active));
	if (!x->leaving || !x->active)
		return mb_fail_mem(err, "an execution");
	index_leaving(x);
	count(x);
	x->scan = true;
	return link_same(x, err);
}

/* --- from a plan ------------------------------------------------------------------------------ */

static int put_name(char *to, const char *name, const char *what, struct mb_err *err)
{
	int r = mb_name_check(name, what, err);

	if (r == 0)
		strcpy(to, name);
	return r;
}

static int take_hosts(struct mb_execution *x, const struct mb_fleet_view *fleet,
		      const struct mb_plan_options *options, struct mb_err *err)
{
	int r = 0;

	x->hosts = calloc((size_t)fleet->n_hosts + 1, sizeof(*x->hosts));
	if (!x->hosts)
		return mb_fail_mem(err, "an execution");
	x->n_hosts = fleet->n_hosts;
	for (uint32_t h = 0; h < fleet->n_hosts && r == 0; h++) {
		r = put_name(x->hosts[h].name, fleet->hosts[h].name, "host", err);
		x->hosts[h].limit_mb = mb_plan_capacity_mb(&fleet->hosts[h], options);
	}
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		if (fleet->vms[v].host != MB_NOWHERE)
			x->hosts[fleet->vms[v].host].base_mb += fleet->vms[v].memory_mb;
	return r;
}

static int take_move(struct mb_execution_move *m, const struct mb_fleet_view *fleet,
		     const struct mb_plan_options *options, const struct mb_move *of,
		     uint64_t now_ms, struct mb_err *err)
{
	int r;

	if (of->vm >= fleet->n_vms || of->to >= fleet->n_hosts || of->from == of->to ||
	    (of->from != MB_NOWHERE && of->from >= fleet->n_hosts))
		return mb_fail(err, EINVAL, "VM %u from host %u to host %u", of->vm, of->from,
			       of->to);
	r = put_name(m->vm, fleet->vms[of->vm].name, "VM", err);
	if (r < 0)
		return r;
	m->from = of->from;
	m->to = of->to;
	m->memory_mb = fleet->vms[of->vm].memory_mb;
	m->copy_mb = of->copy_mb;
	m->time_s = of->time_s;
	m->found = MB_NOWHERE;
	if (options->count_sharing_percent)
		m->merge_s = mb_plan_merge_s(&fleet->vms[of->vm], options);
	if (of->feasible)
		return 0;
	m->state = MB_MOVE_SKIPPED;
	m->ended_ms = MB_MAX(now_ms, (uint64_t)1);
	mb_execution_reason(m, "not feasible, says the plan");
	return 0;
}

/*
 * In the plan's order, one after the other: does each move start where its VM is, and how full do
 * hosts get when something arrives?
 */
static int replay(struct mb_execution *x, const struct mb_fleet_view *fleet,
		  const struct mb_plan *plan, struct mb_err *err)
{
	mb_autofree uint32_t *at = calloc((size_t)fleet->n_vms + 1, sizeof(*at));

	if (!at)
		return mb_fail_mem(err, "an execution");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		at[v] = fleet->vms[v].host;
	for (uint32_t h = 0; h < x->n_hosts; h++)
		x->hosts[h].used_mb = x->hosts[h].base_mb;
	for (uint32_t i = 0; i < x->n_moves; i++) {
		const struct mb_execution_move *m = &x->moves[i];
		struct mb_execution_host *to = &x->hosts[m->to];
		uint32_t v = plan->moves[i].vm;

		if (mb_move_has_ended(m))
			continue;
		if (at[v] != m->from)
			return mb_fail(err, EINVAL,
				       "move %u: VM \"%s\" is not where it is to leave from", i + 1,
				       m->vm);
		if (m->from != MB_NOWHERE)
			x->hosts[m->from].used_mb -= m->memory_mb;
		to->used_mb += m->memory_mb;
		at[v] = m->to;
		if (to->used_mb <= to->limit_mb)
			continue;
		to->limit_mb = to->used_mb;
		to->in_order = true;
	}
	return 0;
}

static uint32_t root_of(uint32_t *parent, uint32_t v)
{
	while (parent[v] != v)
		v = parent[v] = parent[parent[v]];
	return v;
}

/*
 * Numbers the moves of VMs that rules want together, if all that run are on one host: those can be
 * kept together by staying. What is apart already loses nothing when only some of it arrives.
 */
static int find_groups(struct mb_execution *x, const struct mb_fleet_view *fleet,
		       const struct mb_plan *plan, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	mb_autofree uint32_t *parent = calloc(n, sizeof(*parent));
	mb_autofree uint32_t *size = calloc(n, sizeof(*size));
	mb_autofree bool *apart = calloc(n, sizeof(*apart));

	if (!parent || !size || !apart)
		return mb_fail_mem(err, "an execution");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		parent[v] = v;
	for (uint32_t i = 0; i < fleet->n_rules; i++)
		for (uint32_t k = 1;
		     k < fleet->rules[i].n_vms && fleet->rules[i].kind == MB_RULE_TOGETHER; k++)
			parent[root_of(parent, fleet->rules[i].vms[k])] =
				root_of(parent, fleet->rules[i].vms[0]);
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		uint32_t root = root_of(parent, v);

		size[root]++;
		apart[root] |= fleet->vms[v].host != fleet->vms[root].host;
	}
	for (uint32_t i = 0; i < x->n_moves; i++) {
		uint32_t root = root_of(parent, plan->moves[i].vm);

		if (size[root] > 1 && !apart[root] && x->moves[i].from != MB_NOWHERE)
			x->moves[i].group = root + 1;
	}
	return 0;
}

int mb_execution_create(struct mb_execution *ret, const struct mb_fleet_view *fleet,
			const struct mb_plan_options *plan_options, const struct mb_plan *plan,
			const struct mb_execution_options *options, uint64_t now_ms,
			struct mb_err *err)
{
	int r;

	*ret = (struct mb_execution){ .options = *options, .created_ms = now_ms, .changed = true };
	r = mb_execution_options_check(options, err);
	if (r < 0)
		return r;
	if (plan->n_moves > MB_EXECUTION_MOVES_MAX)
		return mb_fail(err, EINVAL, "%zu moves; at most %d", plan->n_moves,
			       MB_EXECUTION_MOVES_MAX);
	r = take_hosts(ret, fleet, plan_options, err);
	ret->moves = calloc(plan->n_moves + 1, sizeof(*ret->moves));
	if (r == 0 && !ret->moves)
		r = mb_fail_mem(err, "an execution");
	for (size_t i = 0; i < plan->n_moves && r == 0; i++) {
		r = take_move(&ret->moves[i], fleet, plan_options, &plan->moves[i], now_ms, err);
		if (r < 0)
			mb_fail_in(err, r, "move %zu", i + 1);
		ret->n_moves++;
	}
	if (r == 0)
		r = replay(ret, fleet, plan, err);
	if (r == 0)
		r = find_groups(ret, fleet, plan, err);
	if (r == 0)
		r = mb_execution_derive(ret, err);
	if (r == 0 && !ret->n_open)
		ret->ended_ms = now_ms;
	if (r < 0)
		mb_execution_deinit(ret);
	return r;
}

/* --- changes of state ------------------------------------------------------------------------- */

void mb_execution_reason(struct mb_execution_move *m, const char *fmt, ...)
{
	char text[sizeof(m->reason)];
	va_list ap;

	/* What it is made of may be the reason so far. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	memcpy(m->reason, text, sizeof(text));
}

uint64_t mb_execution_backoff_ms(uint64_t first_ms, uint64_t max_ms, uint32_t n)
{
	while (n-- > 1 && first_ms < max_ms)
		first_ms *= 2;
	return MB_MIN(first_ms, max_ms);
}

uint64_t mb_execution_deadline_ms(const struct mb_execution *x, const struct mb_execution_move *m)
{
	/* A plan's times are bounded by sizes; by no more than a thousand years here. */
	uint64_t expected_ms = MB_MIN(m->time_s, (uint64_t)1 << 35) * 1000;

	return MB_MAX(x->options.deadline_min_ms, expected_ms / 100 * x->options.deadline_percent);
}

static void make_idle(struct mb_execution *x, const struct mb_execution_move *m)
{
	uint32_t k = 0, i = (uint32_t)(m - x->moves);

	while (x->active[k] != i)
		k++;
	memmove(&x->active[k], &x->active[k + 1], (--x->n_active - k) * sizeof(*x->active));
	x->hosts[m->to].n_busy--;
	if (m->from != MB_NOWHERE)
		x->hosts[m->from].n_busy--;
}

void mb_execution_end_move(struct mb_execution *x, struct mb_execution_move *m,
			   enum mb_move_state state, uint64_t now_ms)
{
	struct mb_execution_host *to = &x->hosts[m->to];

	if (mb_move_is_active(m))
		make_idle(x, m);
	m->state = state;
	m->next = MB_NEXT_NONE;
	m->ended_ms = MB_MAX(now_ms, (uint64_t)1);
	m->asked = false;
	x->changed = x->scan = true;
	if (!--x->n_open)
		x->ended_ms = m->ended_ms;
	if (state == MB_MOVE_DONE) {
		to->troubles = 0;
		to->merged_ms = MB_MAX(to->merged_ms, now_ms + m->merge_s * 1000);
		if (m->from != MB_NOWHERE)
			x->hosts[m->from].used_mb -= m->memory_mb;
	} else if (state == MB_MOVE_FAILED && m->blames_host) {
		to->troubles++;
	}
}

void mb_execution_release(struct mb_execution *x, struct mb_execution_move *m)
{
	if (m->holds_to)
		x->hosts[m->to].used_mb -= m->memory_mb;
	m->holds_to = false;
}

void mb_execution_wait(struct mb_execution *x, struct mb_execution_move *m, uint64_t due_ms)
{
	make_idle(x, m);
	mb_execution_release(x, m);
	m->state = MB_MOVE_WAITING;
	m->next = MB_NEXT_NONE;
	m->due_ms = due_ms;
	m->lost_ms = 0;
	m->looks = 0;
	x->changed = x->scan = true;
}

enum mb_execution_state mb_execution_state(const struct mb_execution *x)
{
	bool all = true;

	if (x->n_open)
		return MB_EXECUTION_RUNNING;
	for (uint32_t i = 0; i < x->n_moves; i++)
		all &= x->moves[i].state == MB_MOVE_DONE;
	return all	       ? MB_EXECUTION_DONE :
	       x->cancelled_ms ? MB_EXECUTION_CANCELLED :
				 MB_EXECUTION_INCOMPLETE;
}

const char *mb_move_state_name(enum mb_move_state s)
{
	static const char *const names[MB_MOVE_STATES] = { "waiting", "running",   "lost",   "done",
							   "failed",  "cancelled", "skipped" };

	return s < MB_MOVE_STATES ? names[s] : "?";
}

const char *mb_execution_state_name(enum mb_execution_state s)
{
	static const char *const names[MB_EXECUTION_STATES] = { "running", "done", "incomplete",
								"cancelled" };

	return s < MB_EXECUTION_STATES ? names[s] : "?";
}
