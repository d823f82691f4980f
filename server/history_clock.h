/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The date by which history grows old. It follows the time that passes while a server runs, not
 * what the wall clock is set to: one that jumps ahead by years must not make all of history old at
 * once. Where it starts, the newest row tells as much as the clock does: the earlier one counts.
 */
#ifndef MB_SERVER_HISTORY_CLOCK_H
#define MB_SERVER_HISTORY_CLOCK_H

#include <stdint.h>

struct mb_history_clock {
	uint64_t start_unix_ns, start_ns;
};

/* `newest_unix_ns`: of the newest row; 0: there is none. `now_ns` never goes back. */
static inline void mb_history_clock_start(struct mb_history_clock *c, uint64_t wall_unix_ns,
					  uint64_t newest_unix_ns, uint64_t now_ns)
{
	c->start_unix_ns =
		newest_unix_ns && newest_unix_ns < wall_unix_ns ? newest_unix_ns : wall_unix_ns;
	c->start_ns = now_ns;
}

static inline uint64_t mb_history_clock_unix_ns(const struct mb_history_clock *c, uint64_t now_ns)
{
	return c->start_unix_ns + (now_ns - c->start_ns);
}

#endif
