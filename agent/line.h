/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line to the server, whatever it is made of: a socket, or a character device (a virtio port, a
 * tty). Never blocks. A character device has no connections: `serial` says that what is read may
 * be meant for another, and that nobody is told when this end closes. A socket may be TLS inside.
 */
#ifndef MB_LINE_H
#define MB_LINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/tls.h"
#include "proto/base/uri.h"

struct mb_line {
	int fd; /* -1: closed */
	bool serial;
	bool connecting; /* poll for writing, then mb_line_connected() */
	struct ssl_st *tls;
	/* TLS: what it waits for, whoever wants what. */
	bool stalled;	  /* writing: for something to read */
	bool wants_write; /* either: to write */
	char tls_error[300];
};

/* An address that can only be listened on is a mistake, not a failure to try again. */
int mb_line_check(const struct mb_address *address, struct mb_err *err);
/* The caller closes it, unless it fails. A tty is made raw, 115200 bit/s. */
int mb_line_open(const struct mb_address *address, struct mb_line *ret, struct mb_err *err);
int mb_line_connected(struct mb_line *l, const struct mb_address *address, struct mb_err *err);
/* Connected: from now on it is TLS, with a server of that name; hands are shaken on the way. */
int mb_line_secure(struct mb_line *l, const struct mb_tls *tls, const char *name,
		   struct mb_err *err);
/* What is not sent yet is dropped. */
void mb_line_close(struct mb_line *l);

/*
 * Bytes moved, or -errno: -EAGAIN: not now; -EPIPE: the other end is gone; -EPROTO: TLS failed.
 * Reading gives 0 when the other end is gone. Read at least 16 KiB at a time: what TLS has left of
 * a record does not show in poll().
 */
ssize_t mb_line_write(struct mb_line *l, const void *data, size_t n);
ssize_t mb_line_read(struct mb_line *l, void *data, size_t n);
/* What such an error means; valid until the line is closed. */
const char *mb_line_why(const struct mb_line *l, ssize_t error);

#endif
