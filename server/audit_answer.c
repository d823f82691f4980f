// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/audit_answer.h"

#include <math.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"

static json_t *ratio(double v)
{
	return isnan(v) ? json_null() : json_real(v);
}

json_t *mb_audit_json(const struct mb_audit *a, double recall, double recall_all,
		      double precision)
{
	json_t *classes;

	if (!a->audits)
		return json_null();
	classes = json_object();
	for (unsigned int i = 0; i < MB_CLASS_END; i++)
		if (a->follows >> i & 1 || a->changed[i])
			json_object_set_new(classes, mb_class_name(i),
					    json_pack("{s:b, s:I, s:I}", "followed",
						      (int)(a->follows >> i & 1), "changed",
						      (json_int_t)a->changed[i], "stale",
						      (json_int_t)a->stale[i]));
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:o}", "audits",
			 (json_int_t)a->audits, "doubted", (json_int_t)a->doubted, "recall",
			 ratio(recall), "recall_all", ratio(recall_all), "precision",
			 ratio(precision), "flagged", (json_int_t)a->flagged, "flagged_changed",
			 (json_int_t)a->flagged_changed, "classes", classes);
}

struct entry {
	const struct mb_vm *vm;
	const char *host;
	struct mb_last_audit last;
};

/* Nothing changed: nothing was missed. */
static double or_all(double v)
{
	return isnan(v) ? 1 : v;
}

static int compare(double a, double b)
{
	return (a > b) - (a < b);
}

/* What was missed where nothing should be; then doubts, then what nobody follows; unknown last. */
static int worst_first(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int r = (b->last.audit.audits > 0) - (a->last.audit.audits > 0);

	if (!r)
		r = compare(or_all(a->last.recall), or_all(b->last.recall));
	if (!r)
		r = compare(b->vm->totals.audit.doubted, a->vm->totals.audit.doubted);
	if (!r)
		r = compare(or_all(a->last.recall_all), or_all(b->last.recall_all));
	return r ? r : strcmp(a->vm->name, b->vm->name);
}

static json_t *entry_json(const struct entry *e)
{
	const struct mb_last_audit *l = &e->last;
	bool known = l->audit.audits;

	return json_pack(
		"{s:s, s:o, s:s, s:o, s:o, s:o, s:{s:I, s:I}}", "vm", e->vm->name, "host",
		e->host ? json_string(e->host) : json_null(), "tracker", e->vm->tracker,
		"at_unix_ms",
		known ? json_integer((json_int_t)(l->at_unix_ns / 1000000)) : json_null(), "epoch",
		known ? json_integer((json_int_t)l->epoch) : json_null(), "audit",
		mb_audit_json(&l->audit, l->recall, l->recall_all, l->precision), "since_start",
		"audits", (json_int_t)e->vm->totals.audit.audits, "doubted",
		(json_int_t)e->vm->totals.audit.doubted);
}

int mb_audit_answer(struct mb_store *s, const struct mb_vm *vms, const char *const *hosts,
		    uint32_t n, json_t **ret, struct mb_err *err)
{
	mb_autofree struct entry *entries = calloc((size_t)n + 1, sizeof(*entries));
	json_t *list = json_array();
	int r = 0;

	*ret = json_pack("{s:o}", "vms", list);
	if (!entries || !*ret)
		r = mb_fail_mem(err, "an answer");
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		entries[i].vm = &vms[i];
		entries[i].host = hosts[i];
		r = mb_store_last_audit(s, vms[i].name, &entries[i].last, err);
		/* Connected, but nothing is stored yet. */
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0)
		qsort(entries, n, sizeof(*entries), worst_first);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		if (json_array_append_new(list, entry_json(&entries[i])) < 0)
			r = mb_fail_mem(err, "an answer");
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}
