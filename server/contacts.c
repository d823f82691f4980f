// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/contacts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/cleanup.h"

/* Who hash alike have so many places together. */
enum { WAYS = 4 };

struct mb_contacts {
	pthread_mutex_t lock;
	struct mb_contact vms[MB_CONTACT_VMS], peers[MB_CONTACT_PEERS];
};

int mb_contacts_create(struct mb_contacts **ret, struct mb_err *err)
{
	struct mb_contacts *c = calloc(1, sizeof(*c));

	if (!c)
		return mb_fail_mem(err, "who came last");
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

void mb_contacts_destroy(struct mb_contacts *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static uint64_t last_ns(const struct mb_contact *c)
{
	return MB_MAX(c->greeted_ns, c->refused_ns);
}

static const char *key_of(const struct mb_contact *c)
{
	return *c->vm ? c->vm : c->refused_from;
}

/* Its place; NULL: it has none. `make`: else the oldest one's, emptied. */
static struct mb_contact *place_of(struct mb_contact *table, size_t n, const char *key, bool make)
{
	struct mb_contact *set = &table[XXH64(key, strlen(key), 0) % (n / WAYS) * WAYS];
	struct mb_contact *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (last_ns(&set[i]) && strcmp(key_of(&set[i]), key) == 0)
			return &set[i];
		if (last_ns(&set[i]) < last_ns(oldest))
			oldest = &set[i];
	}
	if (!make)
		return NULL;
	*oldest = (struct mb_contact){ .why = -1 };
	return oldest;
}

void mb_contacts_greeted(struct mb_contacts *c, const char *vm, const char *from, uint64_t unix_ns)
{
	struct mb_contact *to;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	to = place_of(c->vms, MB_CONTACT_VMS, vm, true);
	snprintf(to->vm, sizeof(to->vm), "%s", vm);
	snprintf(to->from, sizeof(to->from), "%s", from);
	to->greeted_ns = unix_ns;
	pthread_mutex_unlock(&c->lock);
}

void mb_contacts_refused(struct mb_contacts *c, const char *vm, const char *from,
			 enum mb_refusal code, int why, const char *reason, uint64_t unix_ns)
{
	struct mb_contact *to;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	to = *vm ? place_of(c->vms, MB_CONTACT_VMS, vm, true) :
		   place_of(c->peers, MB_CONTACT_PEERS, from, true);
	snprintf(to->vm, sizeof(to->vm), "%s", vm);
	snprintf(to->refused_from, sizeof(to->refused_from), "%s", from);
	snprintf(to->reason, sizeof(to->reason), "%s", reason);
	to->refused_ns = unix_ns;
	to->refusals++;
	to->code = code;
	to->why = why;
	pthread_mutex_unlock(&c->lock);
}

bool mb_contacts_find(struct mb_contacts *c, const char *vm, struct mb_contact *ret)
{
	const struct mb_contact *found;

	if (!c)
		return false;
	pthread_mutex_lock(&c->lock);
	found = place_of(c->vms, MB_CONTACT_VMS, vm, false);
	if (found)
		*ret = *found;
	pthread_mutex_unlock(&c->lock);
	return found;
}

static int by_name(const void *a, const void *b)
{
	const struct mb_contact *x = a, *y = b;

	/* Peers, who have no VM's name, last. */
	if (!*x->vm != !*y->vm)
		return !*x->vm - !*y->vm;
	return strcmp(key_of(x), key_of(y));
}

static void collect(const struct mb_contact *table, size_t n, uint64_t since_ns,
		    struct mb_contact *to, size_t *n_to)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].refused_ns && table[i].refused_ns >= since_ns)
			to[(*n_to)++] = table[i];
}

int mb_contacts_refused_since(struct mb_contacts *c, uint64_t unix_ns, struct mb_contact **ret,
			      size_t *ret_n, struct mb_err *err)
{
	*ret = NULL;
	*ret_n = 0;
	if (!c)
		return 0;
	*ret = calloc(MB_CONTACT_VMS + MB_CONTACT_PEERS, sizeof(**ret));
	if (!*ret)
		return mb_fail_mem(err, "who was refused");
	pthread_mutex_lock(&c->lock);
	collect(c->vms, MB_CONTACT_VMS, unix_ns, *ret, ret_n);
	collect(c->peers, MB_CONTACT_PEERS, unix_ns, *ret, ret_n);
	pthread_mutex_unlock(&c->lock);
	qsort(*ret, *ret_n, sizeof(**ret), by_name);
	return 0;
}
