// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/churn/churn_report.h"
#include "proto/churn/put.h"

enum { WHO_MAX = 10 };

static const char *text_of(const json_t *o, const char *key, const char *none)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text && *text ? text : none;
}

/* Names that others chose: a terminal must not obey them. */
static void put_name(struct mb_buf *to, const char *name)
{
	for (; *name; name++)
		mb_put(to, "%c", (unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
}

static void put_seconds(struct mb_buf *to, double s)
{
	if (isnan(s))
		mb_put(to, "-");
	else if (s < 120)
		mb_put(to, "%.3g s", s);
	else if (s < 7200)
		mb_put(to, "%.1f min", s / 60);
	else
		mb_put(to, "%.1f h", s / 3600);
}

static void put_half_life(struct mb_buf *to, const json_t *h, double duration_s)
{
	const char *how = text_of(h, "how", "unknown");

	if (strcmp(how, "no loss") == 0) {
		mb_put(to, "nothing of it was lost in ");
		put_seconds(to, duration_s);
	} else if (strcmp(how, "unknown") == 0) {
		mb_put(to, "not known");
	} else {
		put_seconds(to, mb_json_number(h, "s"));
		if (strcmp(how, "fitted") == 0)
			mb_put(to, ", extrapolated");
	}
}

static void put_percent(struct mb_buf *to, double share)
{
	if (isnan(share))
		mb_put(to, "-");
	else
		mb_put(to, "%.1f %%", 100 * share);
}

static void put_kind(struct mb_buf *to, const json_t *summary, const char *key, const char *with)
{
	const json_t *kind = json_object_get(summary, key), *d;
	size_t i;

	if (!json_is_object(kind))
		return;
	mb_put(to, "  sharable with %s: ", with);
	mb_put_number(to, kind, "pages", 0, "-");
	mb_put(to, " pages of ");
	mb_put_number(to, kind, "digests", 0, "-");
	mb_put(to, " digests\n    still so an epoch later: ");
	put_percent(to, mb_json_number(kind, "kept"));
	mb_put(to, "; half-life: ");
	put_half_life(to, json_object_get(kind, "half_life"),
		      mb_json_number(summary, "duration_s"));
	mb_put(to, "\n");
	json_array_foreach(json_object_get(kind, "durable"), i, d)
	{
		double pages = mb_json_number(d, "pages"), of = mb_json_number(d, "of_pages");

		mb_put(to, "    unchanged for ");
		put_seconds(to, mb_json_number(d, "window_s"));
		if (isnan(pages)) {
			mb_put(to, ": not known, it was not measured for so long\n");
			continue;
		}
		mb_put(to, ": %.0f pages, ", pages);
		put_percent(to, of > 0 ? pages / of : NAN);
		mb_put(to, " of those sharable then\n");
	}
}

static void put_classes(struct mb_buf *to, const json_t *summary)
{
	json_t *cls;
	const char *name;
	bool any = false;

	json_object_foreach(json_object_get(summary, "classes"), name, cls)
	{
		double changed = mb_json_number(cls, "changed");
		double came = mb_json_number(cls, "came"), went = mb_json_number(cls, "went");

		if (!any)
			mb_put(to, "  %-12s %12s %12s %12s %12s\n", "class", "pages", "changed",
			       "came", "went");
		any = true;
		mb_put(to, "  %-12.30s %12.0f", name, mb_json_number(cls, "pages"));
		if (isnan(changed))
			mb_put(to, " %12s %12s %12s\n", "-", "-", "-");
		else
			mb_put(to, " %12.1f %12.1f %12.1f\n", changed, came, went);
	}
}

static void put_who(struct mb_buf *to, const json_t *run)
{
	json_t *by = json_object_get(json_object_get(run, "who"), "by"), *w, *frames;
	const char *kind, *before;
	size_t i;

	if (!json_array_size(by))
		return;
	mb_put(to, "  who dirtied frames, and by what first:\n");
	json_array_foreach(by, i, w)
	{
		if (i == WHO_MAX) {
			mb_put(to, "    and %zu more (all are in the other reports)\n",
			       json_array_size(by) - i);
			break;
		}
		mb_put(to, "    %10lld  ",
		       (long long)json_integer_value(json_object_get(w, "frames")));
		put_name(to, text_of(w, "process", "(others)"));
		mb_put(to, "  ");
		put_name(to, text_of(w, "cgroup", ""));
		before = ": ";
		json_object_foreach(json_object_get(w, "kinds"), kind, frames)
		{
			mb_put(to, "%s%lld %s", before, (long long)json_integer_value(frames),
			       kind);
			before = ", ";
		}
		mb_put(to, "\n");
	}
}

static void put_run(struct mb_buf *to, const json_t *run, size_t i, size_t n, bool of_server)
{
	const json_t *summary = json_object_get(run, "summary");

	if (n > 1)
		mb_put(to, "Run %zu of %zu\n", i + 1, n);
	else if (of_server)
		mb_put(to, "By contents, the last epochs\n");
	mb_put(to, "  %lld epochs in ",
	       (long long)json_integer_value(json_object_get(summary, "epochs")));
	put_seconds(to, mb_json_number(summary, "duration_s"));
	if (json_is_integer(json_object_get(run, "exit_code")))
		mb_put(to, "; exit code %lld",
		       (long long)json_integer_value(json_object_get(run, "exit_code")));
	mb_put(to, "\n  pages: ");
	mb_put_number(to, summary, "pages", 0, "-");
	mb_put(to, ", distinct ");
	mb_put_number(to, summary, "distinct", 0, "-");
	mb_put(to, ", zero ");
	mb_put_number(to, summary, "zero", 0, "-");
	mb_put(to, "\n  dirtied: ");
	mb_put_number(to, summary, "dirtied", 1, "-");
	mb_put(to, " pages an epoch");
	if (!isnan(mb_json_number(summary, "dirtied_per_s")))
		mb_put(to, ", %.1f a second", mb_json_number(summary, "dirtied_per_s"));
	mb_put(to, "\n  digests an epoch: gained ");
	mb_put_number(to, summary, "gained_digests", 1, "-");
	mb_put(to, ", lost ");
	mb_put_number(to, summary, "lost_digests", 1, "-");
	mb_put(to, "\n");
	put_kind(to, summary, "self", "itself");
	put_kind(to, summary, "reference", "the reference");
	put_classes(to, summary);
	put_who(to, run);
}

static void put_column(struct mb_buf *to, const json_t *o, const char *key, int digits)
{
	double v = mb_json_number(o, key);

	if (isnan(v))
		mb_put(to, " %10s", "-");
	else
		mb_put(to, " %10.*f", digits, v);
}

/* What a server has kept of each VM. */
static void put_history(struct mb_buf *to, const json_t *history)
{
	const json_t *h;
	size_t i;

	if (!json_is_array(history))
		return;
	mb_put(to, "  %-20s %8s %8s %10s %10s %10s %10s %10s %10s\n", "VM", "epochs", "minutes",
	       "pages", "changed", "a second", "inter", "at first", "least");
	json_array_foreach(history, i, h)
	{
		const json_t *inter = json_object_get(h, "inter");
		size_t before = to->len;

		mb_put(to, "  ");
		put_name(to, text_of(h, "vm", "-"));
		mb_put(to, "%*s", (int)(before + 22 > to->len ? before + 22 - to->len : 1), "");
		mb_put(to, " %8.0f %8.1f", mb_json_number(h, "epochs"),
		       mb_json_number(h, "duration_s") / 60);
		put_column(to, h, "pages", 0);
		put_column(to, h, "changed", 1);
		put_column(to, h, "changed_per_s", 1);
		put_column(to, inter, "last", 0);
		put_column(to, inter, "first", 0);
		put_column(to, inter, "least", 0);
		mb_put(to, "\n");
	}
	mb_put(to, "  changed: pages an epoch; inter: digests that other VMs have, too: the last "
		   "time the matrix was\n  computed, the first time, and the least\n");
}

/* Of a server's VMs together; null: none of them has epochs enough. */
static void put_contents(struct mb_buf *to, const json_t *contents)
{
	if (!json_is_object(contents))
		return;
	mb_put(to, "Contents of ");
	mb_put_number(to, contents, "vms", 0, "-");
	mb_put(to, " of ");
	mb_put_number(to, contents, "of_vms", 0, "-");
	mb_put(to, " VMs, their last epochs together\n");
	put_kind(to, contents, "self", "themselves");
	put_kind(to, contents, "reference", "others of these VMs");
}

static void put_metrics(struct mb_buf *to, const json_t *root)
{
	json_t *m;
	const char *name;

	mb_put(to, "Mean of all runs, 95 %% confidence\n");
	json_object_foreach(json_object_get(root, "metrics"), name, m)
	{
		double low = mb_json_number(m, "low"), high = mb_json_number(m, "high");

		mb_put(to, "  %-16s %14.2f", name, mb_json_number(m, "mean"));
		if (!isnan(low))
			mb_put(to, " ± %-12.2f", high - mb_json_number(m, "mean"));
		mb_put(to, " %s\n", text_of(m, "unit", ""));
	}
}

static void put_gate(struct mb_buf *to, const json_t *gate)
{
	const json_t *c;
	size_t i;

	if (!json_is_object(gate))
		return;
	mb_put(to, "Held against the baseline\n");
	json_array_foreach(json_object_get(gate, "checks"), i, c) mb_put(
		to, "  %s %s\n", json_is_true(json_object_get(c, "failed")) ? "WORSE  " : "ok     ",
		text_of(c, "text", ""));
}

void mb_churn_text(const json_t *root, struct mb_buf *to)
{
	const json_t *runs = json_object_get(root, "runs"), *run;
	size_t i;

	mb_put(to, "Churn of ");
	put_name(to, text_of(root, "name", "-"));
	mb_put(to, " (");
	put_name(to, text_of(root, "source", "-"));
	mb_put(to, "; pages followed by %s; tracker ", text_of(root, "by", "-"));
	put_name(to, text_of(root, "tracker", "-"));
	mb_put(to, ")\n");
	put_history(to, json_object_get(root, "history"));
	put_contents(to, json_object_get(root, "contents"));
	json_array_foreach(runs, i, run) put_run(to, run, i, json_array_size(runs),
						 json_is_array(json_object_get(root, "history")));
	if (json_array_size(runs) > 1)
		put_metrics(to, root);
	put_gate(to, json_object_get(root, "gate"));
}
