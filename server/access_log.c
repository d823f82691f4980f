// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/access_log.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "server/muffle.h"

enum { TEXT_MAX = 300 };

struct mb_access_log {
	int fd;
	struct mb_muffle muffle;
};

int mb_access_log_open(const char *path, struct mb_access_log **ret, struct mb_err *err)
{
	struct mb_access_log *l = calloc(1, sizeof(*l));

	if (!l)
		return mb_fail_mem(err, "the access log");
	l->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0) {
		free(l);
		return mb_fail(err, errno, "access log %s: %m", path);
	}
	*ret = l;
	return 0;
}

void mb_access_log_close(struct mb_access_log *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}

/* What others sent: cut, and printable, since JSON must be UTF-8. */
static json_t *text(const char *s)
{
	char to[TEXT_MAX];

	snprintf(to, sizeof(to), "%s", s);
	for (char *p = to; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return json_string(to);
}

int mb_access_log_put(struct mb_access_log *l, const struct mb_access *a, uint64_t now_ns,
		      struct mb_err *err)
{
	mb_autofree char *line = NULL;
	uint64_t held_back = 0;
	json_t *o;
	int r;

	if (!l)
		return 0;
	if (a->role == MB_ROLE_NONE && !mb_muffle_pass(&l->muffle, a->peer, now_ns, &held_back))
		return 0;
	o = json_pack("{s:I, s:o, s:o, s:s, s:o, s:o, s:o, s:i, s:o, s:I}", "at_unix_ms",
		      (json_int_t)a->at_unix_ms, "who", text(a->who), "peer", text(a->peer), "role",
		      mb_role_name(a->role), "method", text(a->method), "path", text(a->path),
		      "query", text(a->query), "status", (int)a->status, "reason", text(a->reason),
		      "not_logged", (json_int_t)held_back);
	line = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!line)
		return mb_fail_mem(err, "a line of the access log");
	/* The closing NUL makes room for the end of line: one write, so that lines do not mix. */
	line[strlen(line)] = '\n';
	r = mb_write_all(l->fd, line, strcspn(line, "\n") + 1, err);
	return r < 0 ? mb_fail_in(err, r, "access log") : 0;
}
