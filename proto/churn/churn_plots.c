// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_plots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/churn/put.h"
#include "proto/churn/svg.h"

enum { NAME_MAX_BYTES = 40 };

/* The rows as columns, which all live until the run's plots are drawn. */
struct columns {
	const json_t *rows;
	size_t n;
	double *room; /* MB_SVG_SERIES_MAX + 1 columns */
	char names[MB_SVG_SERIES_MAX][NAME_MAX_BYTES];
	struct mb_buf *to;
};

static double *column(const struct columns *c, size_t i)
{
	return c->room + i * c->n;
}

static struct mb_svg_plot plot_of(const struct columns *c, const char *title, const char *unit)
{
	double *at_s = column(c, MB_SVG_SERIES_MAX);
	const json_t *row;
	size_t i;

	json_array_foreach(c->rows, i, row) at_s[i] = mb_json_number(row, "at_s");
	return (struct mb_svg_plot){ .title = title, .unit = unit, .at_s = at_s, .n = c->n };
}

/* A series more, whose column is the caller's to fill; NULL: there is no room. */
static double *add(struct columns *c, struct mb_svg_plot *p, const char *name)
{
	size_t i = p->n_series;

	if (i == MB_SVG_SERIES_MAX)
		return NULL;
	snprintf(c->names[i], sizeof(c->names[i]), "%s", name);
	p->series[i] = (struct mb_svg_series){ c->names[i], column(c, i) };
	p->n_series++;
	return column(c, i);
}

/* --- by class, by kind: many names, few of which matter --------------------------------------- */

struct named {
	const char *name;
	double sum;
};

static int by_sum(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->sum < y->sum ? 1 : x->sum > y->sum ? -1 : strcmp(x->name, y->name);
}

/* Of a member of a row's object `key`: a number, or what was changed and came of a class. */
static double amount(const json_t *v)
{
	if (json_is_number(v))
		return json_number_value(v);
	return mb_json_number(v, "changed") + mb_json_number(v, "came");
}

enum { NAMED_MAX = 32 };

static size_t take_names(const struct columns *c, const char *key, struct named *named)
{
	const json_t *row;
	size_t i, k, n = 0;
	const char *name;
	json_t *v;

	json_array_foreach(c->rows, i, row)
	{
		json_object_foreach(json_object_get(row, key), name, v)
		{
			double sum = amount(v);

			for (k = 0; k < n && strcmp(named[k].name, name) != 0;)
				k++;
			if (!(sum > 0) || (k == n && n == NAMED_MAX))
				continue;
			if (k == n)
				named[n++] = (struct named){ .name = name };
			named[k].sum += sum;
		}
	}
	qsort(named, n, sizeof(*named), by_sum);
	return n;
}

static void put_by_name(struct columns *c, const char *key, const char *title, const char *unit)
{
	struct mb_svg_plot p = plot_of(c, title, unit);
	struct named named[NAMED_MAX];
	size_t n = take_names(c, key, named);
	size_t shown = n > MB_SVG_SERIES_MAX ? MB_SVG_SERIES_MAX - 1 : n;

	p.stacked = true;
	for (size_t s = 0; s < shown + (n > shown); s++) {
		double *to = add(c, &p, s < shown ? named[s].name : "others");
		size_t last = s < shown ? s + 1 : n;

		for (size_t i = 0; i < c->n; i++) {
			const json_t *of = json_object_get(json_array_get(c->rows, i), key);

			to[i] = 0;
			for (size_t k = s; k < last; k++) {
				double v = amount(json_object_get(of, named[k].name));

				to[i] += v > 0 ? v : 0;
			}
		}
	}
	if (p.n_series)
		mb_svg_put(c->to, &p);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void fill(const struct columns *c, const char *kind, const char *key, double *to)
{
	for (size_t i = 0; i < c->n; i++) {
		const json_t *row = json_array_get(c->rows, i);

		to[i] = mb_json_number(kind ? json_object_get(row, kind) : row, key);
	}
}

/* Epoch 0 has nothing before it. */
static void put_lines(struct columns *c, const char *title, const char *unit,
		      const char *const *keys, size_t n_keys)
{
	struct mb_svg_plot p = plot_of(c, title, unit);

	for (size_t i = 0; i < n_keys; i++) {
		double *to = add(c, &p, keys[i]);

		fill(c, NULL, keys[i], to);
		to[0] = NAN;
		for (char *at = c->names[i]; *at; at++)
			*at = *at == '_' ? ' ' : *at;
	}
	mb_svg_put(c->to, &p);
}

static void put_sharable(struct columns *c, const char *kind, const char *title,
			 const json_t *windows_s)
{
	struct mb_svg_plot p = plot_of(c, title, "pages");
	char name[NAME_MAX_BYTES];
	const json_t *w;
	size_t i;

	if (!json_is_object(json_object_get(json_array_get(c->rows, 0), kind)))
		return;
	fill(c, kind, "pages", add(c, &p, "sharable"));
	json_array_foreach(windows_s, i, w)
	{
		double *to;
		bool known = false;

		snprintf(name, sizeof(name), "for %g s unchanged", json_number_value(w));
		to = add(c, &p, name);
		if (!to)
			break;
		for (size_t e = 0; e < c->n; e++) {
			const json_t *row = json_object_get(json_array_get(c->rows, e), kind);
			const json_t *v = json_array_get(json_object_get(row, "durable"), i);

			to[e] = json_is_number(v) ? json_number_value(v) : NAN;
			known |= json_is_number(v);
		}
		p.n_series -= !known;
	}
	mb_svg_put(c->to, &p);
}

static void put_survival(struct columns *c)
{
	static const char *const kinds[] = { "self", "reference" };
	struct mb_svg_plot p = plot_of(c, "What was sharable at first and still is", "%");

	p.top = 100;
	for (size_t k = 0; k < MB_ARRAY_LEN(kinds); k++) {
		const json_t *first = json_object_get(json_array_get(c->rows, 0), kinds[k]);
		double n = mb_json_number(first, "survivors");
		double *to;

		if (!(n > 0))
			continue;
		to = add(c, &p, k ? "with the reference" : "with itself");
		fill(c, kinds[k], "survivors", to);
		for (size_t i = 0; i < c->n; i++)
			to[i] = 100 * to[i] / n;
	}
	if (p.n_series)
		mb_svg_put(c->to, &p);
}

void mb_churn_plots(const json_t *run, const json_t *windows_s, struct mb_buf *to)
{
	static const char *const dirtied[] = { "dirtied" };
	static const char *const digests[] = { "gained_digests", "lost_digests" };
	const json_t *rows = json_object_get(run, "epochs");
	struct columns c = { .rows = rows, .n = json_array_size(rows), .to = to };
	mb_autofree double *room = NULL;

	if (c.n < 2)
		return;
	c.room = room = calloc(c.n, (MB_SVG_SERIES_MAX + 1) * sizeof(*room));
	if (!room) {
		to->failed = true;
		return;
	}
	if (json_is_object(json_object_get(json_array_get(rows, 1), "classes")))
		put_by_name(&c, "classes", "Dirtied, by class of page", "pages an epoch");
	else
		put_lines(&c, "Dirtied", "pages an epoch", dirtied, 1);
	put_by_name(&c, "kinds", "Dirtied frames, by what was done first", "frames an epoch");
	put_lines(&c, "Digests gained and lost", "digests an epoch", digests, 2);
	put_sharable(&c, "self", "Sharable with itself", windows_s);
	put_sharable(&c, "reference", "Sharable with the reference", windows_s);
	put_survival(&c);
}
