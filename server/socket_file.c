// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/socket_file.h"

#include <sys/stat.h>

#include "proto/base/cleanup.h"

int mb_socket_file_clear(const struct mb_address *a, struct mb_err *err)
{
	mb_autoclose int fd = -1;
	struct stat st;

	if (a->sa.sa_family != AF_UNIX || lstat(a->un.sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return mb_fail(err, EEXIST, "unix:%s: there is a file, and it is no socket",
			       a->un.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, &a->sa, a->len) == 0)
		return mb_fail(err, EADDRINUSE, "unix:%s: in use", a->un.sun_path);
	unlink(a->un.sun_path);
	return 0;
}
