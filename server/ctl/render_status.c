// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

enum { NAMES_MAX = 80 };

static void render_server(const json_t *server, FILE *to)
{
	const char *version = json_string_value(json_object_get(server, "version"));
	const char *db = json_string_value(json_object_get(server, "db"));
	long long up = (long long)json_integer_value(json_object_get(server, "uptime_s"));

	fprintf(to, "mbserver %s, up %lldd %02lldh %02lldm %02llds, store %s, generation %lld\n",
		version ? version : "-", up / 86400, up / 3600 % 24, up / 60 % 60, up % 60,
		db ? db : "-",
		(long long)json_integer_value(json_object_get(server, "generation")));
}

/* Servers of before did not tell. */
static void render_memory(const json_t *m, FILE *to)
{
	const json_t *budget = json_object_get(m, "budget_mb");
	const json_t *one_in = json_object_get(m, "sample_one_in");

	if (!json_is_object(m))
		return;
	fprintf(to, "memory for fingerprints: %.1f MB",
		(double)json_integer_value(json_object_get(m, "held_bytes")) / (1 << 20));
	if (json_is_integer(budget))
		fprintf(to, " of %lld MB", (long long)json_integer_value(budget));
	if (json_is_integer(one_in))
		fprintf(to, ", %lld VMs paged out (samples of 1 in %lld)",
			(long long)json_integer_value(json_object_get(m, "paged_out")),
			(long long)json_integer_value(one_in));
	fputc('\n', to);
}

static void render_hosts(const json_t *hosts, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *host;
	size_t i;

	mb_table_columns(&t, "<host|>memory MB|<VMs");
	json_array_foreach(hosts, i, host)
	{
		mb_cell_text(&t, host, "name");
		mb_cell_number(&t, host, "memory_mb");
		mb_cell_names(&t, json_object_get(host, "vms"), NAMES_MAX);
	}
	fputc('\n', to);
	mb_table_print(&t, to);
}

static bool one_identity(const json_t *vms)
{
	static const char *const keys[] = { "domain", "algorithm", "bits" };
	const json_t *first = json_array_get(vms, 0), *vm;
	size_t i;

	json_array_foreach(vms, i, vm)
	{
		for (size_t k = 0; k < MB_ARRAY_LEN(keys); k++) {
			const json_t *v = json_object_get(vm, keys[k]);

			if (!v || !json_equal(v, json_object_get(first, keys[k])))
				return false;
		}
	}
	return true;
}

static bool any_paged_out(const json_t *vms)
{
	const json_t *vm;
	size_t i;

	json_array_foreach(vms, i,
			   vm) if (json_is_true(json_object_get(vm, "paged_out"))) return true;
	return false;
}

/* Two tables: what a VM holds, and how that came here. One would be too wide to read. */
static void render_vms(const json_t *vms, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table holds = { 0 };
	mb_cleanup(mb_table_deinit) struct mb_table comes = { 0 };
	bool one = one_identity(vms), paged = any_paged_out(vms);
	const json_t *vm;
	size_t i;

	mb_table_columns(&holds, "<VM|<host|>full MB");
	mb_cell_sharing_heads(&holds, false);
	mb_table_columns(&comes, "<VM|<online|>epoch|<taken|>wire bytes|<tracker");
	mb_table_columns(&comes, paged ? "<paged out" : "");
	mb_table_columns(&comes, one ? "" : "<domain|<hash|>bits");
	mb_table_columns(&comes, "<source");
	json_array_foreach(vms, i, vm)
	{
		mb_cell_text(&holds, vm, "name");
		mb_cell_text(&holds, vm, "host");
		mb_cell_number(&holds, vm, "memory_mb");
		mb_cell_sharing(&holds, vm, mb_cell_page_bytes(vm), false);
		mb_cell_text(&comes, vm, "name");
		mb_cell_bool(&comes, vm, "online");
		mb_cell_number(&comes, vm, "epoch");
		mb_cell_time(&comes, vm, "taken_unix_ms", false);
		mb_cell_number(&comes, vm, "last_wire_bytes");
		mb_cell_text(&comes, vm, "tracker");
		if (paged)
			mb_cell_bool(&comes, vm, "paged_out");
		if (!one) {
			mb_cell_text(&comes, vm, "domain");
			mb_cell_text(&comes, vm, "algorithm");
			mb_cell_number(&comes, vm, "bits");
		}
		mb_cell_text(&comes, vm, "source");
	}
	fputc('\n', to);
	mb_table_print(&holds, to);
	mb_cell_sharing_legend(to, false);
	fputc('\n', to);
	mb_table_print(&comes, to);
	if (one) {
		mb_cell_identity(to, json_array_get(vms, 0));
		fputs(" in all VMs\n", to);
	}
}

int mb_render_status(const json_t *root, FILE *to, struct mb_err *err)
{
	const json_t *hosts, *vms;
	int r = mb_cell_list(root, "hosts", &hosts, err);

	if (r == 0)
		r = mb_cell_list(root, "vms", &vms, err);
	if (r < 0)
		return r;
	render_server(json_object_get(root, "server"), to);
	render_memory(json_object_get(json_object_get(root, "server"), "memory"), to);
	mb_render_rotations(root, to);
	if (json_array_size(hosts))
		render_hosts(hosts, to);
	if (json_array_size(vms))
		render_vms(vms, to);
	else
		fputs("\nNo VM is known yet.\n", to);
	return 0;
}
