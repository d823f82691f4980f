// SPDX-License-Identifier: GPL-2.0-or-later
/* mbctl executions: what was carried out, and what is to become of what is under way. */
#include <argp.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/asking.h"

struct options {
	struct mb_ctl_asking asking;
	const char *limit;
	const char *verb; /* cancel, decide; NULL: show */
	const char *id, *move, *vm_has;
};

static void check_number(const char *arg, const char *what, struct argp_state *state)
{
	struct mb_err err;
	uint64_t n;

	if (mb_parse_u64(arg, 1, INT64_MAX, what, &n, &err) < 0)
		argp_error(state, "%s", err.text);
}

static void parse_argument(struct options *o, const char *arg, struct argp_state *state)
{
	if (!o->verb && !o->id && (strcmp(arg, "cancel") == 0 || strcmp(arg, "decide") == 0)) {
		o->verb = arg;
	} else if (!o->id) {
		check_number(arg, "execution", state);
		o->id = arg;
	} else if (o->verb && strcmp(o->verb, "decide") == 0 && !o->move) {
		check_number(arg, "move", state);
		o->move = arg;
	} else if (o->move && !o->vm_has) {
		if (strcmp(arg, "arrived") != 0 && strcmp(arg, "stayed") != 0)
			argp_error(state, "\"%s\": the VM has \"arrived\" or \"stayed\"", arg);
		o->vm_has = arg;
	} else {
		argp_error(state, "\"%s\" is too much", arg);
	}
}

static void check(const struct options *o, struct argp_state *state)
{
	if (o->verb && !o->id)
		argp_error(state, "name the execution to %s", o->verb);
	if (o->verb && strcmp(o->verb, "decide") == 0 && !o->vm_has)
		argp_error(state, "name the move, and whether the VM has arrived or stayed");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->asking;
		return 0;
	case 'n':
		mb_ctl_take_limit(&o->limit, arg, state);
		return 0;
	case ARGP_KEY_ARG:
		parse_argument(o, arg, state);
		return 0;
	case ARGP_KEY_END:
		check(o, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int show(const struct options *o, json_t **ret, struct mb_err *err)
{
	return mb_ctl_get(
		o->asking.server, "/v1/executions",
		(const struct mb_ctl_param[]){ { o->id ? "id" : "limit", o->id ? o->id : o->limit },
					       { NULL, NULL } },
		ret, err);
}

static int wish(const struct options *o, json_t **ret, struct mb_err *err)
{
	char path[80];

	snprintf(path, sizeof(path), "/v1/executions/%.30s/%s", o->id, o->verb);
	return mb_ctl_post(o->asking.server, path,
			   (const struct mb_ctl_param[]){ { o->move ? "move" : NULL, o->move },
							  { "vm_has", o->vm_has },
							  { NULL, NULL } },
			   ret, err);
}

static int render_wish(const json_t *root, FILE *to, struct mb_err *err)
{
	const char *what = json_string_value(json_object_get(root, "wish"));

	if (!what)
		return mb_fail(err, EBADMSG, "the answer has no \"wish\"");
	if (strcmp(what, "cancel") == 0)
		fputs("What runs is asked to stop, what waits is skipped", to);
	else
		fprintf(to, "The VM has %s: taken as said", what);
	fprintf(to, " (mbctl executions %lld)\n",
		(long long)json_integer_value(json_object_get(root, "id")));
	return 0;
}

int mb_ctl_executions(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "limit", 'n', "N", 0, "Show the last N executions (default 20)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = mb_ctl_asking_children,
		.args_doc = "[ID]\ncancel ID\ndecide ID MOVE arrived|stayed",
		.doc = "Plans that were carried out (mbctl plan --apply), the newest first; of one "
		       "its plan, and what became of each move. Of a dry run the times are those "
		       "expected. The server keeps the last 100.\v"
		       "cancel ends one that is under way: what runs is asked to stop, what waits "
		       "is "
		       "skipped. decide says of a move that is lost, because nobody could tell, "
		       "where "
		       "its VM is.",
	};
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct options o = { .limit = "20" };
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = o.verb ? wish(&o, &root, &err) : show(&o, &root, &err);
	if (r == 0)
		r = mb_ctl_print(root, o.asking.json,
				 o.verb ? render_wish :
				 o.id	? mb_render_plan :
					  mb_render_executions,
				 &err);
	return mb_ctl_end(r, &err);
}
