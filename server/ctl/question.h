/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to planners as commands. All are alike: parameters from the command line, to a server
 * or to the same code here (--fleet), and an answer as JSON or for people. What differs is a table.
 */
#ifndef MB_CTL_QUESTION_H
#define MB_CTL_QUESTION_H

#include <jansson.h>
#include <stdbool.h>

#include "server/ctl/client.h"
#include "server/ctl/render.h"

/* An option of one question alone: a whole number, or a word. */
struct mb_ctl_own {
	const char *name;  /* of the parameter; '-' for '_' on the command line; NULL ends a list */
	const char *arg;   /* NULL: a flag, 1 when given */
	const char *words; /* how it is called, if it is no number: names separated by commas */
	const char *help;
};

struct mb_ctl_question {
	const char *name;
	const char *args_doc, *doc;
	const char *parameter; /* of the arguments, several of them separated by blanks; or NULL */
	const char *what;      /* they name; one is required, unless an own option has words */
	bool several;
	bool explains;		      /* it has a plan: knows --explain and --apply */
	const struct mb_ctl_own *own; /* or NULL */
	mb_render_fn render;
};

/* argv[0] is "mbctl COMMAND"; an exit code is returned. */
int mb_ctl_ask(const struct mb_ctl_question *q, int argc, char **argv);

/*
 * A question about a fleet file and its VMs' traces; `params` ends with a NULL key. `apply`: the
 * plan is carried out by the dry mover.
 */
int mb_ctl_ask_offline(const char *fleet_path, const char *question,
		       const struct mb_ctl_param *params, bool apply, json_t **ret,
		       struct mb_err *err);

#endif
