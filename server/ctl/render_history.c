// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/ctl/cells_audit.h"

enum { STALE_WIDTH = 32 };

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

/* --- audits ----------------------------------------------------------------------------------- */

/* Of the newest audit: what the tracker follows depends on the kernel it runs on. */
static void print_followed(const json_t *audit, FILE *to)
{
	const char *name, *before = "the tracker follows: ";
	json_t *cls;

	json_object_foreach(json_object_get(audit, "classes"), name, cls)
	{
		if (!json_is_true(json_object_get(cls, "followed")))
			continue;
		fprintf(to, "%s%s", before, name);
		before = ", ";
	}
	fputs(before[0] == ',' ? "\n" : "", to);
}

/* In place of the audits' column, for which there is no room beside it. */
static void put_doubted(struct mb_table *t, const json_t *audit)
{
	json_int_t audits = integer(audit, "audits"), doubted = integer(audit, "doubted");

	if (audits > 1)
		mb_table_put(t, "%lld of %lld", (long long)doubted, (long long)audits);
	else
		mb_table_put(t, "%s", doubted > 0 ? "yes" : "-");
}

static void print_audits(const json_t *rows, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *row, *newest = NULL;
	bool several = false, doubted = false;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *audit = json_object_get(row, "audit");

		several |= integer(audit, "audits") > 1;
		doubted |= integer(audit, "doubted") > 0;
		newest = json_is_object(audit) ? audit : newest;
	}
	if (!newest)
		return;
	mb_table_columns(&t, ">epoch|>recall|>recall all|>precision|>stale|<by class");
	mb_table_columns(&t, doubted ? "<doubted" : several ? ">audits" : "");
	json_array_foreach(rows, i, row)
	{
		json_t *audit = json_object_get(row, "audit");

		if (!json_is_object(audit))
			continue;
		mb_cell_number(&t, row, "epoch");
		mb_cell_share(&t, audit, "recall");
		mb_cell_share(&t, audit, "recall_all");
		mb_cell_share(&t, audit, "precision");
		mb_cell_stale(&t, json_object_get(audit, "classes"), STALE_WIDTH);
		if (doubted)
			put_doubted(&t, audit);
		else if (several)
			mb_cell_number(&t, audit, "audits");
	}
	fputs("\nAudits, full walks that show what incremental passes miss:\n", to);
	mb_table_print(&t, to);
	mb_cell_audit_legend(to, doubted);
	print_followed(newest, to);
}

/* --- epochs ----------------------------------------------------------------------------------- */

/* What each epoch changed. */
static void print_changes(const json_t *rows, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *row;
	size_t i;

	mb_table_columns(&t, ">epoch|>changed|>churn|>added|>removed|>wire bytes");
	json_array_foreach(rows, i, row)
	{
		mb_cell_number(&t, row, "epoch");
		mb_cell_number(&t, has_base(row) ? row : NULL, "changed");
		put_churn(&t, row);
		mb_cell_number(&t, row, "added");
		mb_cell_number(&t, row, "removed");
		mb_cell_number(&t, row, "wire_bytes");
	}
	mb_table_print(&t, to);
	fputs("changed, added, removed: pages; churn: changed of all pages\n", to);
}

/* How each epoch was taken, and what it cost. */
static void print_passes(const json_t *rows, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	/* Columns that say something only in rare trouble. */
	bool unread = any_but(rows, "unread", 0), several = any_but(rows, "epochs", 1);
	const json_t *row;
	size_t i;

	mb_table_columns(&t, ">epoch|<pass|<tracker|>read|>ms|>cpu ms");
	mb_table_columns(&t, unread ? ">unread" : "");
	mb_table_columns(&t, several ? ">epochs in one" : "");
	json_array_foreach(rows, i, row)
	{
		mb_cell_number(&t, row, "epoch");
		mb_table_put(&t, "%s",
			     json_is_true(json_object_get(row, "full")) ? "full" : "incremental");
		mb_cell_text(&t, row, "tracker");
		mb_cell_number(&t, row, "read");
		mb_cell_number(&t, row, "duration_ms");
		mb_cell_number(&t, row, "cpu_ms");
		if (unread)
			mb_cell_number(&t, row, "unread");
		if (several)
			mb_cell_number(&t, row, "epochs");
	}
	mb_table_print(&t, to);
	fputs("full: every page was read; incremental: those that may have changed; read: pages "
	      "hashed\n",
	      to);
}

int mb_render_history(const json_t *root, FILE *to, struct mb_err *err)
{
	const char *vm = json_string_value(json_object_get(root, "vm"));
	mb_cleanup(mb_table_deinit) struct mb_table holds = { 0 };
	const json_t *rows, *row;
	bool with_ms;
	size_t i;
	int r = mb_cell_list(root, "rows", &rows, err);

	if (r < 0)
		return r;
	fprintf(to, "History of VM %s%s\n", vm ? vm : "-",
		json_array_size(rows) ? "" : ": no epoch yet");
	if (!json_array_size(rows))
		return 0;
	with_ms = any_within_a_second(rows);
	/* Several tables, as in the status: one would be too wide to read. */
	mb_table_columns(&holds, "<time|>epoch");
	mb_cell_sharing_heads(&holds, true);
	json_array_foreach(rows, i, row)
	{
		mb_cell_time(&holds, row, "at_unix_ms", with_ms);
		mb_cell_number(&holds, row, "epoch");
		mb_cell_sharing(&holds, row, mb_cell_page_bytes(row), true);
	}
	mb_table_print(&holds, to);
	mb_cell_sharing_legend(to, true);
	fputc('\n', to);
	print_changes(rows, to);
	fputc('\n', to);
	print_passes(rows, to);
	print_audits(rows, to);
	return 0;
}
