/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new numbering of epochs: 16 random bytes, never the same twice. */
#ifndef MB_AGENT_BOOT_H
#define MB_AGENT_BOOT_H

#include <sys/random.h>

#include "proto/base/err.h"
#include "proto/msg.h"

static inline int mb_boot_make(struct mb_boot *ret, struct mb_err *err)
{
	if (getrandom(ret->id, sizeof(ret->id), 0) != (ssize_t)sizeof(ret->id))
		return mb_fail(err, errno, "getrandom: %m");
	return 0;
}

#endif
