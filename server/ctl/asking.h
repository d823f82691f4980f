/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each command has that asks a server one thing: --server, --json, and whom to trust
 * (client.h); and the way from the question to what is printed.
 */
#ifndef MB_CTL_ASKING_H
#define MB_CTL_ASKING_H

#include <argp.h>

#include "server/ctl/client.h"
#include "server/ctl/ctl.h"

struct mb_ctl_asking {
	const char *server; /* one that can be asked, once all is parsed */
	bool json;
};

/*
 * The children of a command that has no other; the first one's input is a struct mb_ctl_asking,
 * which the command's parser gives it at ARGP_KEY_INIT (state->child_inputs[0]).
 */
extern const struct argp mb_ctl_asking_argp;
extern const struct argp_child mb_ctl_asking_children[];

/* The one argument of a command: a second one is an error. */
void mb_ctl_take_argument(const char **to, const char *arg, struct argp_state *state);
/* --limit: 1 to 100000. */
void mb_ctl_take_limit(const char **to, const char *arg, struct argp_state *state);

/* GET, printed; returns the exit code. */
int mb_ctl_ask_for(const struct mb_ctl_asking *a, const char *path,
		   const struct mb_ctl_param *params, mb_render_fn render);

#endif
