// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/churn/bench.h"
#include "proto/churn/put.h"

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* --- a row ------------------------------------------------------------------------------------ */

static json_t *sharable_json(const struct mb_churn_config *c, const struct mb_churn_row *row,
			     const struct mb_churn_sharable *s)
{
	json_t *durable = json_array();

	for (uint32_t w = 0; w < c->n_windows; w++)
		json_array_append_new(durable, w < row->windows_known ?
						       number(s->durable_pages[w]) :
						       json_null());
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "digests", (json_int_t)s->digests,
			 "pages", (json_int_t)s->pages, "before", (json_int_t)s->before, "kept",
			 (json_int_t)s->kept, "survivors", (json_int_t)s->survivors, "durable",
			 durable);
}

static json_t *classes_json(const struct mb_churn_row *row)
{
	json_t *ret = json_object();

	for (unsigned int i = 0; i < MB_CLASS_END; i++) {
		const struct mb_churn_class *c = &row->classes[i];

		if (c->pages || c->went)
			json_object_set_new(
				ret, mb_class_name(i),
				json_pack("{s:I, s:I, s:I, s:I}", "pages", (json_int_t)c->pages,
					  "changed", (json_int_t)c->changed, "came",
					  (json_int_t)c->came, "went", (json_int_t)c->went));
	}
	return ret;
}

static json_t *kinds_json(const uint64_t frames[MB_WHO_KINDS])
{
	json_t *kinds = json_object();

	for (unsigned int k = 0; k < MB_WHO_KINDS; k++)
		if (frames[k])
			json_object_set_new(kinds, mb_who_kind_name(k), number(frames[k]));
	return kinds;
}

static json_t *all_kinds_json(const struct mb_who *who)
{
	uint64_t sum[MB_WHO_KINDS];

	if (!who || !who->counted)
		return json_null();
	memcpy(sum, who->others, sizeof(sum));
	for (uint32_t i = 0; i < who->n; i++)
		for (int k = 0; k < MB_WHO_KINDS; k++)
			sum[k] += who->rows[i].frames[k];
	return kinds_json(sum);
}

json_t *mb_churn_row_json(const struct mb_churn_config *c, const struct mb_churn_row *row,
			  const struct mb_who *who)
{
	return json_pack(
		"{s:I, s:f, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, "
		"s:o}",
		"epoch", (json_int_t)row->epoch, "at_s", (double)row->at_ns / 1e9, "pages",
		(json_int_t)row->pages, "distinct", (json_int_t)row->distinct, "zero",
		(json_int_t)row->zero, "dirtied", (json_int_t)mb_churn_dirtied(row), "changed",
		c->by_frame ? number(mb_churn_changed(row)) : json_null(), "came",
		(json_int_t)mb_churn_came(row), "went", (json_int_t)mb_churn_went(row), "gained",
		(json_int_t)row->gained_pages, "lost", (json_int_t)row->lost_pages,
		"gained_digests", (json_int_t)row->gained_digests, "lost_digests",
		(json_int_t)row->lost_digests, "classes",
		c->by_frame ? classes_json(row) : json_null(), "self",
		sharable_json(c, row, &row->sharable[MB_CHURN_SELF]), "reference",
		c->reference ? sharable_json(c, row, &row->sharable[MB_CHURN_REFERENCE]) :
			       json_null(),
		"kinds", all_kinds_json(who));
}

/* --- a summary -------------------------------------------------------------------------------- */

static json_t *half_life_json(const struct mb_half_life *h)
{
	bool known = h->how == MB_HALF_LIFE_OBSERVED || h->how == MB_HALF_LIFE_FITTED;

	return json_pack("{s:s, s:o}", "how", mb_half_life_how_name(h->how), "s",
			 known ? mb_json_real(h->ns / 1e9) : json_null());
}

json_t *mb_churn_kind_json(const struct mb_churn_config *c, const struct mb_churn_kind_summary *k)
{
	json_t *durable = json_array();

	for (uint32_t w = 0; w < c->n_windows; w++)
		json_array_append_new(durable, json_pack("{s:f, s:o, s:o}", "window_s",
							 (double)c->windows_ns[w] / 1e9, "pages",
							 mb_json_real(k->durable_pages[w]),
							 "of_pages", mb_json_real(k->of_pages[w])));
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "digests", mb_json_real(k->digests), "pages",
			 mb_json_real(k->pages), "kept", mb_json_real(k->kept), "half_life",
			 half_life_json(&k->half_life), "durable", durable);
}

json_t *mb_churn_summary_json(const struct mb_churn_config *c, const struct mb_churn_summary *s)
{
	json_t *classes = json_object();

	for (unsigned int i = 0; c->by_frame && i < MB_CLASS_END; i++)
		if (s->classes[i].pages > 0 || s->classes[i].went > 0)
			json_object_set_new(classes, mb_class_name(i),
					    json_pack("{s:o, s:o, s:o, s:o}", "pages",
						      mb_json_real(s->classes[i].pages), "changed",
						      mb_json_real(s->classes[i].changed), "came",
						      mb_json_real(s->classes[i].came), "went",
						      mb_json_real(s->classes[i].went)));
	return json_pack(
		"{s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o}",
		"epochs", (json_int_t)s->epochs, "duration_s", (double)s->duration_ns / 1e9,
		"pages", mb_json_real(s->pages), "distinct", mb_json_real(s->distinct), "zero",
		mb_json_real(s->zero), "dirtied", mb_json_real(s->dirtied), "dirtied_per_s",
		mb_json_real(s->dirtied_per_s), "changed",
		c->by_frame ? mb_json_real(s->changed) : json_null(), "came", mb_json_real(s->came),
		"went", mb_json_real(s->went), "gained", mb_json_real(s->gained), "lost",
		mb_json_real(s->lost), "gained_digests", mb_json_real(s->gained_digests),
		"lost_digests", mb_json_real(s->lost_digests), "classes", classes, "self",
		mb_churn_kind_json(c, &s->kinds[MB_CHURN_SELF]), "reference",
		c->reference ? mb_churn_kind_json(c, &s->kinds[MB_CHURN_REFERENCE]) : json_null());
}

int mb_churn_measure(const json_t *summary, json_t *metrics)
{
	const json_t *self = json_object_get(summary, "self");
	const json_t *reference = json_object_get(summary, "reference");
	const struct {
		const char *name, *unit;
		double value;
	} all[] = {
		{ "dirtied", "pages/epoch", mb_json_number(summary, "dirtied") },
		{ "dirtied-rate", "pages/s", mb_json_number(summary, "dirtied_per_s") },
		{ "pages", "pages", mb_json_number(summary, "pages") },
		{ "distinct", "pages", mb_json_number(summary, "distinct") },
		{ "self-lost", "%/epoch", 100 * (1 - mb_json_number(self, "kept")) },
		{ "reference-lost", "%/epoch", 100 * (1 - mb_json_number(reference, "kept")) },
	};

	for (size_t i = 0; i < MB_ARRAY_LEN(all); i++)
		if (!isnan(all[i].value) &&
		    mb_bench_add(metrics, all[i].name, all[i].unit, all[i].value) < 0)
			return -ENOMEM;
	return 0;
}

/* --- who -------------------------------------------------------------------------------------- */

static int more_frames(const void *a, const void *b)
{
	const struct mb_who_row *const *x = a, *const *y = b;
	uint64_t fx = mb_who_frames((*x)->frames), fy = mb_who_frames((*y)->frames);
	int by_name = strcmp((*x)->process, (*y)->process);

	if (fx != fy)
		return fx < fy ? 1 : -1;
	return by_name ? by_name : strcmp((*x)->cgroup, (*y)->cgroup);
}

json_t *mb_churn_who_json(const struct mb_who *who)
{
	const struct mb_who_row *rows[MB_WHO_ROWS_MAX];
	json_t *by;

	if (!who->counted)
		return json_null();
	by = json_array();
	for (uint32_t i = 0; i < who->n; i++)
		rows[i] = &who->rows[i];
	qsort(rows, who->n, sizeof(*rows), more_frames);
	for (uint32_t i = 0; i < who->n; i++)
		json_array_append_new(by,
				      json_pack("{s:s, s:s, s:I, s:o}", "process", rows[i]->process,
						"cgroup", rows[i]->cgroup, "frames",
						(json_int_t)mb_who_frames(rows[i]->frames), "kinds",
						kinds_json(rows[i]->frames)));
	if (mb_who_frames(who->others))
		json_array_append_new(by,
				      json_pack("{s:n, s:n, s:I, s:o}", "process", "cgroup",
						"frames", (json_int_t)mb_who_frames(who->others),
						"kinds", kinds_json(who->others)));
	return json_pack("{s:o}", "by", by);
}

/* --- a run ------------------------------------------------------------------------------------ */

int mb_churn_log_init(struct mb_churn_log *l, const struct mb_churn_config *config,
		      struct mb_err *err)
{
	*l = (struct mb_churn_log){ .config = config, .epochs = json_array() };
	return l->epochs ? 0 : mb_fail_mem(err, "a report");
}

void mb_churn_log_deinit(struct mb_churn_log *l)
{
	json_decref(l->epochs);
	l->epochs = NULL;
}

int mb_churn_log_add(struct mb_churn_log *l, const struct mb_churn_row *row,
		     const struct mb_who *who, struct mb_err *err)
{
	mb_churn_sums_add(&l->sums, row);
	if (who && row->epoch)
		mb_who_add(&l->who, who);
	return json_array_append_new(
		       l->epochs, mb_churn_row_json(l->config, row, row->epoch ? who : NULL)) < 0 ?
		       mb_fail_mem(err, "a report") :
		       0;
}

json_t *mb_churn_log_take(struct mb_churn_log *l)
{
	struct mb_churn_summary summary;

	mb_churn_summarize(&l->sums, &summary);
	return json_pack("{s:o, s:o, s:o}", "epochs", mb_take_ptr(l->epochs), "summary",
			 mb_churn_summary_json(l->config, &summary), "who",
			 mb_churn_who_json(&l->who));
}
