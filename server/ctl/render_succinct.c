// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

static void put_name(struct mb_table *t, const json_t *row)
{
	const char *how = json_string_value(json_object_get(row, "how"));
	long long kib = json_integer_value(json_object_get(row, "filter_bytes")) / 1024;
	long long k = json_integer_value(json_object_get(row, "hashes"));

	if (how && strcmp(how, "sample") == 0)
		mb_table_put(t, "sample of 1 in %lld",
			     (long long)json_integer_value(json_object_get(row, "sample")));
	else if (how && strcmp(how, "cut") == 0)
		mb_table_put(t, "cut to %lld bits (Bloom, %lld KiB)",
			     (long long)json_integer_value(json_object_get(row, "cut_bits")), kib);
	else if (how && strcmp(how, "bloom") == 0)
		mb_table_put(t, "Bloom filter, %lld KiB, %lld hash%s", kib, k, k == 1 ? "" : "es");
	else
		mb_table_put(t, "all digests");
}

static void put_real(struct mb_table *t, const json_t *row, const char *key, int digits,
		     double divisor)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_number(v))
		mb_table_put(t, "%.*f", digits, json_number_value(v) / divisor);
	else
		mb_table_put(t, "-");
}

int mb_render_succinct(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *traces, *rows, *row;
	size_t i;
	int r = mb_cell_list(root, "traces", &traces, err);

	if (r == 0)
		r = mb_cell_list(root, "rows", &rows, err);
	if (r < 0)
		return r;
	fprintf(to, "%zu traces, each two compared\n\n", json_array_size(traces));
	mb_table_columns(&t, "<what is sent|>KiB|>next KiB|>off %|>worst %|>says %|>right|>time");
	json_array_foreach(rows, i, row)
	{
		put_name(&t, row);
		put_real(&t, row, "snapshot_bytes", 1, 1024);
		put_real(&t, row, "delta_bytes", 1, 1024);
		put_real(&t, row, "rmse_percent", 3, 1);
		put_real(&t, row, "worst_percent", 3, 1);
		put_real(&t, row, "error_percent", 3, 1);
		put_real(&t, row, "within_percent", 0, 1);
		put_real(&t, row, "compare_ratio", 3, 1);
	}
	mb_table_print(&t, to);
	fputs("KiB: a snapshot as a frame; next KiB: from each trace to the next one's\n"
	      "off: root mean square of the error of inter-VM sharing, in % of a trace's distinct "
	      "pages;\n"
	      "worst: the largest; says: the error that goes with the estimate, 95 %; right: in so "
	      "many of 100\n"
	      "cases it was no larger; time: to compare two, all digests are 1\n",
	      to);
	return 0;
}
