// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/muffle.h"

#include <string.h>
#include <xxhash.h>

#include "proto/base/cleanup.h"

static const uint64_t second_ns = 1000000000;

static bool told_lately(struct mb_muffled *p, uint64_t peer, uint64_t now_ns)
{
	return p->peer == peer && now_ns - p->told_ns < MB_MUFFLE_PEER_S * second_ns;
}

bool mb_muffle_pass(struct mb_muffle *m, const char *peer, uint64_t now_ns, uint64_t *ret_held_back)
{
	uint64_t hash = XXH64(peer, strlen(peer), 0) | 1;
	struct mb_muffled *p = &m->peers[(hash >> 8) % MB_MUFFLE_PEERS];
	uint64_t spent = MB_MAX(m->spent_until_ns, now_ns);

	if (told_lately(p, hash, now_ns) ||
	    spent + second_ns > now_ns + MB_MUFFLE_BURST * second_ns) {
		m->held_back++;
		return false;
	}
	*p = (struct mb_muffled){ hash, now_ns };
	m->spent_until_ns = spent + second_ns;
	*ret_held_back = m->held_back;
	m->held_back = 0;
	return true;
}
