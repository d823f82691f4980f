// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

enum { PAGE_BYTES = 4096, STEPS_SHOWN_MAX = 20 };

static long long integer(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void render_scenario(const json_t *root, FILE *to)
{
	const char *note = json_string_value(json_object_get(root, "note"));

	if (note)
		fprintf(to, "%s\n", note);
	fprintf(to, "%lld hosts of %lld MB in all, %lld VMs want to run (seed %lld)\n\n",
		integer(root, "hosts"), integer(root, "hosts_mb"), integer(root, "vms"),
		integer(root, "seed"));
}

static void render_arrivals(const json_t *players, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *p;
	size_t i;

	mb_table_columns(&t, "<player|>placed|>before the first refusal|>hosts|>full MB|>used MB|"
			     ">inter MB|>moves");
	json_array_foreach(players, i, p)
	{
		const json_t *step = json_array_get(json_object_get(p, "steps"), 0);

		mb_cell_text(&t, p, "player");
		mb_cell_number(&t, p, "placed");
		mb_cell_number(&t, p, "before_refusal");
		mb_cell_number(&t, step, "hosts_used");
		mb_cell_number(&t, step, "full_mb");
		mb_cell_number(&t, step, "used_mb");
		mb_cell_mb(&t, step, "inter_pages", PAGE_BYTES);
		mb_cell_number(&t, step, "moves");
	}
	mb_table_print(&t, to);
	fputs("full: without any sharing; inter: saved because of who runs where\n", to);
}

static void render_published(const json_t *published, FILE *to)
{
	const char *where = json_string_value(json_object_get(published, "where"));

	if (where)
		fprintf(to,
			"%s: %lld placed by one who knows of sharing, %lld by one who does not\n",
			where, integer(published, "aware"), integer(published, "oblivious"));
}

static long long sum_of(const json_t *steps, const char *key)
{
	const json_t *step;
	long long sum = 0;
	size_t i;

	json_array_foreach(steps, i, step)
	{
		const json_t *v = json_object_get(step, key);

		if (i > 0)
			sum += json_is_true(v) ? 1 : (long long)json_integer_value(v);
	}
	return sum;
}

/* All steps after the arrivals, in one line for each player. */
static void render_churn(const json_t *players, FILE *to)
{
	static const char *const sums[] = {
		"left",	 "changed",	     "arrived",	    "refused",
		"moves", "infeasible_moves", "plan_failed", "hosts_over"
	};
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *p;
	size_t i;

	mb_table_columns(&t, "<player|>left|>changed|>arrived|>refused|>moves|>infeasible|"
			     ">no plan|>over-full|>over MB|>VMs|>inter MB");
	json_array_foreach(players, i, p)
	{
		const json_t *steps = json_object_get(p, "steps");
		long long n = MB_MAX((long long)json_array_size(steps) - 1, 1);

		mb_cell_text(&t, p, "player");
		for (size_t k = 0; k < MB_ARRAY_LEN(sums); k++)
			mb_table_put(&t, "%lld", sum_of(steps, sums[k]));
		mb_table_put(&t, "%.1f", (double)sum_of(steps, "over_mb") / (double)n);
		mb_table_put(&t, "%.1f", (double)sum_of(steps, "vms") / (double)n);
		mb_cell_mb_value(&t, sum_of(steps, "inter_pages") / n, PAGE_BYTES);
	}
	fputs("\nChurn, all steps together:\n", to);
	mb_table_print(&t, to);
	fputs("over-full: hosts that use more than they have, once a step; over MB, VMs, inter MB: "
	      "mean of a step\n",
	      to);
}

static void render_steps(const json_t *players, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	size_t n = json_array_size(json_object_get(json_array_get(players, 0), "steps")), i;
	const json_t *p;

	mb_table_columns(&t, ">step");
	json_array_foreach(players, i, p)
	{
		const char *name = json_string_value(json_object_get(p, "player"));

		if (i + 1 < MB_TABLE_COLUMNS_MAX)
			mb_table_column(&t, true, name ? name : "-");
	}
	for (size_t step = 0; step < n && step <= STEPS_SHOWN_MAX; step++) {
		mb_table_put(&t, "%zu", step);
		json_array_foreach(players, i, p)
		{
			if (i + 1 < MB_TABLE_COLUMNS_MAX)
				mb_cell_mb(&t, json_array_get(json_object_get(p, "steps"), step),
					   "inter_pages", PAGE_BYTES);
		}
	}
	fputs("\ninter MB, step by step:\n", to);
	mb_table_print(&t, to);
}

static void render_failures(const json_t *players, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	bool any = false;
	const json_t *p;
	size_t i;

	mb_table_columns(&t, "<player|<had no plan, the first time because");
	json_array_foreach(players, i, p)
	{
		if (!json_is_string(json_object_get(p, "no_plan")))
			continue;
		mb_cell_text(&t, p, "player");
		mb_cell_text(&t, p, "no_plan");
		any = true;
	}
	if (!any)
		return;
	fputc('\n', to);
	mb_table_print(&t, to);
}

int mb_render_simulate(const json_t *root, FILE *to, struct mb_err *err)
{
	const json_t *players;
	int r = mb_cell_list(root, "players", &players, err);

	if (r < 0)
		return r;
	render_scenario(root, to);
	render_arrivals(players, to);
	render_published(json_object_get(root, "published"), to);
	if (json_array_size(json_object_get(json_array_get(players, 0), "steps")) > 1) {
		render_churn(players, to);
		render_steps(players, to);
	}
	render_failures(players, to);
	return 0;
}
