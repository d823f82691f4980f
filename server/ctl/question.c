// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/question.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/ctl.h"
#include "server/fleet_options.h"

enum {
	OWN_MAX = 8,
	PARAMS_MAX = MB_OPTIONS + OWN_MAX + 8,
	/* Keys of options that have no letter. */
	KEY_OPTION = 0x1000,
	KEY_OWN = 0x2000,
	KEY_EXPLAIN = 0x3000,
	KEY_APPLY,
	KEY_EXACT,
};

struct command {
	const struct mb_ctl_question *question;
	const char *server, *fleet, *planner;
	bool json, explain, apply;
	struct mb_ctl_param params[PARAMS_MAX + 1];
	size_t n_params;
	char *texts[OWN_MAX + 1]; /* made here, for params; the arguments' last */
};

static void command_deinit(struct command *c)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(c->texts); i++)
		free(c->texts[i]);
}

/* The last one counts. */
static void set_param(struct command *c, const char *key, const char *value)
{
	size_t i;

	for (i = 0; i < c->n_params && strcmp(c->params[i].key, key) != 0;)
		i++;
	c->params[i] = (struct mb_ctl_param){ key, value };
	c->n_params += i == c->n_params;
}

/* "min_gain_mb" as it is typed: "--min-gain-mb". The string lives as long as the program. */
static const char *typed(const char *name)
{
	char *text;

	if (asprintf(&text, "--%s", name) < 0)
		return "--";
	for (char *p = text; *p; p++)
		*p = *p == '_' ? '-' : *p;
	return text;
}

static void parse_option_of_plans(struct command *c, int i, const char *arg,
				  struct argp_state *state)
{
	const struct mb_option_info *info = &mb_option_infos[i];
	struct mb_fleet_options checked;
	struct mb_err err;

	if (mb_fleet_options_set(&checked, (enum mb_option)i,
				 typed(info->alias ? info->alias : info->name), arg ? arg : "1",
				 &err) < 0)
		argp_error(state, "%s", err.text);
	set_param(c, info->name, arg ? arg : "1");
}

/* Names are separated by commas here, where blanks would need quotes. */
static void parse_own(struct command *c, int i, const char *arg, struct argp_state *state)
{
	const struct mb_ctl_own *own = &c->question->own[i];
	struct mb_err err;
	uint64_t n;

	if (own->words) {
		free(c->texts[i]);
		c->texts[i] = strdup(arg);
		for (char *p = c->texts[i]; p && *p; p++)
			*p = *p == ',' ? ' ' : *p;
		set_param(c, own->words, c->texts[i] ? c->texts[i] : "");
		return;
	}
	if (arg && mb_parse_u64(arg, 0, UINT32_MAX, typed(own->name), &n, &err) < 0)
		argp_error(state, "%s", err.text);
	set_param(c, own->name, arg ? arg : "1");
}

static void parse_argument(struct command *c, const char *arg, struct argp_state *state)
{
	const struct mb_ctl_question *q = c->question;
	char **all = &c->texts[OWN_MAX], *joined;

	if (q->explains && !q->parameter && strcmp(arg, "explain") == 0) {
		c->explain = true;
		return;
	}
	if (!q->parameter || (*all && !q->several))
		argp_error(state, "\"%s\" is too much", arg);
	if (asprintf(&joined, "%s%s%s", *all ? *all : "", *all ? " " : "", arg) < 0)
		argp_failure(state, MB_EXIT_FAILED, ENOMEM, "arguments");
	free(*all);
	*all = joined;
	set_param(c, q->parameter, joined);
}

static void check(struct command *c, struct argp_state *state)
{
	const struct mb_ctl_question *q = c->question;
	bool words = c->texts[OWN_MAX];
	struct mb_err err;

	for (int i = 0; i < OWN_MAX; i++) {
		if (c->texts[i] && words)
			argp_error(state, "--%s goes without \"%s\"", q->own[i].name,
				   c->texts[OWN_MAX]);
		words |= c->texts[i] != NULL;
	}
	if (q->parameter && !words)
		argp_error(state, "name the %s", q->what);
	if (c->fleet && c->server)
		argp_error(state, "--fleet asks without a server: not together with --server");
	/* A server may know other planners than we do. */
	if (c->fleet && c->planner && !mb_planner_find(c->planner))
		argp_error(state, "no planner \"%s\" (--help lists them)", c->planner);
	if (c->fleet)
		return;
	c->server = mb_ctl_server(c->server);
	if (mb_ctl_server_check(c->server, &err) < 0)
		argp_error(state, "%s", err.text);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct command *c = state->input;

	switch (key) {
	case 's':
		c->server = arg;
		return 0;
	case 'f':
		c->fleet = arg;
		return 0;
	case 'p':
		c->planner = arg;
		set_param(c, "planner", arg);
		return 0;
	case 'S':
		set_param(c, "strict", "1");
		return 0;
	case 'j':
		c->json = true;
		return 0;
	case KEY_EXPLAIN:
		c->explain = true;
		return 0;
	case KEY_EXACT:
		set_param(c, "exact", "1");
		return 0;
	case KEY_APPLY:
		c->apply = true;
		return 0;
	case ARGP_KEY_ARG:
		parse_argument(c, arg, state);
		return 0;
	case ARGP_KEY_END:
		check(c, state);
		return 0;
	default:
		if (key >= KEY_OPTION && key < KEY_OPTION + MB_OPTIONS)
			parse_option_of_plans(c, key - KEY_OPTION, arg, state);
		else if (key >= KEY_OWN && key < KEY_OWN + OWN_MAX)
			parse_own(c, key - KEY_OWN, arg, state);
		else
			return ARGP_ERR_UNKNOWN;
		return 0;
	}
}

/* Lists the planners below the options. */
static char *help_filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t n = 0;
	FILE *to;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC || !(to = open_memstream(&list, &n)))
		return (char *)(uintptr_t)text;
	fputs("Planners:\n", to);
	for (size_t i = 0; mb_planner_at(i); i++)
		fprintf(to, "  %-6s %s\n", mb_planner_at(i)->name, mb_planner_at(i)->summary);
	fclose(to);
	return list;
}

/* What all have, the question's own, and what can be set for plans. */
static void make_options(const struct mb_ctl_question *q, struct argp_option *to)
{
	static const struct argp_option common[] = {
		{ "fleet", 'f', "FILE", 0,
		  "Ask without a server: hosts, VMs and their traces from a fleet file "
		  "(docs/fleet-file.md)",
		  1 },
		{ "server", 's', "URL", 0,
		  "Server to ask (default: $MBCTL_SERVER, else " MB_CTL_SERVER_DEFAULT ")", 1 },
		{ "json", 'j', NULL, 0, "Print JSON (docs/json.md)", 1 },
		{ "planner", 'p', "NAME", 0, "Planner to use (default best)", 1 },
		{ "strict", 'S', NULL, 0, "Planner seed: with the original's flaws mended", 1 },
		{ "exact", KEY_EXACT, NULL, 0,
		  "No estimates: have the server read what its memory budget keeps out", 1 },
	};

	for (size_t i = 0; i < MB_ARRAY_LEN(common); i++)
		*to++ = common[i];
	if (q->explains)
		*to++ = (struct argp_option){ "apply",
					      KEY_APPLY,
					      NULL,
					      0,
					      "Carry the plan out. So far there is the dry mover "
					      "only, which moves nothing: it says what would be, "
					      "and a server keeps it (mbctl executions)",
					      1 };
	if (q->explains)
		*to++ = (struct argp_option){ "explain",
					      KEY_EXPLAIN,
					      NULL,
					      0,
					      "Say of every move in words why it is there, what "
					      "it brings and what it costs",
					      1 };
	for (int i = 0; q->own && q->own[i].name; i++)
		*to++ = (struct argp_option){
			typed(q->own[i].name) + 2, KEY_OWN + i, q->own[i].arg, 0, q->own[i].help, 2
		};
	*to++ = (struct argp_option){ .doc = "For this question, instead of what the fleet file "
					     "says:",
				      .group = 3 };
	for (int i = 0; i < MB_OPTIONS; i++) {
		const struct mb_option_info *info = &mb_option_infos[i];

		*to++ = (struct argp_option){
			typed(info->name) + 2, KEY_OPTION + i, info->unit, 0, info->help, 3
		};
		if (info->alias)
			*to++ = (struct argp_option){ .name = info->alias,
						      .key = KEY_OPTION + i,
						      .flags = OPTION_ALIAS,
						      .group = 3 };
	}
}

int mb_ctl_ask(const struct mb_ctl_question *q, int argc, char **argv)
{
	/* Static: what argp is given must live as long as it runs, and a command runs once. */
	static struct argp_option options[2 * MB_OPTIONS + OWN_MAX + 16];
	static const struct argp_child children[] = { { &mb_ctl_trust_argp, 0, NULL, 0 }, { 0 } };
	const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = q->args_doc,
		.doc = q->doc,
		.help_filter = help_filter,
	};
	mb_cleanup(command_deinit) struct command c = { .question = q };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	char path[40];
	int r;

	make_options(q, options);
	argp_parse(&argp, argc, argv, 0, NULL, &c);
	snprintf(path, sizeof(path), "/v1/%s", q->name);
	if (c.fleet)
		r = mb_ctl_ask_offline(c.fleet, q->name, c.params, c.apply, &root, &err);
	else
		r = (c.apply ? mb_ctl_post : mb_ctl_get)(c.server, path, c.params, &root, &err);
	if (r == 0)
		r = mb_ctl_print(root, c.json, c.explain ? mb_render_explain : q->render, &err);
	return mb_ctl_end(r, &err);
}
