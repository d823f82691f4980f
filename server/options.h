/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the server is told on its command line, and by a file of options (option_file.h). */
#ifndef MB_SERVER_OPTIONS_H
#define MB_SERVER_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/tls.h"
#include "server/option_file.h"
#include "server/quota.h"
#include "server/sandbox.h"

enum { MB_LISTEN_MAX = 8 };

struct mb_server_options {
	const char *db, *fleet, *http, *forget_vm, *backup, *restore;
	const char *listen[MB_LISTEN_MAX];
	int n_listen;
	uint64_t sharing_ns, keep_ns, max_agents, frame_budget_mb, memory_budget_mb;
	struct mb_quota quota, quota_local;
	uint64_t checkpoint_pages;
	struct mb_tls_files tls;
	const char *tokens, *access_log, *user;
	enum mb_sandbox sandbox;
	gid_t http_group;
	bool insecure, no_samples, verbose, check, rehearse;
	struct mb_option_file *file; /* owns what was read from it */
	const char *file_path;
	unsigned int file_line; /* whose option is being read; 0: the command line's */
};

/* As if nothing was said. `file` is empty, and the caller's to deinit: strings are in it. */
void mb_server_options_init(struct mb_server_options *o, struct mb_option_file *file);
/* Its input is a struct mb_server_options that was initialised. */
extern const struct argp mb_server_argp;

#endif
