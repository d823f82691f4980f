// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

static void put_churn(struct mb_table *t, const json_t *row)
{
	json_int_t pages = json_integer_value(json_object_get(row, "pages"));
	const json_t *changed = json_object_get(row, "changed");

	if (json_is_integer(changed) && pages > 0)
		mb_table_put(t, "%.1f %%",
			     100 * (double)json_integer_value(changed) / (double)pages);
	else
		mb_table_put(t, "-");
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
	static const char *const pages[] = { "pages", "distinct",     "zero",
					     "self",  "self_nonzero", "inter" };
	static const char *const cost[] = { "epoch",	  "changed",	 "added", "removed",
					    "wire_bytes", "duration_ms", "cpu_ms" };
	const char *vm = json_string_value(json_object_get(root, "vm"));
	mb_cleanup(mb_table_deinit) struct mb_table holds = { 0 };
	mb_cleanup(mb_table_deinit) struct mb_table comes = { 0 };
	const json_t *rows, *row;
	bool unread, several;
	size_t i;
	int r = mb_cell_list(root, "rows", &rows, err);

	if (r < 0)
		return r;
	fprintf(to, "History of VM %s%s\n", vm ? vm : "-",
		json_array_size(rows) ? " (sharing and churn in pages)" : ": no epoch yet");
	if (!json_array_size(rows))
		return 0;
	/* Columns that say something only in rare trouble. */
	unread = any_but(rows, "unread", 0);
	several = any_but(rows, "epochs", 1);
	/* Two tables, as in the status: one would be too wide to read. */
	mb_table_columns(&holds, "<time|>epoch|>pages|>distinct|>zero|>self|>self w/o zero|>inter");
	mb_table_columns(&comes, ">epoch|>changed|>added|>removed|>wire bytes|>ms|>cpu ms|>churn|"
				 "<pass|<tracker");
	mb_table_columns(&comes, unread ? ">unread" : "");
	mb_table_columns(&comes, several ? ">epochs in one" : "");
	json_array_foreach(rows, i, row)
	{
		mb_cell_time(&holds, row, "at_unix_ms");
		mb_cell_number(&holds, row, "epoch");
		for (size_t k = 0; k < MB_ARRAY_LEN(pages); k++)
			mb_cell_number(&holds, row, pages[k]);
		for (size_t k = 0; k < MB_ARRAY_LEN(cost); k++)
			mb_cell_number(&comes, row, cost[k]);
		put_churn(&comes, row);
		mb_table_put(&comes, "%s",
			     json_is_true(json_object_get(row, "full")) ? "full" : "incremental");
		mb_cell_text(&comes, row, "tracker");
		if (unread)
			mb_cell_number(&comes, row, "unread");
		if (several)
			mb_cell_number(&comes, row, "epochs");
	}
	mb_table_print(&holds, to);
	fputc('\n', to);
	mb_table_print(&comes, to);
	return 0;
}
