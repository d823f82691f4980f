// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/cells.h"

#include "proto/base/cleanup.h"

enum { NAMES_MAX = 30, PAGE_BYTES = 4096 };

static void put_side(struct mb_table *t, const json_t *host, const char *side)
{
	const json_t *s = json_object_get(host, side);

	mb_cell_text(t, host, "name");
	mb_table_put(t, "%s", side);
	mb_cell_number(t, s, "full_mb");
	mb_cell_mb(t, s, "zero_pages", PAGE_BYTES);
	mb_cell_mb(t, s, "self_pages", PAGE_BYTES);
	mb_cell_mb_error(t, s, "inter_pages", "error_pages", PAGE_BYTES);
	mb_cell_mb_error(t, s, "distinct_pages", "error_pages", PAGE_BYTES);
	mb_cell_names(t, json_object_get(s, "vms"), NAMES_MAX);
}

static int64_t sum(const json_t *hosts, const char *side, const char *key)
{
	const json_t *host;
	int64_t pages = 0;
	size_t i;

	json_array_foreach(hosts, i, host) pages +=
		json_integer_value(json_object_get(json_object_get(host, side), key));
	return pages;
}

static void put_sums(const json_t *hosts, FILE *to)
{
	static const struct {
		const char *what, *key;
	} sums[] = { { "inter-VM sharing", "inter_pages" }, { "memory used", "distinct_pages" } };

	for (size_t i = 0; i < MB_ARRAY_LEN(sums); i++)
		fprintf(to, "%s: %.1f MB -> %.1f MB\n", sums[i].what,
			mb_cell_mb_of(sum(hosts, "before", sums[i].key), PAGE_BYTES),
			mb_cell_mb_of(sum(hosts, "after", sums[i].key), PAGE_BYTES));
}

int mb_render_whatif(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *hosts, *host;
	size_t i;
	int r = mb_cell_list(root, "hosts", &hosts, err);

	if (r < 0)
		return r;
	fputs("What if (nothing has been moved)\n\n", to);
	mb_cell_estimate(to, root);
	put_sums(hosts, to);
	fputc('\n', to);
	mb_table_columns(&t, "<host|<|>full MB|>zero MB|>self MB|>inter MB|>distinct MB|<VMs");
	json_array_foreach(hosts, i, host)
	{
		put_side(&t, host, "before");
		put_side(&t, host, "after");
	}
	mb_table_print(&t, to);
	fputs("zero, self: saved on any host; inter: because these VMs share this one; distinct: "
	      "what is used\n",
	      to);
	json_array_foreach(hosts, i, host)
	{
		const json_t *after = json_object_get(host, "after");
		const char *name = json_string_value(json_object_get(host, "name"));
		const char *reason = json_string_value(json_object_get(after, "reason"));

		if (json_is_false(json_object_get(after, "fits")))
			fprintf(to, "\nNot allowed on %s: %s\n", name ? name : "-",
				reason ? reason : "-");
	}
	return 0;
}
