/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks by name: intervals by the monotonic one, dates by the wall, cost by the CPU's. */
#ifndef MB_BASE_CLOCK_H
#define MB_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t mb_clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define mb_now_ns()  mb_clock_ns(CLOCK_MONOTONIC)
#define mb_unix_ns() mb_clock_ns(CLOCK_REALTIME)
#define mb_cpu_ns()  mb_clock_ns(CLOCK_PROCESS_CPUTIME_ID)

#endif
