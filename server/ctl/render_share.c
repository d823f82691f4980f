// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

enum {
	NAMES_MAX = 32,
	NAMED_MAX = 8, /* VMs, as heads of a matrix */
	MB_DIGITS = 6, /* "1234.5" */
	PAGE_BYTES = 4096,
};

static const char *name_of(const json_t *vms, size_t i)
{
	const char *name = json_string_value(json_object_get(json_array_get(vms, i), "name"));

	return name ? name : "-";
}

static int64_t value_at(const json_t *matrix, size_t i, size_t j)
{
	return json_integer_value(json_array_get(json_array_get(matrix, i), j));
}

/* How far a figure of the matrix may be off; NULL: it is exact. */
static const json_t *error_at(const json_t *errors, size_t i, size_t j)
{
	return json_array_get(json_array_get(errors, i), j);
}

static void put_value(struct mb_table *t, const json_t *matrix, const json_t *errors, size_t i,
		      size_t j, uint32_t page_bytes)
{
	json_t *o = json_pack("{s:I, s:O*}", "inter", (json_int_t)value_at(matrix, i, j), "error",
			      error_at(errors, i, j));

	mb_cell_mb_error(t, o, "inter", "error", page_bytes);
	json_decref(o);
}

/* Few and short names are heads themselves. */
static bool names_fit(const json_t *vms)
{
	size_t n = json_array_size(vms), first = 0, width = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(name_of(vms, i));

		first = MB_MAX(first, len);
		width += 2 + MB_MAX(len, (size_t)MB_DIGITS);
	}
	return n <= NAMED_MAX && first + width <= MB_RENDER_WIDTH;
}

static void render_matrix(const json_t *vms, const json_t *matrix, const json_t *errors,
			  uint32_t page_bytes, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	size_t n = json_array_size(vms);
	bool named = names_fit(vms);

	mb_table_columns(&t, named ? "<" : ">|<");
	for (size_t j = 0; j < n; j++) {
		char number[24];

		snprintf(number, sizeof(number), "%zu", j + 1);
		mb_table_column(&t, true, named ? name_of(vms, j) : number);
	}
	for (size_t i = 0; i < n; i++) {
		if (!named)
			mb_table_put(&t, "%zu", i + 1);
		mb_table_put(&t, "%s", name_of(vms, i));
		for (size_t j = 0; j < n; j++) {
			if (i == j)
				mb_table_put(&t, ".");
			else
				put_value(&t, matrix, errors, i, j, page_bytes);
		}
	}
	fputs("\nInter-VM sharing of each two, MB:\n", to);
	mb_table_print(&t, to);
}

static void render_top(const json_t *vms, const json_t *matrix, const json_t *errors,
		       uint32_t page_bytes, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	struct mb_pairs_top top = { 0 };
	size_t n = json_array_size(vms);

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			mb_pairs_top_offer(&top, value_at(matrix, i, j), i, j);
	mb_table_columns(&t, "<VM|<VM|>inter MB");
	for (size_t i = 0; i < top.n; i++) {
		mb_table_put(&t, "%s", name_of(vms, top.items[i].a));
		mb_table_put(&t, "%s", name_of(vms, top.items[i].b));
		put_value(&t, matrix, errors, top.items[i].a, top.items[i].b, page_bytes);
	}
	fprintf(to, "\nInter-VM sharing, the %zu strongest pairs of %zu VMs (--json has all):\n",
		top.n, n);
	mb_table_print(&t, to);
}

static void render_filters(const json_t *vms, FILE *to)
{
	const json_t *vm;
	size_t i, filters = 0;

	json_array_foreach(vms, i, vm)
	{
		filters += json_integer_value(json_object_get(vm, "cut_bits")) != 0;
	}
	if (filters)
		fprintf(to,
			"%zu VM%s sent as Bloom filters: inter any is there what the closest other "
			"one has, too\n",
			filters, filters == 1 ? " is" : "s are");
}

/* Two sets of one domain are told apart by their keys; else those are nobody's concern. */
static void render_key(const json_t *root, const json_t *identity, FILE *to)
{
	const char *domain = json_string_value(json_object_get(identity, "domain"));
	const char *key = json_string_value(json_object_get(identity, "key"));
	const json_t *rotation = mb_render_rotation_of(root, domain);
	const char *new = json_string_value(json_object_get(rotation, "to"));

	if (rotation && key && new)
		fprintf(to, ", %s key %s", strcmp(key, new) == 0 ? "new" : "old", key);
}

static int render_identity(const json_t *root, const json_t *identity, FILE *to, struct mb_err *err)
{
	uint32_t page_bytes = mb_cell_page_bytes(identity);
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *errors = json_object_get(identity, "inter_error");
	const json_t *vms, *matrix, *vm;
	size_t i;
	int r = mb_cell_list(identity, "vms", &vms, err);

	if (r == 0)
		r = mb_cell_list(identity, "inter", &matrix, err);
	if (r < 0)
		return r;
	mb_cell_identity(to, identity);
	render_key(root, identity, to);
	fprintf(to, ", pages of %u bytes\n", page_bytes);
	mb_table_columns(&t, "<VM|<host");
	mb_cell_sharing_heads(&t, true);
	json_array_foreach(vms, i, vm)
	{
		mb_cell_text(&t, vm, "name");
		mb_cell_text(&t, vm, "host");
		mb_cell_sharing(&t, vm, page_bytes, true);
	}
	mb_table_print(&t, to);
	mb_cell_sharing_legend(to, true);
	if (json_array_size(vms) > MB_RENDER_MATRIX_MAX)
		render_top(vms, matrix, errors, page_bytes, to);
	else if (json_array_size(vms) > 1)
		render_matrix(vms, matrix, errors, page_bytes, to);
	render_filters(vms, to);
	fputc('\n', to);
	return 0;
}

static void render_hosts(const json_t *hosts, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *host;
	size_t i;

	mb_table_columns(&t, "<host|>pages|>MB|>saving MB|>of it inter MB|>distinct MB|<VMs");
	json_array_foreach(hosts, i, host)
	{
		mb_cell_text(&t, host, "name");
		mb_cell_number(&t, host, "pages");
		mb_cell_mb(&t, host, "pages", PAGE_BYTES);
		mb_cell_mb_error(&t, host, "saving_pages", "error_pages", PAGE_BYTES);
		mb_cell_mb_error(&t, host, "inter_saving_pages", "error_pages", PAGE_BYTES);
		mb_cell_mb_error(&t, host, "distinct_union", "error_pages", PAGE_BYTES);
		mb_cell_names(&t, json_object_get(host, "vms"), NAMES_MAX);
	}
	fputs("Hosts, as the VMs are placed now:\n", to);
	mb_table_print(&t, to);
	fputs("saving: zero, self and inter of its VMs; of it inter: because they share this "
	      "host\n",
	      to);
}

int mb_render_share(const json_t *root, FILE *to, struct mb_err *err)
{
	const json_t *identities, *hosts;
	int r = mb_cell_list(root, "identities", &identities, err);

	if (r == 0)
		r = mb_cell_list(root, "hosts", &hosts, err);
	if (r < 0)
		return r;
	if (json_array_size(json_object_get(root, "rotations"))) {
		mb_render_rotations(root, to);
		fputs("VMs of differing keys are not compared.\n\n", to);
	}
	mb_cell_estimate(to, root);
	for (size_t i = 0; r == 0 && i < json_array_size(identities); i++)
		r = render_identity(root, json_array_get(identities, i), to, err);
	if (r < 0)
		return r;
	if (!json_array_size(identities))
		fputs("No VM has sent a fingerprint yet.\n", to);
	if (json_array_size(hosts))
		render_hosts(hosts, to);
	return 0;
}
