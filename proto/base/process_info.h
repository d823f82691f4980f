/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this process takes, from /proc/self (proc(5)). */
#ifndef MB_BASE_PROCESS_INFO_H
#define MB_BASE_PROCESS_INFO_H

#include <stdint.h>

#include "proto/base/err.h"

struct mb_process_info {
	uint64_t resident_bytes, virtual_bytes;
	uint64_t start_unix_s;
	double cpu_s;
	uint64_t open_fds, max_fds; /* max_fds UINT64_MAX: no limit */
};

int mb_process_info_get(struct mb_process_info *ret, struct mb_err *err);

#endif
