// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbagent check`: what this machine can do, and why not. */
#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/cmd.h"
#include "agent/privileges.h"
#include "agent/source.h"
#include "agent/trackers.h"
#include "proto/base/buf.h"
#include "proto/base/cli.h"
#include "proto/base/file.h"

enum { OPT_BTF = 1 };

struct options {
	struct mb_tracker_options tracker;
	bool json;
};

static const struct argp_option options[] = {
	{ "btf", OPT_BTF, "FILE", 0, "the kernel's types for tracker bpf, as for mbagent run", 0 },
	{ "json", 'j', 0, 0, "JSON instead of a table", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_BTF:
		o->tracker.btf = arg;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static json_t *fact(const char *kind, const char *name, bool ok, const char *text)
{
	return json_pack("{s:s, s:s, s:b, s:s}", "kind", kind, "name", name, "ok", (int)ok, "text",
			 text);
}

/* What KSM does here: it is what turns shared digests into saved memory. */
static json_t *ksm_fact(void)
{
	struct mb_buf run = { 0 };
	struct mb_err err = { 0 };
	json_t *ret;

	if (mb_file_read("/sys/kernel/mm/ksm/run", 64, &run, &err) < 0)
		ret = fact("kernel", "KSM", false,
			   "this kernel has no KSM: nothing will be merged");
	else if (run.data[0] == '1')
		ret = fact("kernel", "KSM", true, "merging");
	else
		ret = fact("kernel", "KSM", false,
			   "off: shared pages are counted, not merged (echo 1 > "
			   "/sys/kernel/mm/ksm/run)");
	mb_buf_deinit(&run);
	return ret;
}

struct tracker_facts {
	json_t *facts;
	bool taken;
	bool unloaded; /* the module, which mbagent run loads: none takes it without having tried */
};

static void tracker_fact(void *ctx, const struct mb_tracker_ops *ops, bool works, const char *said)
{
	struct tracker_facts *to = ctx;
	char what[MB_DESCRIBE_MAX] = "", text[1024];

	if (works)
		snprintf(text, sizeof(text), "%s%s", said,
			 to->taken || to->unloaded ? "" : " (--tracker auto takes it)");
	else if (to->unloaded)
		snprintf(text, sizeof(text), "not known yet: mbagent run loads the module first "
					     "(modprobe mbwalk, and check again)");
	else
		snprintf(text, sizeof(text), "%s%s%s", said,
			 *mb_privileges_missing(ops->needs, what, sizeof(what)) ? "; missing: " :
										  "",
			 what);
	json_array_append_new(to->facts, fact("tracker", ops->name, works, text));
	to->taken |= works;
}

static json_t *gather(const struct mb_tracker_options *how)
{
	json_t *facts = json_array();
	struct tracker_facts trackers = { .facts = facts };
	struct utsname u;
	char text[256];

	uname(&u);
	snprintf(text, sizeof(text), "%s %s, pages of %ld bytes", u.release, u.machine,
		 sysconf(_SC_PAGESIZE));
	json_array_append_new(facts, fact("kernel", "Linux", true, text));
	json_array_append_new(facts, ksm_fact());
	for (size_t i = 0; mb_source_at(i); i++) {
		const struct mb_source_ops *s = mb_source_at(i);
		struct mb_err err = { 0 };
		char found[MB_FOUND_MAX] = "";
		bool ok = s->check(found, &err) == 0;

		if (s == &mb_source_kmod)
			trackers.unloaded = ok && strncmp(found, "not loaded", 10) == 0;
		json_array_append_new(facts, fact("source", s->syntax, ok,
						  !ok	 ? err.text :
						  *found ? found :
							   s->summary));
	}
	mb_trackers_try(how, tracker_fact, &trackers);
	return facts;
}

int mb_cmd_check(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL, "Says what this machine can do for the agent, and why not.",
		NULL,	 NULL,	NULL,
	};
	struct options o = { 0 };
	json_t *facts, *f;
	size_t i;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	facts = gather(&o.tracker);
	if (o.json) {
		json_dumpf(facts, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		json_array_foreach(facts, i, f) printf(
			"%-8s %-26s %-4s %s\n", json_string_value(json_object_get(f, "kind")),
			json_string_value(json_object_get(f, "name")),
			json_is_true(json_object_get(f, "ok")) ? "yes" : "no",
			json_string_value(json_object_get(f, "text")));
	}
	json_decref(facts);
	return MB_EXIT_OK;
}
