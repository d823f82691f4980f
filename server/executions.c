// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/executions.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

static void json_unref(json_t **j)
{
	json_decref(*j);
}

static uint32_t count_done(const struct mb_execution *x)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n_moves; i++)
		n += x->moves[i].state == MB_MOVE_DONE;
	return n;
}

static const char *word(const json_t *report, const char *key)
{
	const char *text = json_string_value(json_object_get(report, key));

	return text ? text : "";
}

static int put(struct mb_store *s, int64_t *id, const struct mb_execution *x, const json_t *report,
	       const json_t *json, struct mb_err *err)
{
	mb_autofree char *plan = report ? json_dumps(report, JSON_COMPACT) : NULL;
	mb_autofree char *text = json_dumps(json, JSON_COMPACT);
	struct mb_execution_record rec = {
		.id = *id,
		.created_unix_ms = x->created_ms,
		.ended_unix_ms = x->ended_ms,
		.mover = word(json, "mover"),
		.question = word(report, "question"),
		.planner = word(report, "planner"),
		.state = mb_execution_state_name(mb_execution_state(x)),
		.moves = x->n_moves,
		.done = count_done(x),
		.plan = plan,
		.execution = text,
	};
	int r;

	if (!text || (report && !plan))
		return mb_fail_mem(err, "an execution");
	r = mb_store_put_execution(s, &rec, err);
	*id = rec.id;
	return r;
}

int mb_executions_keep(void *ctx, const struct mb_execution *x, const json_t *report, json_t *json,
		       struct mb_err *err)
{
	struct mb_executions_keeper *k = ctx;
	int r = put(k->store, &k->id, x, report, json, err);

	if (r == 0 && json_object_set_new(json, "id", json_integer(k->id)) < 0)
		r = mb_fail_mem(err, "an execution");
	return r;
}

static json_t *time_ms(uint64_t ms)
{
	return ms ? json_integer((json_int_t)ms) : json_null();
}

static int add_to_list(void *ctx, const struct mb_execution_record *rec)
{
	json_t *o = json_pack(
		"{s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:i}", "id", (json_int_t)rec->id, "mover",
		rec->mover, "question", rec->question, "planner", rec->planner, "state", rec->state,
		"created_unix_ms", time_ms(rec->created_unix_ms), "ended_unix_ms",
		time_ms(rec->ended_unix_ms), "moves", (int)rec->moves, "done", (int)rec->done);

	return json_array_append_new(ctx, o) < 0 ? -ENOMEM : 0;
}

int mb_executions_list(struct mb_store *s, uint32_t limit, json_t **ret, struct mb_err *err)
{
	mb_cleanup(json_unref) json_t *list = json_array();
	int r = list ? mb_store_executions(s, limit, add_to_list, list, err) : -ENOMEM;

	if (r < 0)
		return r == -ENOMEM ? mb_fail_mem(err, "an answer") : r;
	*ret = json_pack("{s:O}", "executions", list);
	return *ret ? 0 : mb_fail_mem(err, "an answer");
}

static int add_one(void *ctx, const struct mb_execution_record *rec)
{
	json_t **ret = ctx, *execution = json_loads(rec->execution, 0, NULL);

	*ret = json_loads(rec->plan, 0, NULL);
	json_object_set_new(execution, "id", json_integer(rec->id));
	return json_object_set_new(*ret, "execution", execution) < 0 ? -EBADMSG : 0;
}

int mb_executions_get(struct mb_store *s, int64_t id, json_t **ret, struct mb_err *err)
{
	int r = mb_store_execution(s, id, add_one, ret, err);

	if (r == -EBADMSG) {
		json_decref(*ret);
		*ret = NULL;
		return mb_fail(err, EBADMSG, "execution %lld: its JSON cannot be read",
			       (long long)id);
	}
	return r;
}

/* --- those that are under way ----------------------------------------------------------------- */

struct open_ones {
	struct mb_executions_open *list;
	size_t n;
};

static int note_open(void *ctx, const struct mb_execution_record *rec)
{
	struct open_ones *o = ctx;
	struct mb_executions_open *more;

	if (rec->ended_unix_ms)
		return 0;
	more = realloc(o->list, (o->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	o->list = more;
	more[o->n].id = rec->id;
	snprintf(more[o->n++].mover, sizeof(more->mover), "%s", rec->mover);
	return 0;
}

int mb_executions_open(struct mb_store *s, struct mb_executions_open **ret, size_t *ret_n,
		       struct mb_err *err)
{
	struct open_ones open = { 0 };
	/* More than are kept only when all of them are under way. */
	int r = mb_store_executions(s, UINT32_MAX, note_open, &open, err);

	if (r < 0) {
		free(open.list);
		return r == -ENOMEM ? mb_fail_mem(err, "the executions") : r;
	}
	/* They came newest first. */
	for (size_t i = 0; i < open.n / 2; i++) {
		struct mb_executions_open swapped = open.list[i];

		open.list[i] = open.list[open.n - 1 - i];
		open.list[open.n - 1 - i] = swapped;
	}
	*ret = open.list;
	*ret_n = open.n;
	return 0;
}

struct stored {
	json_t *execution;
	uint32_t done;
};

static int load(void *ctx, const struct mb_execution_record *rec)
{
	struct stored *to = ctx;

	to->execution = json_loads(rec->execution, 0, NULL);
	to->done = rec->done;
	return 0;
}

int mb_executions_load(struct mb_store *s, int64_t id, struct mb_execution *ret,
		       uint32_t *ret_restarts, struct mb_err *err)
{
	struct stored stored = { 0 };
	json_int_t restarts;
	int r = mb_store_execution(s, id, load, &stored, err);

	if (r == 0)
		r = mb_execution_from_json(ret, stored.execution, err);
	restarts = json_integer_value(json_object_get(stored.execution, "restarts"));
	*ret_restarts = restarts > 0 && restarts < UINT32_MAX ? (uint32_t)restarts : 0;
	json_decref(stored.execution);
	return r;
}

int mb_executions_save(struct mb_store *s, int64_t id, const struct mb_execution *x,
		       const char *mover, uint32_t restarts, struct mb_err *err)
{
	mb_cleanup(json_unref) json_t *json = mb_execution_to_json(x);

	if (!json || json_object_set_new(json, "mover", json_string(mover)) < 0 ||
	    json_object_set_new(json, "restarts", json_integer(restarts)) < 0)
		return mb_fail_mem(err, "an execution");
	return put(s, &id, x, NULL, json, err);
}

int mb_executions_give_up(struct mb_store *s, int64_t id, uint64_t now_ms, struct mb_err *err)
{
	struct mb_execution_record rec = { .id = id,
					   .ended_unix_ms = now_ms,
					   .state = "unreadable",
					   .execution = "{\"moves\":[]}" };

	return mb_store_put_execution(s, &rec, err);
}

/* --- after a restart -------------------------------------------------------------------------- */

/* Its mover is not here: the moves stay what they were. */
static int interrupt(struct mb_store *s, int64_t id, struct mb_err *err)
{
	struct stored stored = { 0 };
	struct mb_execution_record rec = { .id = id, .state = "interrupted" };
	mb_autofree char *text = NULL;
	int r = mb_store_execution(s, id, load, &stored, err);

	if (r < 0)
		return r;
	if (stored.execution)
		json_object_set_new(stored.execution, "state", json_string(rec.state));
	text = json_dumps(stored.execution, JSON_COMPACT);
	rec.done = stored.done;
	rec.execution = text;
	json_decref(stored.execution);
	return text ? mb_store_put_execution(s, &rec, err) : mb_fail_mem(err, "an execution");
}

static int rush(struct mb_store *s, int64_t id, uint64_t now_ms, struct mb_err *err)
{
	mb_cleanup(mb_execution_deinit) struct mb_execution x = { 0 };
	struct mb_err why = { 0 };
	uint32_t restarts;
	int r = mb_executions_load(s, id, &x, &restarts, &why);

	if (r == 0)
		r = mb_apply_resume(&x, now_ms, &why);
	if (r == -ENOMEM)
		return mb_fail_mem(err, "an execution");
	if (r < 0)
		return mb_executions_give_up(s, id, now_ms, err);
	return mb_executions_save(s, id, &x, mb_mover_dry.name, restarts + 1, err);
}

int mb_executions_resume(struct mb_store *s, const char *mover, uint64_t now_ms, struct mb_err *err)
{
	mb_autofree struct mb_executions_open *open = NULL;
	size_t n = 0;
	int r = mb_executions_open(s, &open, &n, err);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (strcmp(open[i].mover, mb_mover_dry.name) == 0)
			r = rush(s, open[i].id, now_ms, err);
		else if (!mover || strcmp(open[i].mover, mover) != 0)
			r = interrupt(s, open[i].id, err);
	}
	return r;
}
