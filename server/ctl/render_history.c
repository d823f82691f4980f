// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

static json_int_t integer(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/*
 * A snapshot that follows nothing: the first delta since the agent began, whose passes are all
 * there were, or one for a server that held nothing. What "changed" counts then is no change.
 */
static bool has_base(const json_t *row)
{
	json_int_t epochs = MB_MAX(integer(row, "epochs"), 1);

	return integer(row, "epoch") > epochs &&
	       (integer(row, "added") != integer(row, "pages") || integer(row, "removed") != 0);
}

static void put_churn(struct mb_table *t, const json_t *row)
{
	json_int_t pages = integer(row, "pages");
	const json_t *changed = json_object_get(row, "changed");

	if (has_base(row) && json_is_integer(changed) && pages > 0)
		mb_table_put(t, "%.1f %%",
			     100 * (double)json_integer_value(changed) / (double)pages);
	else
		mb_table_put(t, "-");
}

/* Rows that whole seconds would not tell apart. */
static bool any_within_a_second(const json_t *rows)
{
	for (size_t i = 1; i < json_array_size(rows); i++) {
		json_int_t before = integer(json_array_get(rows, i - 1), "at_unix_ms");
		json_int_t at = integer(json_array_get(rows, i), "at_unix_ms");

		if (at >= before && at - 1000 < before)
			return true;
	}
	return false;
}

static bool any_but(const json_t *rows, const char *key, json_int_t usual)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *v = json_object_get(row, key);

		if (json_is_integer(v) && json_integer_value(v) != usual)
			return true;
	}
	return false;
}

int mb_render_history(const json_t *root, FILE *to, struct mb_err *err)
{
	static const char *const cost[] = { "added", "removed", "wire_bytes", "duration_ms",
					    "cpu_ms" };
	const char *vm = json_string_value(json_object_get(root, "vm"));
	mb_cleanup(mb_table_deinit) struct mb_table holds = { 0 };
	mb_cleanup(mb_table_deinit) struct mb_table comes = { 0 };
	const json_t *rows, *row;
	bool unread, several, with_ms;
	size_t i;
	int r = mb_cell_list(root, "rows", &rows, err);

	if (r < 0)
		return r;
	fprintf(to, "History of VM %s%s\n", vm ? vm : "-",
		json_array_size(rows) ? "" : ": no epoch yet");
	if (!json_array_size(rows))
		return 0;
	/* Columns that say something only in rare trouble. */
	unread = any_but(rows, "unread", 0);
	several = any_but(rows, "epochs", 1);
	with_ms = any_within_a_second(rows);
	/* Two tables, as in the status: one would be too wide to read. */
	mb_table_columns(&holds, "<time|>epoch");
	mb_cell_sharing_heads(&holds, true);
	mb_table_columns(&comes, ">epoch|>changed|>churn|>added|>removed|>wire bytes|>ms|>cpu ms|"
				 "<pass|<tracker");
	mb_table_columns(&comes, unread ? ">unread" : "");
	mb_table_columns(&comes, several ? ">epochs in one" : "");
	json_array_foreach(rows, i, row)
	{
		mb_cell_time(&holds, row, "at_unix_ms", with_ms);
		mb_cell_number(&holds, row, "epoch");
		mb_cell_sharing(&holds, row, mb_cell_page_bytes(row), true);
		mb_cell_number(&comes, row, "epoch");
		mb_cell_number(&comes, has_base(row) ? row : NULL, "changed");
		put_churn(&comes, row);
		for (size_t k = 0; k < MB_ARRAY_LEN(cost); k++)
			mb_cell_number(&comes, row, cost[k]);
		mb_table_put(&comes, "%s",
			     json_is_true(json_object_get(row, "full")) ? "full" : "incremental");
		mb_cell_text(&comes, row, "tracker");
		if (unread)
			mb_cell_number(&comes, row, "unread");
		if (several)
			mb_cell_number(&comes, row, "epochs");
	}
	mb_table_print(&holds, to);
	mb_cell_sharing_legend(to, true);
	fputc('\n', to);
	mb_table_print(&comes, to);
	fputs("changed, added, removed: pages; churn: changed of all pages\n", to);
	return 0;
}
