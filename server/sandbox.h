/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is given up once the server has what it needs, so that whoever takes it over by a bad byte
 * gets little: no other program, no new socket (but for words to systemd), no file system but by
 *open(), no other user.
 *
 *	start as root --mb_sandbox_become()--> own user, opens files --mb_sandbox_close()--> serves
 *
 * The second is a seccomp filter (libseccomp) with a list of the calls that are allowed, for all
 * threads, and no_new_privs. It cannot be taken back.
 */
#ifndef MB_SERVER_SANDBOX_H
#define MB_SERVER_SANDBOX_H

#include <stdbool.h>

#include "proto/base/err.h"

enum mb_sandbox {
	MB_SANDBOX_OFF,
	MB_SANDBOX_REFUSE, /* a call that is not allowed fails (EPERM), and the kernel logs it */
	MB_SANDBOX_KILL,   /* it ends the process */
};

/*
 * User, its group and its groups, and no way back. By root, or by who is that user already (then
 * nothing happens); before any thread. -ENOENT: no such user; -EPERM.
 */
int mb_sandbox_become(const char *user, struct mb_err *err);
/*
 * For all threads, and those to come. `notifies`: unix datagram sockets may be made, as sd_notify()
 * does for each word (supervisor.h); they can be sent from, not connected or bound.
 */
int mb_sandbox_close(enum mb_sandbox how, bool notifies, struct mb_err *err);

#endif
