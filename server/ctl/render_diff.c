// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

static void print_sides(const json_t *root, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	static const char *const sides[] = { "from", "to" };

	mb_table_columns(&t, "<|<trace|>epoch|<taken");
	mb_cell_sharing_heads(&t, false);
	for (size_t i = 0; i < MB_ARRAY_LEN(sides); i++) {
		const json_t *side = json_object_get(root, sides[i]);

		mb_table_put(&t, "%s", sides[i]);
		mb_cell_text(&t, side, "trace");
		mb_cell_number(&t, side, "epoch");
		mb_cell_time(&t, side, "taken_unix_ms", false);
		mb_cell_sharing(&t, side, mb_cell_page_bytes(root), false);
	}
	mb_table_print(&t, to);
	mb_cell_sharing_legend(to, false);
}

static void print_contents(const json_t *root, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };

	mb_table_columns(&t, "<contents|>in both|>gained|>lost");
	mb_table_put(&t, "digests");
	mb_cell_number(&t, root, "inter");
	mb_cell_number(&t, root, "gained_digests");
	mb_cell_number(&t, root, "lost_digests");
	mb_table_put(&t, "pages, copies included");
	mb_table_put(&t, "-");
	mb_cell_number(&t, root, "gained");
	mb_cell_number(&t, root, "lost");
	fputc('\n', to);
	mb_table_print(&t, to);
}

static void print_classes(const json_t *frames, FILE *to)
{
	static const char *const keys[] = { "before", "after", "changed",
					    "came",   "went",  "reclassed" };
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const char *name;
	json_t *cls;

	mb_table_columns(&t, "<class|>before|>after|>changed|>came|>went|>other class before");
	json_object_foreach(json_object_get(frames, "classes"), name, cls)
	{
		mb_table_put(&t, "%s", name);
		for (size_t i = 0; i < MB_ARRAY_LEN(keys); i++)
			mb_cell_number(&t, cls, keys[i]);
	}
	mb_table_put(&t, "all");
	mb_table_put(&t, "-");
	mb_table_put(&t, "-");
	for (size_t i = 2; i < 5; i++)
		mb_cell_number(&t, frames, keys[i]);
	mb_table_put(&t, "-");
	fputc('\n', to);
	mb_table_print(&t, to);
	fputs("pages, by the class that they have, or of those that went, had\n", to);
}

static void print_ranges(const json_t *frames, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *ranges = json_object_get(frames, "ranges"), *r;
	json_int_t all = json_integer_value(json_object_get(frames, "n_ranges"));
	size_t i;

	if (!json_array_size(ranges))
		return;
	mb_table_columns(&t, ">frame|>frames|<what|<class|<now");
	json_array_foreach(ranges, i, r)
	{
		const char *fate = json_string_value(json_object_get(r, "fate"));

		mb_table_put(&t, "0x%llx",
			     (unsigned long long)json_integer_value(json_object_get(r, "first")));
		mb_cell_number(&t, r, "n");
		mb_table_put(&t, "%s", fate && *fate == 's' ? "other class" : fate ? fate : "-");
		mb_cell_text(&t, r, "from");
		mb_cell_text(&t, r, "to");
	}
	fprintf(to, "\nRanges of frames, the longest %zu of %lld:\n", i, (long long)all);
	mb_table_print(&t, to);
}

int mb_render_diff(const json_t *root, FILE *to, struct mb_err *err)
{
	const json_t *frames = json_object_get(root, "frames");

	(void)err;
	print_sides(root, to);
	print_contents(root, to);
	if (!json_is_object(frames)) {
		fputs("\nFrames are not stable in these traces: contents alone can be compared.\n",
		      to);
		return 0;
	}
	print_classes(frames, to);
	print_ranges(frames, to);
	if (json_is_false(json_object_get(frames, "one_recording")))
		fputs("The traces are of two recordings: frames are the same places only if "
		      "memory was laid out alike.\n",
		      to);
	return 0;
}
