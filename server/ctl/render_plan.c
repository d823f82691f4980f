// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/ctl/cells.h"

enum { NAMES_MAX = 22, PAGE_BYTES = 4096 };

static long long integer(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

/* "" where it is exact. */
static void put_error_mb(const json_t *o, const char *key, char ret[32])
{
	const json_t *pages = json_object_get(o, key);

	if (json_is_integer(pages))
		snprintf(ret, 32, " +-%.1f",
			 mb_cell_error_mb_of(json_integer_value(pages), PAGE_BYTES));
}

static void render_inter(const json_t *root, FILE *to)
{
	const json_t *saving = json_object_get(root, "saving");
	const json_t *before = json_object_get(saving, "inter_before_pages");
	const json_t *after = json_object_get(saving, "inter_after_pages");
	char before_error[32] = "", after_error[32] = "";

	put_error_mb(saving, "before_error_pages", before_error);
	put_error_mb(saving, "after_error_pages", after_error);
	if (json_is_integer(before) && json_is_integer(after))
		fprintf(to, "inter-VM sharing: %.1f%s MB -> %.1f%s MB\n",
			mb_cell_mb_of(json_integer_value(before), PAGE_BYTES), before_error,
			mb_cell_mb_of(json_integer_value(after), PAGE_BYTES), after_error);
	else
		fputs("inter-VM sharing: -\n", to);
}

/* "" where it is exact. */
static void put_error(const json_t *o, const char *key, char ret[32])
{
	if (json_is_integer(json_object_get(o, key)))
		snprintf(ret, 32, " +-%lld", integer(o, key));
}

static void render_totals(const json_t *root, FILE *to)
{
	long long saved = integer(root, "saved_mb");
	char before[32] = "", after[32] = "", change[32] = "";

	put_error(root, "before_error_mb", before);
	put_error(root, "after_error_mb", after);
	put_error(root, "saved_error_mb", change);
	fprintf(to, "memory used: %lld%s MB -> %lld%s MB, %lld%s MB %s\n",
		integer(root, "before_mb"), before, integer(root, "after_mb"), after, llabs(saved),
		change, saved < 0 ? "more" : "saved");
}

/* What was asked for, if it was not to save memory. */
static void render_question(const json_t *root, FILE *to)
{
	const char *drained = json_string_value(json_object_get(root, "drained"));
	const json_t *emptied = json_object_get(root, "emptied");
	const json_t *spots = json_object_get(root, "hotspots"), *spot, *name;
	size_t i;

	if (drained)
		fprintf(to, "Host %s is drained\n", drained);
	if (json_is_array(emptied)) {
		fputs(json_array_size(emptied) ? "Hosts that can be switched off:" :
						 "No host can be emptied",
		      to);
		json_array_foreach(emptied, i, name)
			fprintf(to, "%s %s", i ? "," : "", json_string_value(name));
		fputc('\n', to);
	}
	if (json_is_array(spots) && !json_array_size(spots))
		fputs("No host is a hotspot\n", to);
	json_array_foreach(spots, i, spot)
	{
		const char *host = json_string_value(json_object_get(spot, "host"));
		const char *reason = json_string_value(json_object_get(spot, "reason"));
		const char *woken = json_string_value(json_object_get(spot, "woken"));

		fprintf(to, "Hotspot %s: %s; %s%s%s\n", host ? host : "-", reason ? reason : "-",
			json_is_true(json_object_get(spot, "relieved")) ? "relieved" :
									  "not relieved",
			woken ? " by switching on " : "", woken ? woken : "");
	}
}

/* First placements copy nothing, and servers of before did not tell. */
static void render_cost(const json_t *root, FILE *to)
{
	if (integer(root, "copy_mb"))
		fprintf(to, "to copy: %lld MB, about %lld s\n", integer(root, "copy_mb"),
			integer(root, "time_s"));
}

static void render_unknown_sharing(const json_t *root, FILE *to)
{
	long long n = integer(root, "vms_of_unknown_sharing");

	if (n)
		fprintf(to,
			"\nNote: %lld VM%s sent as Bloom filters, which say nothing of more than "
			"two "
			"VMs; the plan takes %s as sharing nothing.\n",
			n, n == 1 ? " is" : "s are", n == 1 ? "it" : "them");
}

static void render_notes(const json_t *root, FILE *to)
{
	const char *note = json_string_value(json_object_get(root, "note"));

	if (note && *note)
		fprintf(to, "\nNote: %s\n", note);
	if (integer(root, "vms_on_unknown_hosts"))
		fprintf(to,
			"\nNote: %lld VMs run on hosts that the server's fleet file does not name; "
			"the plan takes them as running nowhere.\n",
			integer(root, "vms_on_unknown_hosts"));
	render_unknown_sharing(root, to);
}

static void render_hosts(const json_t *hosts, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *host;
	size_t i;

	mb_table_columns(&t,
			 "<host|>memory MB|>before MB|>after MB|>full MB|<VMs before|<VMs after");
	json_array_foreach(hosts, i, host)
	{
		mb_cell_text(&t, host, "name");
		mb_cell_number(&t, host, "memory_mb");
		mb_cell_number_error(&t, host, "before_mb", "before_error_mb");
		mb_cell_number_error(&t, host, "after_mb", "after_error_mb");
		mb_cell_number(&t, host, "full_after_mb");
		mb_cell_names(&t, json_object_get(host, "vms_before"), NAMES_MAX);
		mb_cell_names(&t, json_object_get(host, "vms_after"), NAMES_MAX);
	}
	fputc('\n', to);
	mb_table_print(&t, to);
	fputs("full: the VMs after at full, unshared size, for which a host needs room\n", to);
}

static void render_moves(const json_t *moves, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	size_t n = json_array_size(moves), stuck = 0;

	if (!n) {
		fputs("\nNo moves: every VM stays where it is.\n", to);
		return;
	}
	mb_table_columns(&t, ">move|<VM|<from|<to|>full MB|>gain MB|<");
	for (size_t i = 0; i < n; i++) {
		const json_t *m = json_array_get(moves, i);
		bool feasible = !json_is_false(json_object_get(m, "feasible"));

		stuck += !feasible;
		mb_table_put(&t, "%zu", i + 1);
		mb_cell_text(&t, m, "vm");
		mb_cell_text(&t, m, "from");
		mb_cell_text(&t, m, "to");
		mb_cell_number(&t, m, "memory_mb");
		mb_cell_mb_error(&t, m, "gain_pages", "gain_error_pages", PAGE_BYTES);
		mb_table_put(&t, "%s%s%s", feasible ? "" : "no room, or a rule forbids it",
			     !feasible && json_is_true(json_object_get(m, "detour")) ? ", " : "",
			     json_is_true(json_object_get(m, "detour")) ? "detour, to make room" :
									  "");
	}
	fputs("\nMoves, in this order:\n", to);
	mb_table_print(&t, to);
	if (stuck)
		fprintf(to, "%zu of %zu moves are not feasible.\n", stuck, n);
}

int mb_render_plan(const json_t *root, FILE *to, struct mb_err *err)
{
	const char *planner = json_string_value(json_object_get(root, "planner"));
	const json_t *hosts, *moves;
	int r = mb_cell_list(root, "hosts", &hosts, err);

	if (r == 0)
		r = mb_cell_list(root, "moves", &moves, err);
	if (r < 0)
		return r;
	fprintf(to, "Plan by planner %s%s (nothing has been moved)\n\n", planner ? planner : "-",
		json_is_true(json_object_get(root, "strict")) ? ", strict" : "");
	mb_cell_estimate(to, root);
	render_question(root, to);
	render_totals(root, to);
	render_inter(root, to);
	render_cost(root, to);
	render_notes(root, to);
	render_hosts(hosts, to);
	render_moves(moves, to);
	mb_render_execution(root, to);
	return 0;
}
