// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/cells.h"

#include "proto/base/cleanup.h"

enum { PAGE_BYTES = 4096 };

int mb_render_place(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const char *vm = json_string_value(json_object_get(root, "vm"));
	const char *planner = json_string_value(json_object_get(root, "planner"));
	const char *now = json_string_value(json_object_get(root, "host"));
	const json_t *hosts, *host;
	size_t i, fit = 0;
	int r = mb_cell_list(root, "hosts", &hosts, err);

	if (r < 0)
		return r;
	mb_cell_estimate(to, root);
	fprintf(to, "Hosts for VM %s of %lld MB by planner %s, the best first", vm ? vm : "-",
		(long long)json_integer_value(json_object_get(root, "memory_mb")),
		planner ? planner : "-");
	fprintf(to, now ? " (it runs on %s)\n\n" : "\n\n", now);
	mb_table_columns(&t, ">|<host|>shared MB|>used after MB|>memory MB|<why");
	json_array_foreach(hosts, i, host)
	{
		const char *reason = json_string_value(json_object_get(host, "reason"));
		bool fits = json_is_true(json_object_get(host, "fits"));
		bool wakes = json_is_true(json_object_get(host, "wakes"));

		fit += fits;
		if (fits)
			mb_table_put(&t, "%zu", i + 1);
		else
			mb_table_put(&t, "-");
		mb_cell_text(&t, host, "name");
		mb_cell_mb_error(&t, host, "gain_pages", "gain_error_pages", PAGE_BYTES);
		mb_cell_number_error(&t, host, "used_after_mb", "used_after_error_mb");
		mb_cell_number(&t, host, "memory_mb");
		mb_table_put(&t, "%s%s%s", !fits ? "cannot: " : "",
			     fits && wakes ? "would be switched on; " : "", reason ? reason : "-");
	}
	mb_table_print(&t, to);
	fputs("shared: of the VM's distinct pages, those that are there already\n", to);
	if (!fit)
		fprintf(to, "\nVM %s cannot be placed on any host.\n", vm ? vm : "-");
	return 0;
}
