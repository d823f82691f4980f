/* SPDX-License-Identifier: GPL-2.0-or-later */
/* May we read another process? And if not: what is missing. */
#ifndef MB_PTRACE_H
#define MB_PTRACE_H

#include "proto/base/err.h"

/* Of processes in general: root's, or at least those of the same user. -EPERM. */
int mb_ptrace_check(struct mb_err *err);
/* mb_fail() for what the kernel just refused with `code`, EPERM or EACCES. */
int mb_ptrace_fail(int code, const char *what, struct mb_err *err);

#endif
