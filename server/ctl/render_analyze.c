// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/digest.h"
#include "server/ctl/cells.h"

/* Length of the folder that all traces are below: said once instead of in every line. */
static size_t common_folder(const json_t *files)
{
	const char *first = json_string_value(json_object_get(json_array_get(files, 0), "file"));
	size_t n = first && strrchr(first, '/') ? (size_t)(strrchr(first, '/') + 1 - first) : 0;

	for (size_t i = 1; i < json_array_size(files); i++) {
		const char *name =
			json_string_value(json_object_get(json_array_get(files, i), "file"));
		size_t same = 0;

		while (name && same < n && name[same] == first[same])
			same++;
		while (same && first[same - 1] != '/')
			same--;
		n = same;
	}
	return n;
}

static void put_label(struct mb_table *t, const json_t *o, const char *key, size_t folder)
{
	const char *s = json_string_value(json_object_get(o, key));

	mb_table_put(t, "%s", s && strlen(s) > folder ? s + folder : "-");
}

/* Digests of parts of pages, in any of the traces. */
static bool has_parts(const json_t *files)
{
	const json_t *file;
	size_t i;

	json_array_foreach(files, i,
			   file) if (mb_cell_page_bytes(file) < MB_PAGE_BYTES) return true;
	return false;
}

static void render_files(const json_t *files, size_t folder, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	bool parts = has_parts(files);
	const json_t *file;
	size_t i;

	if (folder)
		fprintf(to, "Traces below %.*s\n", (int)folder,
			json_string_value(json_object_get(json_array_get(files, 0), "file")));
	mb_table_columns(&t, parts ? "<trace|>part bytes" : "<trace");
	mb_cell_sharing_heads(&t, false);
	json_array_foreach(files, i, file)
	{
		put_label(&t, file, "file", folder);
		if (parts)
			mb_cell_number(&t, file, "page_bytes");
		mb_cell_sharing(&t, file, mb_cell_page_bytes(file), false);
	}
	mb_table_print(&t, to);
	mb_cell_sharing_legend(to, false);
}

static void put_pair(struct mb_table *t, const json_t *pair, uint32_t page_bytes, size_t folder)
{
	put_label(t, pair, "a", folder);
	put_label(t, pair, "b", folder);
	mb_cell_mb(t, pair, "inter", page_bytes);
	mb_cell_mb(t, pair, "overlap", page_bytes);
	mb_cell_mb(t, pair, "saving", page_bytes);
	if (json_object_get(pair, "why"))
		mb_cell_text(t, pair, "why");
	else
		mb_table_put(t, "%s", "");
}

static void render_pairs(const json_t *files, const json_t *pairs, size_t folder, FILE *to)
{
	/* Only pairs of one page size have figures. */
	uint32_t page_bytes = mb_cell_page_bytes(json_array_get(files, 0));
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	struct mb_pairs_top top = { 0 };
	const json_t *pair;
	size_t i;

	mb_table_columns(&t, "<trace|<trace|>inter MB|>overlap MB|>saving MB|<");
	if (json_array_size(files) <= MB_RENDER_MATRIX_MAX) {
		fputs("\nEach two traces:\n", to);
		json_array_foreach(pairs, i, pair) put_pair(&t, pair, page_bytes, folder);
	} else {
		json_array_foreach(pairs, i, pair)
		{
			const json_t *inter = json_object_get(pair, "inter");

			mb_pairs_top_offer(&top,
					   json_is_integer(inter) ? json_integer_value(inter) : -1,
					   i, 0);
		}
		fprintf(to, "\nThe %zu strongest pairs of %zu traces (--json has all):\n", top.n,
			json_array_size(files));
		for (i = 0; i < top.n; i++)
			put_pair(&t, json_array_get(pairs, top.items[i].a), page_bytes, folder);
	}
	mb_table_print(&t, to);
	fputs("inter: distinct pages that both have; overlap: the same with copies, the smaller "
	      "number of each;\nsaving: zero, self and inter of both on one host\n",
	      to);
}

static void render_deltas(const json_t *deltas, size_t folder, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *delta;
	size_t i;

	mb_table_columns(&t, "<from|<to|>bits|>added|>removed|>wire bytes|>per added|<");
	json_array_foreach(deltas, i, delta)
	{
		const json_t *per = json_object_get(delta, "bytes_per_added");

		put_label(&t, delta, "from", folder);
		put_label(&t, delta, "to", folder);
		mb_cell_number(&t, delta, "bits");
		mb_cell_number(&t, delta, "added");
		mb_cell_number(&t, delta, "removed");
		mb_cell_number(&t, delta, "wire_bytes");
		if (json_is_number(per))
			mb_table_put(&t, "%.2f", json_number_value(per));
		else
			mb_table_put(&t, "-");
		if (json_object_get(delta, "why"))
			mb_cell_text(&t, delta, "why");
		else
			mb_table_put(&t, "%s", "");
	}
	fputs("\nDeltas from each trace to the next: pages added and removed, bytes on the wire:\n",
	      to);
	mb_table_print(&t, to);
}

int mb_render_analyze(const json_t *root, FILE *to, struct mb_err *err)
{
	const json_t *files, *pairs;
	size_t folder;
	int r = mb_cell_list(root, "files", &files, err);

	if (r == 0)
		r = mb_cell_list(root, "pairs", &pairs, err);
	if (r < 0)
		return r;
	folder = common_folder(files);
	render_files(files, folder, to);
	if (json_array_size(pairs))
		render_pairs(files, pairs, folder, to);
	if (json_array_size(json_object_get(root, "deltas")))
		render_deltas(json_object_get(root, "deltas"), folder, to);
	return 0;
}
