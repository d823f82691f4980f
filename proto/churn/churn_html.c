// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/churn/churn_plots.h"
#include "proto/churn/churn_report.h"
#include "proto/churn/put.h"

/* Colours that people who see few of them can tell apart (Okabe and Ito), made lighter on dark. */
static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--grid:#e4e7eb;"
	"--card:#f6f8fa;--shade:#0003;--bad:#b3261e;--good:#1a7f37;--s0:#0072b2;--s1:#d55e00;--s2:#"
	"009e73;"
	"--s3:#b5558a;--s4:#b8860b;--s5:#3d9bd1;--s6:#6b6ecf;--s7:#7f7f7f}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#0e1116;--fg:#e6e9ee;--dim:#9aa4b0;"
	"--grid:#2a3038;--card:#171b22;--shade:#fff3;--bad:#ff8a80;--good:#57c26f;--s0:#4ea8de;--"
	"s1:#ff8c42;"
	"--s2:#2ec4a0;--s3:#e08bbd;--s4:#e3b341;--s5:#8fd0f5;--s6:#a5a7f0;--s7:#a8a8a8}}\n"
	"*{box-sizing:border-box}body{margin:0 auto;max-width:1240px;padding:16px;"
	"background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif}\n"
	"h1{font-size:1.5rem;margin:.2em "
	"0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:1.4em "
	"0 .5em}.dim{color:var(--dim);overflow-wrap:anywhere}\n"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;"
	"margin:14px 0}.tile{background:var(--card);border-radius:8px;padding:10px 12px}"
	".tile b{display:block;font-size:1.3rem;font-variant-numeric:tabular-nums}"
	".tile span{color:var(--dim);font-size:.85rem}\n"
	".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));"
	"gap:14px}figure{margin:0;background:var(--card);border-radius:8px;padding:10px}"
	"figcaption{font-weight:600}.unit{color:var(--dim);font-weight:400;font-size:.85rem}\n"
	".legend{margin:4px 0;font-size:.85rem;color:var(--dim)}.legend span{margin-right:12px;"
	"white-space:nowrap}.legend "
	"i{display:inline-block;width:10px;height:10px;border-radius:2px;"
	"margin-right:5px}\n"
	"svg{display:block;width:100%;height:auto}svg .label{fill:var(--dim);font-size:12px}"
	"svg .grid{stroke:var(--grid)}svg path{fill:none;stroke-width:1.8}\n"
	"@media(max-width:600px){svg .label{font-size:19px}svg path{stroke-width:3}}\n"
	/* What goes on beyond an edge throws a shadow there; whose row it is stays in sight. */
	".scroll{overflow-x:auto;background:linear-gradient(to left,var(--bg) 40%,transparent) "
	"right/3rem 100% no-repeat local,linear-gradient(to left,var(--shade),transparent) "
	"right/.8rem 100% no-repeat}th:first-child,td:first-child{position:sticky;left:0;"
	"background:var(--bg)}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
	"th,td{padding:4px 12px 4px 0;text-align:right;border-bottom:1px solid var(--grid);"
	"white-space:nowrap}th{color:var(--dim);font-weight:500}th:first-child,td:first-child,"
	".left{text-align:left}.bad{color:var(--bad);font-weight:600}.good{color:var(--good)}\n"
	"summary{cursor:pointer;font-size:1.15rem;font-weight:600;margin:18px 0 10px}\n";

static const char *text_of(const json_t *o, const char *key, const char *none)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text && *text ? text : none;
}

/* A table that may be too wide, and can then be scrolled by keys. */
static void put_table(struct mb_buf *to, const char *title)
{
	mb_put(to,
	       "<h2>%s</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
	       "aria-label=\"%s\"><table>\n",
	       title, title);
}

static void put_style(struct mb_buf *to)
{
	mb_put(to, "<style>%s", style);
	for (int i = 0; i < 8; i++)
		mb_put(to,
		       "i.s%d{background:var(--s%d)}rect.s%d,circle.s%d{fill:var(--s%d)}"
		       "path.s%d{stroke:var(--s%d)}\n",
		       i, i, i, i, i, i, i);
	mb_put(to, "</style>\n");
}

static void put_tile(struct mb_buf *to, const json_t *o, const char *key, int digits,
		     const char *meaning)
{
	mb_put(to, "<div class=\"tile\"><b>");
	mb_put_number(to, o, key, digits, "–");
	mb_put(to, "</b><span>%s</span></div>\n", meaning);
}

static void put_share_tile(struct mb_buf *to, const json_t *kind, const char *meaning)
{
	double kept = mb_json_number(kind, "kept");

	if (isnan(kept))
		return;
	mb_put(to, "<div class=\"tile\"><b>%.1f&#8239;%%</b><span>%s</span></div>\n", 100 * kept,
	       meaning);
}

static void put_tiles(struct mb_buf *to, const json_t *run)
{
	const json_t *s = json_object_get(run, "summary");

	mb_put(to, "<div class=\"tiles\">\n");
	put_tile(to, s, "dirtied", 1, "pages dirtied an epoch");
	put_tile(to, s, "dirtied_per_s", 1, "pages dirtied a second");
	put_tile(to, s, "pages", 0, "pages");
	put_tile(to, s, "distinct", 0, "distinct contents");
	put_share_tile(to, json_object_get(s, "self"),
		       "of what it could share with itself, an epoch later");
	put_share_tile(to, json_object_get(s, "reference"),
		       "of what it could share with the reference, an epoch later");
	mb_put(to, "</div>\n");
}

static void put_cell(struct mb_buf *to, const json_t *o, const char *key, int digits)
{
	mb_put(to, "<td>");
	mb_put_number(to, o, key, digits, "–");
	mb_put(to, "</td>");
}

static void put_kind(struct mb_buf *to, const json_t *summary, const char *key, const char *name)
{
	const json_t *kind = json_object_get(summary, key), *d;
	const json_t *half = json_object_get(kind, "half_life");
	double kept = mb_json_number(kind, "kept");
	size_t i;

	if (!json_is_object(kind))
		return;
	mb_put(to, "<tr><td>%s</td>", name);
	put_cell(to, kind, "pages", 0);
	put_cell(to, kind, "digests", 0);
	if (isnan(kept))
		mb_put(to, "<td>–</td><td>");
	else
		mb_put(to, "<td>%.1f %%</td><td>", 100 * kept);
	mb_put_number(to, half, "s", 1, "–");
	mb_put(to, "</td><td class=\"left\">");
	mb_put_escaped(to, text_of(half, "how", "unknown"));
	mb_put(to, "</td>");
	json_array_foreach(json_object_get(kind, "durable"), i, d) put_cell(to, d, "pages", 0);
	mb_put(to, "</tr>\n");
}

static void put_sharable(struct mb_buf *to, const json_t *root, const json_t *run)
{
	const json_t *summary = json_object_get(run, "summary"), *w;
	size_t i;

	put_table(to, "What is sharable, and lasts");
	mb_put(to, "<tr><th></th><th>pages</th><th>digests</th><th>kept an epoch</th>"
		   "<th>half-life, s</th><th class=\"left\">how known</th>");
	json_array_foreach(json_object_get(root, "windows_s"), i, w)
		mb_put(to, "<th>unchanged %g s</th>", json_number_value(w));
	mb_put(to, "</tr>\n");
	put_kind(to, summary, "self", "with itself");
	put_kind(to, summary, "reference", "with the reference");
	mb_put(to, "</table></div>\n");
}

static void put_classes(struct mb_buf *to, const json_t *run)
{
	json_t *classes = json_object_get(json_object_get(run, "summary"), "classes"), *c;
	const char *name;

	if (!json_object_size(classes))
		return;
	put_table(to, "By class of page");
	mb_put(to, "<tr><th>class</th><th>pages</th><th>changed an epoch</th><th>came</th>"
		   "<th>went</th></tr>\n");
	json_object_foreach(classes, name, c)
	{
		mb_put(to, "<tr><td>");
		mb_put_escaped(to, name);
		mb_put(to, "</td>");
		put_cell(to, c, "pages", 0);
		put_cell(to, c, "changed", 1);
		put_cell(to, c, "came", 1);
		put_cell(to, c, "went", 1);
		mb_put(to, "</tr>\n");
	}
	mb_put(to, "</table></div>\n");
}

static void put_who(struct mb_buf *to, const json_t *run)
{
	const json_t *by = json_object_get(json_object_get(run, "who"), "by"), *w;
	size_t i;

	if (!json_array_size(by))
		return;
	put_table(to, "Who dirtied frames");
	mb_put(to, "<tr><th>process</th><th class=\"left\">cgroup</th><th>frames</th>"
		   "<th class=\"left\">by what, first</th></tr>\n");
	json_array_foreach(by, i, w)
	{
		const char *kind, *before = "";
		json_t *frames;

		mb_put(to, "<tr><td>");
		mb_put_escaped(to, text_of(w, "process", "(others)"));
		mb_put(to, "</td><td class=\"left\">");
		mb_put_escaped(to, text_of(w, "cgroup", ""));
		mb_put(to, "</td>");
		put_cell(to, w, "frames", 0);
		mb_put(to, "<td class=\"left\">");
		json_object_foreach(json_object_get(w, "kinds"), kind, frames)
		{
			mb_put(to, "%s%lld ", before, (long long)json_integer_value(frames));
			mb_put_escaped(to, kind);
			before = ", ";
		}
		mb_put(to, "</td></tr>\n");
	}
	mb_put(to, "</table></div>\n");
}

static void put_metrics(struct mb_buf *to, const json_t *root)
{
	size_t n_runs = json_array_size(json_object_get(root, "runs"));
	json_t *metrics = json_object_get(root, "metrics"), *m;
	const char *name;
	char title[64];

	/* A fleet has a history, and no runs. */
	if (!json_object_size(metrics))
		return;
	snprintf(title, sizeof(title), "Figures of %zu run%s", n_runs, n_runs == 1 ? "" : "s");
	put_table(to, title);
	mb_put(to, "<tr><th>metric</th><th>mean</th><th>95 %% from</th><th>to</th>"
		   "<th class=\"left\">unit</th></tr>\n");
	json_object_foreach(metrics, name, m)
	{
		mb_put(to, "<tr><td>");
		mb_put_escaped(to, name);
		mb_put(to, "</td>");
		put_cell(to, m, "mean", 2);
		put_cell(to, m, "low", 2);
		put_cell(to, m, "high", 2);
		mb_put(to, "<td class=\"left\">");
		mb_put_escaped(to, text_of(m, "unit", ""));
		mb_put(to, "</td></tr>\n");
	}
	mb_put(to, "</table></div>\n");
}

static void put_gate(struct mb_buf *to, const json_t *gate)
{
	const json_t *c;
	size_t i;

	if (!json_is_object(gate))
		return;
	mb_put(to, "<h2>Held against the baseline</h2>\n<ul>\n");
	json_array_foreach(json_object_get(gate, "checks"), i, c)
	{
		bool failed = json_is_true(json_object_get(c, "failed"));

		mb_put(to, "<li><span class=\"%s\">%s</span> ", failed ? "bad" : "good",
		       failed ? "worse" : "ok");
		mb_put_escaped(to, text_of(c, "text", ""));
		mb_put(to, "</li>\n");
	}
	mb_put(to, "</ul>\n");
}

/* What a server has kept of each VM. */
static void put_history(struct mb_buf *to, const json_t *history)
{
	const json_t *h;
	size_t i;

	if (!json_is_array(history))
		return;
	put_table(to, "VMs");
	mb_put(to, "<tr><th>VM</th>"
		   "<th class=\"left\">host</th><th>epochs</th><th>pages</th>"
		   "<th>changed an epoch</th><th>a second</th><th>sharable with other VMs</th>"
		   "<th>at first</th><th>least</th></tr>\n");
	json_array_foreach(history, i, h)
	{
		const json_t *inter = json_object_get(h, "inter");

		mb_put(to, "<tr><td>");
		mb_put_escaped(to, text_of(h, "vm", "-"));
		mb_put(to, "</td><td class=\"left\">");
		mb_put_escaped(to, text_of(h, "host", "-"));
		mb_put(to, "</td>");
		put_cell(to, h, "epochs", 0);
		put_cell(to, h, "pages", 0);
		put_cell(to, h, "changed", 1);
		put_cell(to, h, "changed_per_s", 1);
		put_cell(to, inter, "last", 0);
		put_cell(to, inter, "first", 0);
		put_cell(to, inter, "least", 0);
		mb_put(to, "</tr>\n");
	}
	mb_put(to, "</table></div>\n");
}

static void put_run(struct mb_buf *to, const json_t *root, const json_t *run, size_t i, size_t n)
{
	const json_t *summary = json_object_get(run, "summary");
	const json_t *code = json_object_get(run, "exit_code");

	mb_put(to, "<details%s><summary>", i ? "" : " open");
	if (n > 1)
		mb_put(to, "Run %zu of %zu: ", i + 1, n);
	mb_put_number(to, summary, "epochs", 0, "–");
	mb_put(to, " epochs in ");
	mb_put_number(to, summary, "duration_s", 1, "–");
	mb_put(to, " s");
	if (json_is_integer(code))
		mb_put(to, ", exit code %lld", (long long)json_integer_value(code));
	mb_put(to, "</summary>\n");
	put_tiles(to, run);
	mb_put(to, "<div class=\"plots\">\n");
	mb_churn_plots(run, json_object_get(root, "windows_s"), to);
	mb_put(to, "</div>\n");
	put_sharable(to, root, run);
	put_classes(to, run);
	put_who(to, run);
	mb_put(to, "</details>\n");
}

static void put_head(struct mb_buf *to, const json_t *root)
{
	const char *name = text_of(root, "name", "churn");

	mb_put(to, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
		   "<title>Churn of ");
	mb_put_escaped(to, name);
	mb_put(to, "</title>\n");
	put_style(to);
	mb_put(to, "</head>\n<body>\n<h1>Churn of ");
	mb_put_escaped(to, name);
	mb_put(to, "</h1>\n<p class=\"dim\">");
	mb_put_escaped(to, text_of(root, "source", "-"));
	mb_put(to, "; pages followed by ");
	mb_put_escaped(to, text_of(root, "by", "-"));
	if (*text_of(root, "tracker", "")) {
		mb_put(to, "; tracker ");
		mb_put_escaped(to, text_of(root, "tracker", ""));
	}
	if (*text_of(root, "reference", "")) {
		mb_put(to, "; reference ");
		mb_put_escaped(to, text_of(root, "reference", ""));
	}
	mb_put(to, "</p>\n");
}

void mb_churn_html(const json_t *root, struct mb_buf *to)
{
	const json_t *runs = json_object_get(root, "runs"), *run;
	size_t i;

	put_head(to, root);
	put_gate(to, json_object_get(root, "gate"));
	put_history(to, json_object_get(root, "history"));
	json_array_foreach(runs, i, run) put_run(to, root, run, i, json_array_size(runs));
	put_metrics(to, root);
	mb_put(to, "<p class=\"dim\">A page is 4096 bytes. Dirtied: pages whose content is another "
		   "one than an epoch before, and new ones. Sharable: what could be merged, the "
		   "zero page left out. Unchanged: what a page scanner that takes so long can have "
		   "merged of it. Memory Buddies, docs/churn.md.</p>\n</body>\n</html>\n");
}
