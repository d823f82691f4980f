// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int mb_fail(struct mb_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return -code;
}

int mb_fail_in(struct mb_err *err, int ret, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	va_list ap;
	size_t n;

	if (!err)
		return ret;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", old);
	return ret;
}

int mb_fail_mem(struct mb_err *err, const char *what)
{
	return mb_fail(err, ENOMEM, "out of memory for %s", what);
}
