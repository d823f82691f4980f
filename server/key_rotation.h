/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The change of a trust domain's key, one VM after another.
 *
 *	all VMs have `from` --begin--> each has `from` or `to` --the last one has `to`--> ended
 *
 * Meanwhile agents with either key are taken, and with no other. VMs of differing keys have
 * differing hash identities, so that nothing compares them. Keys go by their id
 * (mb_identity_key_id); nobody here has one. Pure: memory in, memory out.
 */
#ifndef MB_SERVER_KEY_ROTATION_H
#define MB_SERVER_KEY_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/digest.h"

enum { MB_KEY_ROTATIONS_MAX = 1000 };

struct mb_key_rotation {
	char domain[MB_DOMAIN_MAX];
	uint32_t from, to; /* key ids */
	uint64_t begun_unix_ns;
	/* VMs that are held: with each key, and with neither (which no rotation begins with). */
	uint32_t n_from, n_to, n_other;
};

/* Those under way, a domain each. */
struct mb_key_rotations {
	struct mb_key_rotation *list; /* owned */
	uint32_t n;
};
void mb_key_rotations_deinit(struct mb_key_rotations *all);

/* NULL: the domain's key is not being changed. */
struct mb_key_rotation *mb_key_rotations_find(const struct mb_key_rotations *all,
					      const char *domain);
/* In place of the domain's last one. -E2BIG: too many; -ENOMEM. */
int mb_key_rotations_put(struct mb_key_rotations *all, const struct mb_key_rotation *r,
			 struct mb_err *err);
void mb_key_rotations_remove(struct mb_key_rotations *all, struct mb_key_rotation *r);

/* Either key. -EXDEV: another one. */
int mb_key_rotation_check(const struct mb_key_rotation *r, const struct mb_identity *identity,
			  struct mb_err *err);
/* A VM that is held, of any domain, comes (by = 1) or goes (-1). */
void mb_key_rotation_count(struct mb_key_rotation *r, const struct mb_identity *identity, int by);

/*
 * May the domain's key become `to`? `now` is the rotation under way, NULL: none; r->domain is set,
 * r->from is the key of some VM that is held, and they are counted with it. Sets the rest of it;
 * back to the key that one is coming from, the two change places. -EALREADY: they have it, or are
 * on the way, perhaps to another; -ENOENT: no VM of the domain is held; -EXDEV: they have several
 * keys, or hashes.
 */
int mb_key_rotation_plan(struct mb_key_rotation *r, const struct mb_key_rotation *now, uint32_t to,
			 struct mb_err *err);

#endif
