/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Says whether something that others can make happen at will should be told once more: of each peer
 * once a minute, of all together ten at once and one a second after that. What was not told is
 * counted, and said with the next one. One thread at a time.
 */
#ifndef MB_SERVER_MUFFLE_H
#define MB_SERVER_MUFFLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MB_MUFFLE_PEERS = 256,
	MB_MUFFLE_PEER_S = 60,
	MB_MUFFLE_BURST = 10,
};

/* All zero: nothing was told yet. */
struct mb_muffle {
	struct mb_muffled {
		uint64_t peer; /* hash of who it is; 0: free */
		uint64_t told_ns;
	} peers[MB_MUFFLE_PEERS]; /* who hash to the same place take turns in it */
	uint64_t spent_until_ns;  /* of the burst: a second for each that was told */
	uint64_t held_back;
};

/*
 * `peer`: its name, without what changes from one connection to the next. `now_ns` never goes back.
 * True: tell it; *ret_held_back others were not told since the last time.
 */
bool mb_muffle_pass(struct mb_muffle *m, const char *peer, uint64_t now_ns,
		    uint64_t *ret_held_back);

#endif
