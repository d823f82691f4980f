// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/health.h"

#include <inttypes.h>

void mb_health_stored(struct mb_health *h, bool durable)
{
	atomic_store(&h->failed, !durable);
	if (!durable)
		atomic_fetch_add(&h->failures, 1);
}

int mb_health_alive(const struct mb_health *h, uint64_t now_ns, struct mb_err *err)
{
	uint64_t beat_ns = atomic_load(&h->beat_ns);

	if (!beat_ns)
		return mb_fail(err, ETIME, "the event loop has not begun");
	/* Another thread's clock may have been read a moment later. */
	if (now_ns < beat_ns || now_ns - beat_ns <= MB_HEALTH_DEAD_S * UINT64_C(1000000000))
		return 0;
	return mb_fail(err, ETIME, "the event loop has stood still for %" PRIu64 " s",
		       (now_ns - beat_ns) / 1000000000);
}

int mb_health_ready(const struct mb_health *h, uint64_t now_ns, struct mb_err *err)
{
	int failed = atomic_load(&h->failed);
	int r = mb_health_alive(h, now_ns, err);

	if (r < 0 || !failed)
		return r;
	return mb_fail(err, EAGAIN, "the last epoch could not be kept (the server's log says why)");
}
