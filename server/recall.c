// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/recall.h"

#include <string.h>

#include "proto/base/cleanup.h"

#define DAY_NS ((uint64_t)86400000000000)

struct taken {
	struct mb_peers *peers;
	uint64_t now_ns;
	char writer[MB_WRITER_MAX];
	uint64_t bytes[MB_FLOW_HOURS];
	struct mb_err *err;
};

static int flush(struct taken *t)
{
	int r = *t->writer ?
			mb_peers_recall(t->peers, t->writer, NULL, t->bytes, t->now_ns, t->err) :
			0;

	memset(t->bytes, 0, sizeof(t->bytes));
	return r;
}

static int see(void *ctx, const char *writer, uint64_t hours_ago, uint64_t bytes)
{
	struct taken *t = ctx;

	if (strcmp(t->writer, writer) != 0) {
		int r = flush(t);

		if (r < 0)
			return r;
		snprintf(t->writer, sizeof(t->writer), "%s", writer);
	}
	t->bytes[MB_MIN(hours_ago, (uint64_t)MB_FLOW_HOURS - 1)] += bytes;
	return 0;
}

int mb_recall(struct mb_peers *peers, struct mb_fleet *fleet, struct mb_store *store,
	      uint64_t now_ns, uint64_t now_unix_ns, struct mb_err *err)
{
	mb_cleanup(mb_fleet_snapshot_deinit) struct mb_fleet_snapshot s = { 0 };
	struct taken t = { .peers = peers, .now_ns = now_ns, .err = err };
	int r = mb_fleet_snapshot(fleet, &s, err);

	for (uint32_t i = 0; r == 0 && i < s.n; i++)
		if (*s.vms[i].writer)
			r = mb_peers_recall(peers, s.vms[i].writer, s.vms[i].name, NULL, now_ns,
					    err);
	if (r == 0)
		r = mb_store_taken(store, now_unix_ns, DAY_NS, see, &t, err);
	return r == 0 ? flush(&t) : r;
}
