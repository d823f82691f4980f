// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

int mb_render_executions(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *list, *o;
	size_t i;
	int r = mb_cell_list(root, "executions", &list, err);

	if (r < 0)
		return r;
	if (!json_array_size(list)) {
		fputs("No plan was carried out yet (mbctl plan --apply)\n", to);
		return 0;
	}
	mb_table_columns(&t, ">execution|<begun|<ended|<question|<planner|<mover|>moves|>done|<");
	json_array_foreach(list, i, o)
	{
		mb_cell_number(&t, o, "id");
		mb_cell_time(&t, o, "created_unix_ms", false);
		mb_cell_time(&t, o, "ended_unix_ms", false);
		mb_cell_text(&t, o, "question");
		mb_cell_text(&t, o, "planner");
		mb_cell_text(&t, o, "mover");
		mb_cell_number(&t, o, "moves");
		mb_cell_number(&t, o, "done");
		mb_cell_text(&t, o, "state");
	}
	mb_table_print(&t, to);
	return 0;
}

/* Seconds from the begin of the execution. */
static void put_seconds(struct mb_table *t, const json_t *from, const json_t *at)
{
	if (json_is_integer(at) && json_is_integer(from))
		mb_table_put(t, "%.1f",
			     ((double)json_integer_value(at) - (double)json_integer_value(from)) /
				     1000);
	else
		mb_table_put(t, "-");
}

void mb_render_execution(const json_t *root, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *x = json_object_get(root, "execution"), *moves, *m;
	const json_t *begun = json_object_get(x, "created_unix_ms");
	const json_t *id = json_object_get(x, "id");
	const char *mover = json_string_value(json_object_get(x, "mover"));
	const char *state = json_string_value(json_object_get(x, "state"));
	const char *reason;
	size_t i;

	moves = json_object_get(x, "moves");
	if (!x)
		return;
	fputs("\nExecution", to);
	if (json_is_integer(id))
		fprintf(to, " %lld", (long long)json_integer_value(id));
	fprintf(to, " by mover %s: %s", mover ? mover : "-", state ? state : "-");
	if (json_integer_value(json_object_get(x, "restarts")) > 0)
		fprintf(to, ", taken up again after %lld restarts of the server",
			(long long)json_integer_value(json_object_get(x, "restarts")));
	/* As it would be: that nothing was moved must not be missed. */
	if (mover && strcmp(mover, "dry") == 0)
		fputs(" (a dry run: nothing has been moved; times are those expected)", to);
	else if (mover && strcmp(mover, "rehearsal") == 0)
		fputs(" (a rehearsal: nothing is moved)", to);
	fputc('\n', to);
	if (!json_array_size(moves))
		return;
	mb_table_columns(&t, ">move|<VM|<from|<to|>begin s|>end s|>tries|<state|<");
	json_array_foreach(moves, i, m)
	{
		mb_table_put(&t, "%zu", i + 1);
		mb_cell_text(&t, m, "vm");
		mb_cell_text(&t, m, "from");
		mb_cell_text(&t, m, "to");
		put_seconds(&t, begun, json_object_get(m, "begun_unix_ms"));
		put_seconds(&t, begun, json_object_get(m, "ended_unix_ms"));
		mb_cell_number(&t, m, "tries");
		mb_cell_text(&t, m, "state");
		reason = json_string_value(json_object_get(m, "reason"));
		if (reason && *reason)
			mb_cell_text(&t, m, "reason");
		else
			mb_table_put(&t, "%s", "");
	}
	mb_table_print(&t, to);
}
