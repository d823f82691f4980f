// SPDX-License-Identifier: GPL-2.0-or-later
/* How far trackers can be trusted: the last audit of each VM, and their sums by tracker. */
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/ctl/cells_audit.h"

/* A server has a few trackers; one more than these is not summed up. */
enum { TRACKERS_MAX = 16, STALE_WIDTH = 20 };

static json_int_t integer(const json_t *o, const char *key)
{
	return MB_MAX(json_integer_value(json_object_get(o, key)), (json_int_t)0);
}

/* As large as it gets: figures are a server's word. */
static json_int_t add(json_int_t a, json_int_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}

struct tracker {
	const char *name;
	json_int_t vms, audited;
	json_int_t changed, stale; /* of classes that are followed */
	json_int_t changed_all, stale_all;
	json_int_t flagged, flagged_changed;
	json_int_t audits, doubted; /* since the server started */
	json_t *classes;	    /* as in an audit: the sums of "stale" */
};

struct trackers {
	struct tracker list[TRACKERS_MAX];
	size_t n;
};

static void trackers_deinit(struct trackers *t)
{
	for (size_t i = 0; i < t->n; i++)
		json_decref(t->list[i].classes);
}

static struct tracker *find(struct trackers *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->list[i].name, name) == 0)
			return &t->list[i];
	if (t->n == TRACKERS_MAX)
		return NULL;
	t->list[t->n] = (struct tracker){ .name = name, .classes = json_object() };
	return &t->list[t->n++];
}

static void add_audit(struct tracker *t, json_t *audit)
{
	const char *name;
	json_t *cls;

	t->audited++;
	t->flagged = add(t->flagged, integer(audit, "flagged"));
	t->flagged_changed = add(t->flagged_changed, integer(audit, "flagged_changed"));
	json_object_foreach(json_object_get(audit, "classes"), name, cls)
	{
		json_t *sum = json_object_get(t->classes, name);
		json_int_t changed = integer(cls, "changed"), stale = integer(cls, "stale");

		t->changed_all = add(t->changed_all, changed);
		t->stale_all = add(t->stale_all, stale);
		if (json_is_true(json_object_get(cls, "followed"))) {
			t->changed = add(t->changed, changed);
			t->stale = add(t->stale, stale);
		}
		stale = add(stale, integer(sum, "stale"));
		json_object_set_new(t->classes, name, json_pack("{s:I}", "stale", stale));
	}
}

static void add_vm(struct trackers *all, const json_t *vm)
{
	const char *name = json_string_value(json_object_get(vm, "tracker"));
	struct tracker *t = find(all, name && *name ? name : "-");
	json_t *audit = json_object_get(vm, "audit");
	const json_t *since = json_object_get(vm, "since_start");

	if (!t)
		return;
	t->vms++;
	t->audits = add(t->audits, integer(since, "audits"));
	t->doubted = add(t->doubted, integer(since, "doubted"));
	if (json_is_object(audit))
		add_audit(t, audit);
}

static json_t *share(json_int_t part, json_int_t of)
{
	return of > 0 && part <= of ? json_real((double)part / (double)of) : json_null();
}

static void put_doubts(struct mb_table *t, json_int_t doubted, json_int_t audits)
{
	if (audits > 0)
		mb_table_put(t, "%lld of %lld", (long long)doubted, (long long)audits);
	else
		mb_table_put(t, "-");
}

static void print_trackers(const struct trackers *all, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };

	mb_table_columns(&t, "<tracker|>VMs|>audited|>recall|>recall all|>precision|>stale|"
			     "<by class|>doubted");
	for (size_t i = 0; i < all->n; i++) {
		const struct tracker *k = &all->list[i];
		json_t *shares = json_pack("{s:o, s:o, s:o}", "recall",
					   share(k->changed - k->stale, k->changed), "recall_all",
					   share(k->changed_all - k->stale_all, k->changed_all),
					   "precision", share(k->flagged_changed, k->flagged));

		mb_table_put(&t, "%s", k->name);
		mb_table_put(&t, "%lld", (long long)k->vms);
		mb_table_put(&t, "%lld", (long long)k->audited);
		mb_cell_share(&t, shares, "recall");
		mb_cell_share(&t, shares, "recall_all");
		mb_cell_share(&t, shares, "precision");
		mb_cell_stale(&t, k->classes, STALE_WIDTH);
		put_doubts(&t, k->doubted, k->audits);
		json_decref(shares);
	}
	mb_table_print(&t, to);
}

static void put_vm(struct mb_table *t, const json_t *vm)
{
	json_t *audit = json_object_get(vm, "audit");
	const json_t *since = json_object_get(vm, "since_start");

	mb_cell_text(t, vm, "vm");
	mb_cell_text(t, vm, "host");
	mb_cell_text(t, vm, "tracker");
	mb_cell_share(t, audit, "recall");
	mb_cell_share(t, audit, "recall_all");
	mb_cell_share(t, audit, "precision");
	if (json_is_object(audit)) {
		mb_cell_stale(t, json_object_get(audit, "classes"), STALE_WIDTH);
	} else {
		mb_table_put(t, "-");
		mb_table_put(t, "-");
	}
	put_doubts(t, integer(since, "doubted"), integer(since, "audits"));
	mb_cell_number(t, vm, "epoch");
}

static void print_vms(const json_t *vms, FILE *to)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	size_t n = json_array_size(vms), i;
	const json_t *vm;

	mb_table_columns(&t, "<VM|<host|<tracker|>recall|>recall all|>precision|>stale|<by class|"
			     ">doubted|>epoch");
	json_array_foreach(vms, i, vm)
	{
		if (i == MB_RENDER_AUDITS_MAX)
			break;
		put_vm(&t, vm);
	}
	mb_table_print(&t, to);
	if (n > i)
		fprintf(to, "and %zu more VM%s: --json has all\n", n - i, n - i == 1 ? "" : "s");
}

int mb_render_audits(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(trackers_deinit) struct trackers all = { 0 };
	const json_t *vms, *vm;
	size_t i;
	int r = mb_cell_list(root, "vms", &vms, err);

	if (r < 0)
		return r;
	if (!json_array_size(vms)) {
		fputs("No VM is known\n", to);
		return 0;
	}
	json_array_foreach(vms, i, vm) add_vm(&all, vm);
	fputs("Trackers, all their VMs' last audits together:\n", to);
	print_trackers(&all, to);
	fputs("\nThe last audit of each VM, the worst first:\n", to);
	print_vms(vms, to);
	mb_cell_audit_legend(to, false);
	fputs("doubted: since the server started, after how many audits the tracker said itself "
	      "that it may\n"
	      "have missed some; then a full walk was made and nothing stale was relied on\n",
	      to);
	return 0;
}
