// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/peers.h"

#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/cleanup.h"
#include "proto/base/uri.h"

/* How long a peer's VMs are remembered when it is away and the table is full. */
#define AWAY_NS ((uint64_t)86400000000000)

struct mb_peers {
	struct mb_quota quota[2]; /* of others, of this machine's own */
	void *tree;		  /* by name */
	struct mb_peer *first;
	uint32_t n;
};

int mb_peers_create(const struct mb_quota *local, const struct mb_quota *remote,
		    struct mb_peers **ret, struct mb_err *err)
{
	struct mb_peers *p = calloc(1, sizeof(*p));

	if (!p)
		return mb_fail_mem(err, "peers");
	p->quota[false] = *remote;
	p->quota[true] = *local;
	*ret = p;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mb_peer *)a)->name, ((const struct mb_peer *)b)->name);
}

static void forget(struct mb_peers *p, struct mb_peer *peer)
{
	tdelete(peer, &p->tree, by_name);
	*peer->link = peer->next;
	if (peer->next)
		peer->next->link = peer->link;
	p->n--;
	free(peer->vms);
	free(peer);
}

void mb_peers_destroy(struct mb_peers *p)
{
	if (!p)
		return;
	while (p->first)
		forget(p, p->first);
	free(p);
}

uint32_t mb_peers_count(const struct mb_peers *p)
{
	return p->n;
}

static void make_room(struct mb_peers *p, uint64_t now_ns)
{
	for (struct mb_peer *peer = p->first, *next; peer; peer = next) {
		next = peer->next;
		if (!peer->sessions && now_ns - peer->left_ns > AWAY_NS)
			forget(p, peer);
	}
}

static int add(struct mb_peers *p, const struct mb_peer *key, uint64_t now_ns, struct mb_peer **ret,
	       struct mb_err *err)
{
	struct mb_peer *peer;

	if (p->n == MB_PEERS_MAX)
		make_room(p, now_ns);
	if (p->n == MB_PEERS_MAX)
		return mb_fail(err, ENOSPC, "%d peers are known, and no more are taken",
			       MB_PEERS_MAX);
	peer = malloc(sizeof(*peer));
	if (!peer)
		return mb_fail_mem(err, "a peer");
	*peer = *key;
	if (!tsearch(peer, &p->tree, by_name)) {
		free(peer);
		return mb_fail_mem(err, "a peer");
	}
	peer->next = p->first;
	peer->link = &p->first;
	if (peer->next)
		peer->next->link = &peer->next;
	p->first = peer;
	p->n++;
	*ret = peer;
	return 0;
}

int mb_peers_join(struct mb_peers *p, const char *name, bool local, uint64_t now_ns,
		  struct mb_peer **ret, struct mb_err *err)
{
	struct mb_peer key = { .quota = &p->quota[local] }, *peer = NULL, **found;
	uint64_t max;
	int r;

	snprintf(key.name, sizeof(key.name), "%s", name);
	found = tfind(&key, &p->tree, by_name);
	if (found) {
		peer = *found;
		/* One that was recalled may be this machine's own. */
		peer->quota = key.quota;
	} else {
		r = add(p, &key, now_ns, &peer, err);
		if (r < 0)
			return r;
	}
	max = peer->quota->max[MB_QUOTA_SESSIONS];
	if (max && peer->sessions >= max)
		return mb_quota_fail(peer->quota, MB_QUOTA_SESSIONS, err);
	peer->sessions++;
	*ret = peer;
	return 0;
}

void mb_peers_leave(struct mb_peers *p, struct mb_peer *peer, uint64_t now_ns)
{
	peer->left_ns = now_ns;
	if (!--peer->sessions && !peer->n_vms && mb_flow_is_idle(&peer->flow, now_ns))
		forget(p, peer);
}

static uint64_t hash_of(const char *vm)
{
	return XXH64(vm, strlen(vm), 0);
}

/* Where it is, or belongs. */
static uint32_t find_vm(const struct mb_peer *peer, uint64_t hash)
{
	uint32_t low = 0, high = peer->n_vms;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (peer->vms[mid] < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int mb_peer_claim_vm(struct mb_peer *peer, const char *vm, bool *ret_new, struct mb_err *err)
{
	uint64_t max = peer->quota->max[MB_QUOTA_VMS], hash = hash_of(vm);
	uint32_t at = find_vm(peer, hash);
	uint64_t *vms;

	*ret_new = false;
	if (!max || (at < peer->n_vms && peer->vms[at] == hash))
		return 0;
	if (peer->n_vms >= max)
		return mb_quota_fail(peer->quota, MB_QUOTA_VMS, err);
	vms = reallocarray(peer->vms, peer->n_vms + 1, sizeof(*vms));
	if (!vms)
		return mb_fail_mem(err, "a peer's VMs");
	memmove(vms + at + 1, vms + at, (peer->n_vms - at) * sizeof(*vms));
	vms[at] = hash;
	peer->vms = vms;
	peer->n_vms++;
	*ret_new = true;
	return 0;
}

void mb_peer_drop_vm(struct mb_peer *peer, const char *vm)
{
	uint64_t hash = hash_of(vm);
	uint32_t at = find_vm(peer, hash);

	if (at == peer->n_vms || peer->vms[at] != hash)
		return;
	peer->n_vms--;
	memmove(peer->vms + at, peer->vms + at + 1, (peer->n_vms - at) * sizeof(*peer->vms));
}

int mb_peers_recall(struct mb_peers *p, const char *name, const char *vm, const uint64_t *bytes,
		    uint64_t now_ns, struct mb_err *err)
{
	struct mb_peer *peer;
	struct mb_err full;
	bool new;
	int r = mb_peers_join(p, name, false, now_ns, &peer, err);

	if (r < 0)
		return r;
	/* A quota that was lowered holds for what comes. */
	if (vm && mb_peer_claim_vm(peer, vm, &new, &full) == -ENOMEM)
		r = mb_fail_mem(err, "a peer's VMs");
	if (bytes)
		mb_flow_recall(&peer->flow, peer->quota, bytes, now_ns);
	mb_peers_leave(p, peer, now_ns);
	return r;
}

bool mb_peer_name(int fd, const struct sockaddr *address, socklen_t len, char *name, size_t size)
{
	struct mb_address a = { .len = len };
	struct in6_addr *v6;
	struct ucred who;
	socklen_t who_len = sizeof(who);
	char *port;

	memcpy(&a.storage, address, MB_MIN(len, sizeof(a.storage)));
	if (address->sa_family == AF_UNIX) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_len) < 0)
			who.uid = (uid_t)-1;
		snprintf(name, size, "unix user %u", who.uid);
		return true;
	}
	v6 = &((struct sockaddr_in6 *)&a.storage)->sin6_addr;
	if (address->sa_family == AF_INET6 && !mb_address_is_local(&a) && !IN6_IS_ADDR_V4MAPPED(v6))
		memset(v6->s6_addr + 8, 0, 8);
	mb_uri_format(&a, name, size);
	port = strrchr(name, ':');
	if (port)
		*port = 0;
	return mb_address_is_local(&a);
}
