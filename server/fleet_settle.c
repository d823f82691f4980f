// SPDX-License-Identifier: GPL-2.0-or-later
/* What lasts of fingerprints, and what changed since it was last taken: one after the other. */
#include <stdlib.h>

#include "server/fleet_inside.h"

void mb_fleet_set_durable(struct mb_fleet *f, uint64_t time_ns)
{
	pthread_mutex_lock(&f->lock);
	f->durable_ns = time_ns;
	pthread_mutex_unlock(&f->lock);
}

/* Short of memory, the VM begins anew: that is a guess, but a mild one. */
static void carry(struct mb_fpref *ref, const struct mb_fpref *before, uint64_t durable_ns)
{
	struct mb_durable first;

	mb_durable_start(&first, before->fp.n_distinct, before->seen_ns);
	ref->has_durable =
		mb_durable_carry(
			&ref->durable, before->has_durable ? &before->durable : &first,
			&(struct mb_digest_list){ before->fp.digests, before->fp.n_distinct },
			&(struct mb_digest_list){ ref->fp.digests, ref->fp.n_distinct },
			ref->seen_ns, durable_ns, NULL) == 0;
}

static void note_changes(struct mb_fleet_slot *slot, const struct mb_fpref *before,
			 const struct mb_fpref *ref)
{
	struct mb_kept_list from = mb_fpref_list(before, UINT64_MAX, false);
	struct mb_kept_list to = mb_fpref_list(ref, UINT64_MAX, false);

	mb_change_add(&slot->changed, &from, &to);
	from = mb_fpref_list(before, UINT64_MAX, true);
	to = mb_fpref_list(ref, UINT64_MAX, true);
	mb_change_add(&slot->lasting_changed, &from, &to);
}

/* Under settle_lock; the fingerprint before is settled, since it was published before. */
static void settle(struct mb_fleet *f, struct mb_fpref *ref)
{
	struct mb_fleet_slot *slot;
	uint64_t durable_ns;

	pthread_mutex_lock(&f->lock);
	slot = f->slots[ref->vm];
	durable_ns = f->durable_ns;
	pthread_mutex_unlock(&f->lock);
	if (ref->before && !ref->before->paged_out) {
		carry(ref, ref->before, durable_ns);
		note_changes(slot, ref->before, ref);
	} else {
		mb_change_set_all(&slot->changed);
		mb_change_set_all(&slot->lasting_changed);
	}
	mb_fpref_put(ref->before);
	ref->before = NULL;
	pthread_mutex_lock(&f->lock);
	mb_fleet_account(f, slot);
	pthread_mutex_unlock(&f->lock);
}

void mb_fleet_settle_list(struct mb_fleet *f, struct mb_fpref *first)
{
	while (first) {
		struct mb_fpref *next = first->next;

		first->next = NULL;
		settle(f, first);
		mb_fpref_put(first);
		first = next;
	}
}

static struct mb_fpref *take_first(struct mb_fleet *f)
{
	struct mb_fpref *ref;

	pthread_mutex_lock(&f->lock);
	ref = f->unsettled;
	if (ref) {
		f->unsettled = ref->next;
		if (!f->unsettled)
			f->unsettled_end = &f->unsettled;
		ref->next = NULL;
	}
	pthread_mutex_unlock(&f->lock);
	return ref;
}

void mb_fleet_settle(struct mb_fleet *f)
{
	bool more;

	/* One at a time: a question may wait, too. */
	do {
		struct mb_fpref *ref;

		pthread_mutex_lock(&f->settle_lock);
		ref = take_first(f);
		more = ref;
		mb_fleet_settle_list(f, ref);
		pthread_mutex_unlock(&f->settle_lock);
	} while (more);
}
