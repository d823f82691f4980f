/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line to the server, whatever it is made of: a socket, or a character device (a virtio port, a
 * tty). Never blocks. A character device has no connections: `serial` says that what is read may
 * be meant for another, and that nobody is told when this end closes.
 */
#ifndef MB_LINE_H
#define MB_LINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/uri.h"

struct mb_line {
	int fd; /* -1: closed */
	bool serial;
	bool connecting; /* poll for writing, then mb_line_connected() */
};

/* An address that can only be listened on is a mistake, not a failure to try again. */
int mb_line_check(const struct mb_address *address, struct mb_err *err);
/* The caller closes it, unless it fails. A tty is made raw, 115200 bit/s. */
int mb_line_open(const struct mb_address *address, struct mb_line *ret, struct mb_err *err);
int mb_line_connected(struct mb_line *l, const struct mb_address *address, struct mb_err *err);
/* What is not sent yet is dropped. */
void mb_line_close(struct mb_line *l);

/* Bytes moved, or -errno: -EAGAIN: not now; -EPIPE: the other end is gone. Reading gives 0 then. */
ssize_t mb_line_write(const struct mb_line *l, const void *data, size_t n);
ssize_t mb_line_read(const struct mb_line *l, void *data, size_t n);

#endif
