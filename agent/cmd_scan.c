// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbagent scan`: one epoch, printed. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "agent/cmd.h"
#include "agent/config.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/progress.h"

struct options {
	struct mb_agent_config agent;
	bool json;
};

static const struct argp_option scan_options[] = {
	{ "once", 'o', 0, 0, "one epoch (which is what it does anyway)", 0 },
	{ "json", 'j', 0, 0, "JSON instead of a table", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	(void)arg;
	switch (key) {
	case 'o':
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->agent;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct scan {
	struct mb_agent agent;
	struct mb_progress progress;
	/* By class. */
	uint64_t pages[MB_CLASS_END], zero[MB_CLASS_END];
};

static int show_progress(void *ctx, double done, struct mb_err *err)
{
	struct scan *s = ctx;

	(void)err;
	mb_progress_update(&s->progress, done);
	return 0;
}

static int count_page(void *ctx, const struct mb_page *page, struct mb_err *err)
{
	struct scan *s = ctx;

	(void)err;
	s->pages[page->cls]++;
	s->zero[page->cls] += page->digest == s->agent.pass.digester.identity.zero_digest;
	return 0;
}

static json_t *classes_json(const struct scan *scan)
{
	json_t *classes = json_object();

	for (unsigned int i = 0; i < MB_CLASS_END; i++)
		if (scan->pages[i])
			json_object_set_new(classes, mb_class_name(i),
					    json_pack("{s:I, s:I}", "pages",
						      (json_int_t)scan->pages[i], "zero",
						      (json_int_t)scan->zero[i]));
	return classes;
}

static void print_json(const struct scan *scan, const struct mb_epoch *e,
		       const struct mb_self_sharing *s)
{
	const struct mb_agent *a = &scan->agent;
	const struct mb_identity *id = &a->pass.digester.identity;
	json_t *unread = json_object();
	json_t *out;

	for (int i = 0; i < MB_UNREAD_REASONS; i++)
		json_object_set_new(unread, mb_unread_name((enum mb_unread)i),
				    json_integer((json_int_t)e->unread[i]));
	out = json_pack(
		"{s:s, s:{s:s, s:i, s:i, s:b, s:s}, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:f, "
		"s:f}",
		"source", a->info.text, "identity", "algorithm", mb_algorithm_name(id->algorithm),
		"bits", (int)id->bits, "page_bytes", (int)id->page_bytes, "keyed", (int)id->keyed,
		"domain", id->domain, "memory_bytes", (json_int_t)a->info.memory_bytes, "pages",
		(json_int_t)s->pages, "distinct", (json_int_t)s->distinct, "zero",
		(json_int_t)s->zero, "self", (json_int_t)s->self, "self_nonzero",
		(json_int_t)s->self_nonzero, "classes", classes_json(scan), "unread", unread,
		"duration_ms", (double)e->info.duration_ns / 1e6, "cpu_ms",
		(double)e->info.cpu_ns / 1e6);
	json_dumpf(out, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(out);
}

static void print_row(const struct scan *scan, const char *name, uint64_t pages,
		      const char *meaning)
{
	printf("  %-10s %10" PRIu64 " pages %9.1f MB  %s\n", name, pages,
	       (double)pages * scan->agent.pass.digester.identity.page_bytes / 1048576, meaning);
}

static void print_table(const struct scan *scan, const struct mb_epoch *e,
			const struct mb_self_sharing *s)
{
	const struct mb_agent *a = &scan->agent;
	char text[64];
	const struct {
		const char *name;
		uint64_t pages;
		const char *meaning;
	} rows[] = {
		{ "pages", s->pages, "read" },
		{ "distinct", s->distinct, "different contents" },
		{ "zero", s->zero, "all-zero pages" },
		{ "self", s->self_nonzero, "further copies of other pages: self-sharing" },
		{ "unread", e->info.pages_unread, "present, not read" },
	};

	printf("%s\n", a->info.text);
	for (size_t i = 0; i < MB_ARRAY_LEN(rows); i++)
		print_row(scan, rows[i].name, rows[i].pages, rows[i].meaning);
	for (int i = 0; i < MB_UNREAD_REASONS; i++)
		if (e->unread[i])
			print_row(scan, mb_unread_name((enum mb_unread)i), e->unread[i], "of them");
	for (unsigned int i = 0; i < MB_CLASS_END && s->pages > scan->pages[MB_CLASS_UNKNOWN];
	     i++) {
		snprintf(text, sizeof(text), "by class; %" PRIu64 " of them zero", scan->zero[i]);
		if (scan->pages[i])
			print_row(scan, mb_class_name(i), scan->pages[i], text);
	}
	printf("  %.0f ms, %.2f GB/s\n", (double)e->info.duration_ns / 1e6,
	       (double)e->info.pages_read * a->pass.digester.identity.page_bytes /
		       (double)(e->info.duration_ns + 1));
}

int mb_cmd_scan(int argc, char **argv)
{
	static const struct argp_child children[] = { { &mb_agent_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		scan_options, parse, NULL, "Takes one epoch of a source and prints what it has.",
		children,     NULL,  NULL,
	};
	struct options o = { .agent = mb_agent_config_default };
	struct scan scan = { 0 };
	struct mb_agent *a = &scan.agent;
	struct mb_self_sharing s;
	struct mb_err err = { 0 };
	struct mb_epoch e;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = mb_agent_open(a, &o.agent, NULL, &err);
	if (r < 0)
		return mb_agent_failed(&err);
	mb_progress_begin(&scan.progress, "reading");
	a->pass.progress = show_progress;
	a->pass.tap = count_page;
	a->pass.ctx = &scan;
	r = mb_pass_run(&a->pass, &e, &err);
	mb_progress_end(&scan.progress);
	if (r == 0) {
		a->source->ops->describe(a->source, &a->info);
		mb_fingerprint_self_sharing(&e.fingerprint, a->pass.digester.identity.zero_digest,
					    &s);
		if (o.json)
			print_json(&scan, &e, &s);
		else
			print_table(&scan, &e, &s);
		mb_fingerprint_deinit(&e.fingerprint);
	}
	mb_agent_close(a);
	return r < 0 ? mb_agent_failed(&err) : MB_EXIT_OK;
}
