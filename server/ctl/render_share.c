// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

enum { NAMES_MAX = 60 };

static const char *name_of(const json_t *vms, size_t i)
{
	const char *name = json_string_value(json_object_get(json_array_get(vms, i), "name"));

	return name ? name : "-";
}

static int64_t value_at(const json_t *matrix, size_t i, size_t j)
{
	return json_integer_value(json_array_get(json_array_get(matrix, i), j));
}

static void render_matrix(const json_t *vms, const json_t *matrix, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	size_t n = json_array_size(vms);

	mb_table_columns(&t, ">|<");
	for (size_t j = 0; j < n; j++) {
		char head[24];

		snprintf(head, sizeof(head), ">%zu", j + 1);
		mb_table_columns(&t, head);
	}
	for (size_t i = 0; i < n; i++) {
		mb_table_put(&t, "%zu", i + 1);
		mb_table_put(&t, "%s", name_of(vms, i));
		for (size_t j = 0; j < n; j++) {
			if (i == j)
				mb_table_put(&t, ".");
			else
				mb_table_put(&t, "%lld", (long long)value_at(matrix, i, j));
		}
	}
	fputs("\nInter-VM sharing of each two, pages:\n", to);
	mb_table_print(&t, to);
}

static void render_top(const json_t *vms, const json_t *matrix, uint32_t page_bytes, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	struct mb_pairs_top top = { 0 };
	size_t n = json_array_size(vms);

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			mb_pairs_top_offer(&top, value_at(matrix, i, j), i, j);
	mb_table_columns(&t, "<VM|<VM|>inter|>MB");
	for (size_t i = 0; i < top.n; i++) {
		mb_table_put(&t, "%s", name_of(vms, top.items[i].a));
		mb_table_put(&t, "%s", name_of(vms, top.items[i].b));
		mb_cell_pages_value(&t, top.items[i].value, page_bytes);
	}
	fprintf(to, "\nInter-VM sharing, the %zu strongest pairs of %zu VMs (--json has all):\n",
		top.n, n);
	mb_table_print(&t, to);
}

static int render_identity(const json_t *identity, FILE *to, struct mb_err *err)
{
	const char *domain = json_string_value(json_object_get(identity, "domain"));
	const char *algorithm = json_string_value(json_object_get(identity, "algorithm"));
	uint32_t page_bytes = mb_cell_page_bytes(identity);
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *vms, *matrix, *vm;
	size_t i;
	int r = mb_cell_list(identity, "vms", &vms, err);

	if (r == 0)
		r = mb_cell_list(identity, "inter", &matrix, err);
	if (r < 0)
		return r;
	fprintf(to, "Trust domain %s: %s, %lld bits, pages of %u bytes\n",
		domain && *domain ? domain : "-", algorithm ? algorithm : "-",
		(long long)json_integer_value(json_object_get(identity, "bits")), page_bytes);
	mb_table_columns(&t, "<VM|<host|" MB_CELL_SELF_HEADS "|>inter|>MB");
	json_array_foreach(vms, i, vm)
	{
		mb_cell_text(&t, vm, "name");
		mb_cell_text(&t, vm, "host");
		mb_cell_self_sharing(&t, vm, page_bytes);
		mb_cell_pages(&t, vm, "inter", page_bytes);
	}
	mb_table_print(&t, to);
	if (json_array_size(vms) > MB_RENDER_MATRIX_MAX)
		render_top(vms, matrix, page_bytes, to);
	else if (json_array_size(vms) > 1)
		render_matrix(vms, matrix, to);
	fputc('\n', to);
	return 0;
}

static void render_hosts(const json_t *hosts, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *host;
	size_t i;

	mb_table_columns(&t, "<host|>pages|>MB|>distinct|>MB|>saving|>MB|>of it inter|>MB|<VMs");
	json_array_foreach(hosts, i, host)
	{
		mb_cell_text(&t, host, "name");
		mb_cell_pages(&t, host, "pages", 4096);
		mb_cell_pages(&t, host, "distinct_union", 4096);
		mb_cell_pages(&t, host, "saving_pages", 4096);
		mb_cell_pages(&t, host, "inter_saving_pages", 4096);
		mb_cell_names(&t, json_object_get(host, "vms"), NAMES_MAX);
	}
	fputs("Hosts, as the VMs are placed now:\n", to);
	mb_table_print(&t, to);
}

int mb_render_share(const json_t *root, FILE *to, struct mb_err *err)
{
	const json_t *identities, *hosts;
	int r = mb_cell_list(root, "identities", &identities, err);

	if (r == 0)
		r = mb_cell_list(root, "hosts", &hosts, err);
	for (size_t i = 0; r == 0 && i < json_array_size(identities); i++)
		r = render_identity(json_array_get(identities, i), to, err);
	if (r < 0)
		return r;
	if (!json_array_size(identities))
		fputs("No VM has sent a fingerprint yet.\n", to);
	if (json_array_size(hosts))
		render_hosts(hosts, to);
	return 0;
}
