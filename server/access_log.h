/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who changed what by the API, and who was refused: a JSON line each (docs/json.md), at the end of
 * a file that is only ever added to. Refusals that anybody can bring about are written as a muffle
 * (muffle.h) lets them. One thread at a time.
 */
#ifndef MB_SERVER_ACCESS_LOG_H
#define MB_SERVER_ACCESS_LOG_H

#include <stdint.h>

#include "proto/base/err.h"
#include "server/role.h"

struct mb_access {
	uint64_t at_unix_ms;
	const char *who;  /* "token NAME", "uid N", "anyone" */
	const char *peer; /* address without its port */
	enum mb_role role;
	const char *method, *path;
	const char *query; /* "a=1&b=2", decoded; "": none */
	unsigned int status;
	const char *reason; /* "" where it was done */
};

struct mb_access_log;
int mb_access_log_open(const char *path, struct mb_access_log **ret, struct mb_err *err);
void mb_access_log_close(struct mb_access_log *l);
/* NULL: no log. `now_ns` is monotonic. */
int mb_access_log_put(struct mb_access_log *l, const struct mb_access *a, uint64_t now_ns,
		      struct mb_err *err);

#endif
