// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "server/ctl/cells.h"

enum { PAGE_BYTES = 4096 };

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	return t ? t : "-";
}

/* From seconds since the plan's begin, for people. */
static void put_time(FILE *to, const json_t *move)
{
	long long s = (long long)json_integer_value(json_object_get(move, "start_s"));

	fprintf(to, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

int mb_render_explain(const json_t *root, FILE *to, struct mb_err *err)
{
	const char *note = text(root, "note");
	const json_t *moves, *move;
	size_t i;
	int r = mb_cell_list(root, "moves", &moves, err);

	if (r < 0)
		return r;
	mb_cell_estimate(to, root);
	fprintf(to, "Plan by planner %s, move by move (nothing has been moved)\n",
		text(root, "planner"));
	if (*note && strcmp(note, "-") != 0)
		fprintf(to, "\nNote: %s\n", note);
	json_array_foreach(moves, i, move)
	{
		bool placed = json_is_null(json_object_get(move, "from"));

		fprintf(to, "\n%zu. %s: %s%s%s", i + 1, text(move, "vm"),
			placed ? "first placement" : text(move, "from"), placed ? " on " : " -> ",
			text(move, "to"));
		if (!json_is_false(json_object_get(move, "feasible"))) {
			fputs(", at ", to);
			put_time(to, move);
		}
		fprintf(to, "\n   It %s.\n", text(move, "reason"));
	}
	if (!json_array_size(moves)) {
		fputs("\nNo moves: every VM stays where it is.\n", to);
		return 0;
	}
	fprintf(to, "\nIn all: %lld MB to copy, about %lld s\n",
		(long long)json_integer_value(json_object_get(root, "copy_mb")),
		(long long)json_integer_value(json_object_get(root, "time_s")));
	return 0;
}
