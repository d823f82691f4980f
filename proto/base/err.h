/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors: a negative errno for the program, a reason for the person.
 *
 * Every function that can fail returns 0 or -errno and takes a `struct mb_err *` as its last
 * argument (may be NULL). The function that finds the fault says what is wrong with mb_fail(); its
 * callers put the where in front with mb_fail_in() while the error travels up. Libraries never log.
 */
#ifndef MB_BASE_ERR_H
#define MB_BASE_ERR_H

#include <errno.h>

struct mb_err {
	char text[480]; /* "" when there was no error; cut, never overrun */
};

/* Sets the reason; returns -code. `code` is a positive errno. */
int mb_fail(struct mb_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<where>: " in front of the reason; returns `ret` unchanged. */
int mb_fail_in(struct mb_err *err, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* mb_fail(ENOMEM) that names what did not fit. */
int mb_fail_mem(struct mb_err *err, const char *what);

#endif
