// SPDX-License-Identifier: GPL-2.0-or-later
/* The part of a history that says who dirtied memory. */
#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

enum { KINDS_WIDTH = 48, KINDS_MAX = 32 };

/* "rewrite 400, first write 20": most first. */
static void put_kinds(struct mb_table *t, json_t *kinds)
{
	const char *names[KINDS_MAX], *name;
	struct mb_pairs_top top = { 0 };
	json_t *n, *list = json_array();
	size_t at = 0;

	json_object_foreach(kinds, name, n)
	{
		if (json_integer_value(n) <= 0 || at == KINDS_MAX)
			continue;
		names[at] = name;
		mb_pairs_top_offer(&top, json_integer_value(n), at++, 0);
	}
	for (size_t i = 0; i < top.n; i++)
		json_array_append_new(list, json_sprintf("%s %lld", names[top.items[i].a],
							 (long long)top.items[i].value));
	mb_cell_names(t, list, KINDS_WIDTH);
	json_decref(list);
}

/* "3 to 8", of the rows; epochs start again with each boot of a source. */
static void print_title(const json_t *root, const json_t *rows, json_int_t counted, FILE *to)
{
	const char *vm = json_string_value(json_object_get(root, "vm"));
	size_t n = json_array_size(rows);
	json_int_t first, last;

	fprintf(to, "Who dirtied memory of VM %s", vm ? vm : "-");
	if (!counted) {
		fputs(n ? ": not counted in these epochs (mbagent run --tracker bpf --who N)\n" :
			  ": no epoch yet\n",
		      to);
		return;
	}
	first = json_integer_value(json_object_get(json_array_get(rows, 0), "epoch"));
	last = json_integer_value(json_object_get(json_array_get(rows, n - 1), "epoch"));
	fprintf(to, ", epochs %lld to %lld", (long long)first, (long long)last);
	if (counted < (json_int_t)n)
		fprintf(to, " (counted in %lld of %zu)", (long long)counted, n);
	fputc('\n', to);
}

int mb_render_who(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *who = json_object_get(root, "who"), *rows, *by, *row;
	json_int_t counted = json_integer_value(json_object_get(who, "rows"));
	size_t i;
	int r;

	if ((r = mb_cell_list(root, "rows", &rows, err)) < 0 ||
	    (r = mb_cell_list(who, "by", &by, err)) < 0)
		return r;
	print_title(root, rows, counted, to);
	if (!counted)
		return 0;
	mb_table_columns(&t, "<process|<cgroup|>frames|>MB|<by what, first");
	json_array_foreach(by, i, row)
	{
		if (json_is_string(json_object_get(row, "process")))
			mb_cell_text(&t, row, "process");
		else
			mb_table_put(&t, "(others)");
		mb_cell_text(&t, row, "cgroup");
		mb_cell_number(&t, row, "frames");
		mb_cell_mb(&t, row, "frames", mb_cell_page_bytes(root));
		put_kinds(&t, json_object_get(row, "kinds"));
	}
	mb_table_print(&t, to);
	fputs("frames: of any kind of memory, each once an epoch, for who was first\n", to);
	return 0;
}
