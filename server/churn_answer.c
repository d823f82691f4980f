// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/churn_answer.h"

#include "proto/base/cleanup.h"
#include "proto/churn/bench.h"
#include "proto/churn/churn_json.h"
#include "proto/churn/put.h"
#include "server/churn_pool.h"
#include "server/churn_replay.h"

/* What a page scanner might take: as mbagent churn has it. */
static const uint64_t windows_ns[] = { 60000000000, 300000000000, 900000000000 };

/* --- sums ------------------------------------------------------------------------------------- */

static json_t *history_json(const struct mb_vm *vm, const char *host,
			    const struct mb_store_churn *c)
{
	double duration_s = (double)(c->last_unix_ns - c->first_unix_ns) / 1e9;
	bool rows = c->deltas, change = c->epochs, inter = c->inter_times;
	double epochs = (double)c->epochs;
	json_t *sharing =
		inter ? json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "times",
				  (json_int_t)c->inter_times, "first", (json_int_t)c->inter_first,
				  "last", (json_int_t)c->inter_last, "least",
				  (json_int_t)c->inter_least, "most", (json_int_t)c->inter_most,
				  "mean", c->inter_mean) :
			json_null();

	return json_pack(
		"{s:s, s:o, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "vm", vm->name,
		"host", host ? json_string(host) : json_null(), "deltas", (json_int_t)c->deltas,
		"epochs", (json_int_t)c->epochs, "duration_s", duration_s, "pages",
		rows ? mb_json_real(c->pages) : json_null(), "distinct",
		rows ? mb_json_real(c->distinct) : json_null(), "zero",
		rows ? mb_json_real(c->zero) : json_null(), "changed",
		change ? mb_json_real((double)c->changed / epochs) : json_null(), "changed_per_s",
		change && duration_s > 0 ? mb_json_real((double)c->changed / duration_s) :
					   json_null(),
		"added", change ? mb_json_real((double)c->added / epochs) : json_null(), "removed",
		change ? mb_json_real((double)c->removed / epochs) : json_null(), "inter", sharing);
}

static int add_histories(struct mb_store *s, const struct mb_churn_question *q, json_t *list,
			 struct mb_err *err)
{
	for (uint32_t i = 0; i < q->n; i++) {
		struct mb_store_churn c;
		int r = mb_store_churn(s, q->vms[i]->name, q->since_unix_ns, &c, err);

		/* Connected, but nothing is stored yet. */
		if (r == -ENOENT)
			c = (struct mb_store_churn){ 0 };
		else if (r < 0)
			return r;
		if (json_array_append_new(list, history_json(q->vms[i], q->hosts[i], &c)) < 0)
			return mb_fail_mem(err, "an answer");
	}
	return 0;
}

/* --- contents --------------------------------------------------------------------------------- */

/* Pages looked at for one answer, some seconds' work: of a larger VM fewer epochs. */
enum { PAGES_MAX = 16 << 20 };

static int take_row(void *ctx, const struct mb_churn_row *row, struct mb_err *err)
{
	return mb_churn_log_add(ctx, row, NULL, err);
}

/* Names are what those who run processes make them: the list keeps those that did most. */
static int take_who(void *ctx, const struct mb_who_row *row)
{
	mb_who_put(ctx, row);
	return 0;
}

static int add_who(struct mb_store *s, const struct mb_churn_question *q, json_t *run,
		   struct mb_err *err)
{
	struct mb_who who = { 0 };
	uint64_t rows;
	int r = mb_store_churn_who(s, q->vms[0]->name, q->since_unix_ns, take_who, &who, &rows,
				   err);

	if (r < 0)
		return r;
	return json_object_set_new(run, "who", mb_churn_who_json(&who)) < 0 ?
		       mb_fail_mem(err, "an answer") :
		       0;
}

static int add_contents(struct mb_store *s, const struct mb_churn_question *q, json_t *runs,
			struct mb_err *err)
{
	const struct mb_vm *vm = q->vms[0];
	struct mb_churn_config config = { .zero_digest = vm->identity.zero_digest,
					  .windows_ns = { windows_ns[0], windows_ns[1],
							  windows_ns[2] },
					  .n_windows = MB_ARRAY_LEN(windows_ns) };
	struct mb_churn_log log = { 0 };
	mb_cleanup(mb_json_unrefp) json_t *run = NULL;
	int r = mb_churn_log_init(&log, &config, err);

	if (r == 0)
		r = mb_churn_replay(s, vm, &config, q->since_unix_ns,
				    PAGES_MAX / MB_MAX(vm->sharing.pages, 1u), take_row, &log, err);
	/* One epoch tells of no change; none is what there is before the first delta. */
	if (r == 0 && log.sums.rows >= 2) {
		run = mb_churn_log_take(&log);
		r = run ? add_who(s, q, run, err) : mb_fail_mem(err, "an answer");
	}
	if (r == 0 && run && json_array_append(runs, run) < 0)
		r = mb_fail_mem(err, "an answer");
	mb_churn_log_deinit(&log);
	return r;
}

/* null: no VM has two epochs. */
static int add_pool(struct mb_store *s, const struct mb_churn_question *q, json_t *to,
		    struct mb_err *err)
{
	const struct mb_churn_config config = { .windows_ns = { windows_ns[0], windows_ns[1],
								windows_ns[2] },
						.n_windows = MB_ARRAY_LEN(windows_ns) };
	struct mb_churn_pool p;
	json_t *o;
	int r = mb_churn_pool(s, q->vms, q->n, q->since_unix_ns, &config, &p, err);

	if (r < 0)
		return r;
	o = !p.n_vms ?
		    json_null() :
		    json_pack("{s:I, s:I, s:f, s:o, s:o}", "vms", (json_int_t)p.n_vms, "of_vms",
			      (json_int_t)q->n, "duration_s", (double)p.duration_ns / 1e9, "self",
			      mb_churn_kind_json(&config, &p.kinds[MB_CHURN_SELF]), "reference",
			      p.has_reference ?
				      mb_churn_kind_json(&config, &p.kinds[MB_CHURN_REFERENCE]) :
				      json_null());
	return json_object_set_new(to, "contents", o) < 0 ? mb_fail_mem(err, "an answer") : 0;
}

/* --- the answer ------------------------------------------------------------------------------- */

int mb_churn_answer(struct mb_store *s, const struct mb_churn_question *q, json_t **ret,
		    struct mb_err *err)
{
	json_t *runs = json_array(), *history = json_array(), *metrics = json_object();
	json_t *windows = json_array();
	const json_t *run;
	size_t i;
	int r;

	for (i = 0; i < MB_ARRAY_LEN(windows_ns); i++)
		json_array_append_new(windows, json_real((double)windows_ns[i] / 1e9));
	*ret = json_pack("{s:s, s:s, s:n, s:s, s:s, s:n, s:o, s:n, s:I, s:o, s:o, s:o}", "name",
			 q->name, "source", "a server's history", "command", "by", "content",
			 "tracker", q->contents && q->n ? q->vms[0]->tracker : "-", "interval_s",
			 "windows_s", windows, "reference", "since_unix_ms",
			 (json_int_t)(q->since_unix_ns / 1000000), "runs", runs, "history", history,
			 "metrics", metrics);
	if (!*ret)
		return mb_fail_mem(err, "an answer");
	r = add_histories(s, q, history, err);
	if (r == 0 && q->contents && q->n)
		r = add_contents(s, q, runs, err);
	else if (r == 0)
		r = add_pool(s, q, *ret, err);
	json_array_foreach(runs, i, run)
	{
		if (r == 0 && mb_churn_measure(json_object_get(run, "summary"), metrics) < 0)
			r = mb_fail_mem(err, "an answer");
	}
	if (r == 0 && mb_bench_end(metrics) < 0)
		r = mb_fail_mem(err, "an answer");
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}
