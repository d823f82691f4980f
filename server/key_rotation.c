// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/key_rotation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void mb_key_rotations_deinit(struct mb_key_rotations *all)
{
	free(all->list);
	*all = (struct mb_key_rotations){ 0 };
}

struct mb_key_rotation *mb_key_rotations_find(const struct mb_key_rotations *all,
					      const char *domain)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (strcmp(all->list[i].domain, domain) == 0)
			return &all->list[i];
	return NULL;
}

int mb_key_rotations_put(struct mb_key_rotations *all, const struct mb_key_rotation *r,
			 struct mb_err *err)
{
	struct mb_key_rotation *to = mb_key_rotations_find(all, r->domain);
	void *list;

	if (!to && all->n == MB_KEY_ROTATIONS_MAX)
		return mb_fail(err, E2BIG, "the keys of %d trust domains are being changed",
			       MB_KEY_ROTATIONS_MAX);
	if (!to) {
		list = reallocarray(all->list, all->n + 1, sizeof(*all->list));
		if (!list)
			return mb_fail_mem(err, "a rotation");
		all->list = list;
		to = &all->list[all->n++];
	}
	*to = *r;
	return 0;
}

void mb_key_rotations_remove(struct mb_key_rotations *all, struct mb_key_rotation *r)
{
	*r = all->list[--all->n];
}

int mb_key_rotation_check(const struct mb_key_rotation *r, const struct mb_identity *identity,
			  struct mb_err *err)
{
	uint32_t id = mb_identity_key_id(identity);

	if (id == r->from || id == r->to)
		return 0;
	return mb_fail(err, EXDEV,
		       "another key: trust domain \"%s\" goes from key %08" PRIx32
		       " to key %08" PRIx32 ", this is %08" PRIx32,
		       r->domain, r->from, r->to, id);
}

void mb_key_rotation_count(struct mb_key_rotation *r, const struct mb_identity *identity, int by)
{
	uint32_t id = mb_identity_key_id(identity);
	uint32_t *n = id == r->from ? &r->n_from : id == r->to ? &r->n_to : &r->n_other;

	if (strcmp(identity->domain, r->domain) == 0)
		*n += (uint32_t)by;
}

int mb_key_rotation_plan(struct mb_key_rotation *r, const struct mb_key_rotation *now, uint32_t to,
			 struct mb_err *err)
{
	if (now && to == now->to)
		return mb_fail(err, EALREADY,
			       "trust domain \"%s\" is on its way to key %08" PRIx32 " already",
			       r->domain, to);
	if (now && to != now->from)
		return mb_fail(err, EALREADY,
			       "trust domain \"%s\" is on its way from key %08" PRIx32
			       " to key %08" PRIx32
			       ": that comes first, or back (mbctl key rotate --to %08" PRIx32 ")",
			       r->domain, now->from, now->to, now->from);
	if (!now && !r->n_from)
		return mb_fail(err, ENOENT, "no VM of trust domain \"%s\" is held", r->domain);
	if (!now && r->n_other)
		return mb_fail(err, EXDEV,
			       "VMs of trust domain \"%s\" have more than one key, or hash",
			       r->domain);
	if (!now && to == r->from)
		return mb_fail(err, EALREADY, "trust domain \"%s\" has key %08" PRIx32 " already",
			       r->domain, to);
	if (now)
		r->from = now->to;
	r->to = to;
	return 0;
}
