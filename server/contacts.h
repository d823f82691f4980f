/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who came last for which VM, from where, and why it was turned away, if it was: for `mbctl
 * doctor`. Of peers that were turned away before they named a VM, the same by address.
 *
 * Of bounded size, whoever comes: what is oldest of those that share a place is forgotten. Peers
 * that name no VM have places of their own. Thread-safe.
 */
#ifndef MB_SERVER_CONTACTS_H
#define MB_SERVER_CONTACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/msg.h"
#include "server/refusals.h"

enum { MB_CONTACT_VMS = 4096, MB_CONTACT_PEERS = 256, MB_CONTACT_TEXT = 240 };

struct mb_contact {
	char vm[MB_NAME_MAX];	/* "": it named none */
	char from[MB_NAME_MAX]; /* of the last one that was taken: tcp:192.0.2.7:40112 */
	uint64_t greeted_ns;	/* wall clock; 0: never since the server started */
	/* The last one that was turned away; all 0 or "": nobody was. */
	char refused_from[MB_NAME_MAX];
	uint64_t refused_ns, refusals; /* wall clock; how often since the server started */
	enum mb_refusal code;	       /* 0: was told nothing, as in a TLS handshake */
	int why;		       /* enum mb_refused_for; -1: none of these */
	char reason[MB_CONTACT_TEXT];
};

struct mb_contacts;
int mb_contacts_create(struct mb_contacts **ret, struct mb_err *err);
void mb_contacts_destroy(struct mb_contacts *c);

/* `c` may be NULL in these two: then nobody wants to know. */
void mb_contacts_greeted(struct mb_contacts *c, const char *vm, const char *from, uint64_t unix_ns);
/* `vm` "": it has named none. `code`, `why`, `reason`: as in struct mb_contact. */
void mb_contacts_refused(struct mb_contacts *c, const char *vm, const char *from,
			 enum mb_refusal code, int why, const char *reason, uint64_t unix_ns);

/* False: nothing is known. */
bool mb_contacts_find(struct mb_contacts *c, const char *vm, struct mb_contact *ret);
/* Those that were turned away since then: VMs by name, then peers by address. Owned by the caller.
 */
int mb_contacts_refused_since(struct mb_contacts *c, uint64_t unix_ns, struct mb_contact **ret,
			      size_t *ret_n, struct mb_err *err);

#endif
