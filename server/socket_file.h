/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of a unix socket that is to be listened on. */
#ifndef MB_SERVER_SOCKET_FILE_H
#define MB_SERVER_SOCKET_FILE_H

#include "proto/base/uri.h"

/*
 * Removes one left by a server that was killed; one in use is not ours to take (-EADDRINUSE), nor
 * is a file that is no socket (-EEXIST). Does nothing for other addresses.
 */
int mb_socket_file_clear(const struct mb_address *a, struct mb_err *err);

#endif
