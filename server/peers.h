/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Peers: who is behind the sessions, and what each has taken of its quota. A peer is a certificate,
 * by its common name; before it has shown one, or without, an address or a local user. One thread.
 */
#ifndef MB_SERVER_PEERS_H
#define MB_SERVER_PEERS_H

#include <sys/socket.h>

#include "server/quota.h"

enum { MB_PEERS_MAX = 65536, MB_PEER_NAME_MAX = 160 };

struct mb_peer {
	char name[MB_PEER_NAME_MAX]; /* "web" (a certificate), tcp:192.0.2.7, unix user 1000 */
	const struct mb_quota *quota;
	uint32_t sessions;
	struct mb_flow flow;
	uint64_t *vms; /* hashes of their names, ascending */
	uint32_t n_vms;
	uint64_t left_ns; /* when its last session ended */
	struct mb_peer *next, **link;
};

struct mb_peers;
/* Quotas of who comes from this machine, where they are often not told apart, and of others. */
int mb_peers_create(const struct mb_quota *local, const struct mb_quota *remote,
		    struct mb_peers **ret, struct mb_err *err);
void mb_peers_destroy(struct mb_peers *p);
uint32_t mb_peers_count(const struct mb_peers *p);

/*
 * A session begins; mb_peer_leave() when it ends. -EDQUOT: it has as many as it may. -ENOSPC: too
 * many peers are known.
 */
int mb_peers_join(struct mb_peers *p, const char *name, bool local, uint64_t now_ns,
		  struct mb_peer **ret, struct mb_err *err);
void mb_peers_leave(struct mb_peers *p, struct mb_peer *peer, uint64_t now_ns);

/* It wants to write this VM; *ret_new: for the first time. -EDQUOT: it has as many as it may. */
int mb_peer_claim_vm(struct mb_peer *peer, const char *vm, bool *ret_new, struct mb_err *err);
/* ... which came to nothing. */
void mb_peer_drop_vm(struct mb_peer *peer, const char *vm);

/*
 * What a peer had before the server started: a VM that it was the last to write, where `vm` is not
 * NULL; and what it had sent, where `bytes` is not (mb_flow_recall()). For who comes from other
 * machines; how many are recalled is bounded as those that come.
 */
int mb_peers_recall(struct mb_peers *p, const char *name, const char *vm, const uint64_t *bytes,
		    uint64_t now_ns, struct mb_err *err);

/*
 * The name of who is at the other end of `fd`: without the port, which is another one every time;
 * of IPv6 addresses the network's half. True: it is on this machine.
 */
bool mb_peer_name(int fd, const struct sockaddr *address, socklen_t len, char *name, size_t size);

#endif
