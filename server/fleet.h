/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fleet in memory: every VM's last durable fingerprint and what goes with it.
 *
 * Shared by the event loop (who is connected), the ingest worker (who publishes) and readers (who
 * take a snapshot). A fingerprint never changes once it is published; readers hold a reference and
 * compute without a lock. VMs are never removed while the server runs, so an index stays good.
 */
#ifndef MB_SERVER_FLEET_H
#define MB_SERVER_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/fingerprint.h"
#include "proto/msg.h"
#include "server/durable.h"

enum { MB_SERVED_VMS_MAX = 100000, MB_TEXT_MAX = 401 };

/* A shared, immutable fingerprint, and which of its contents last. */
struct mb_fpref;
/* Takes the fingerprint over. NULL: out of memory (then it is still the caller's). */
struct mb_fpref *mb_fpref_new(struct mb_fingerprint *fp);
struct mb_fpref *mb_fpref_get(struct mb_fpref *ref);
void mb_fpref_put(struct mb_fpref *ref); /* NULL is fine */
const struct mb_fingerprint *mb_fpref_fingerprint(const struct mb_fpref *ref);
/* Good after mb_fleet_settle(); NULL: nothing is known, so all of it lasts. */
const struct mb_durable *mb_fpref_durable(const struct mb_fpref *ref);

/* Everything about one VM at its last acked epoch. */
struct mb_vm {
	int64_t id; /* in the store; 0: not stored yet */
	char name[MB_NAME_MAX], host[MB_NAME_MAX];
	char source[MB_TEXT_MAX], tracker[MB_TEXT_MAX];
	struct mb_identity identity;
	uint64_t memory_bytes;
	struct mb_boot boot;
	uint64_t epoch;			/* 0: nothing held */
	struct mb_pass_info pass;	/* its tracker: see above */
	struct mb_self_sharing sharing; /* of all that the VM has, exactly */
	struct mb_sample_of sample;	/* how fp was made smaller, and what of (proto/small.h) */
	uint64_t acked_unix_ns, wire_bytes;
	uint64_t snapshot_bytes, log_bytes, log_seq; /* of the store */
	struct mb_fpref *fp;			     /* the empty fingerprint at epoch 0 */
	uint64_t session;			     /* connected agent, 0: none */
	/* When its agent last named another host than before, and which one that was. */
	uint64_t moved_ns; /* 0: never since the server started */
	char moved_from[MB_NAME_MAX];
	uint32_t index; /* of a copy in a snapshot: which VM of the fleet */
};

struct mb_fleet;
int mb_fleet_create(struct mb_fleet **ret, struct mb_err *err);
void mb_fleet_destroy(struct mb_fleet *f);

/* A VM as the store has it; takes the reference in `vm` over. For start-up. */
int mb_fleet_add(struct mb_fleet *f, const struct mb_vm *vm, struct mb_err *err);

/*
 * An agent introduces itself. Makes the VM if it is new, marks it connected, and says what is held
 * (epoch 0 when that is of another boot or identity, or made smaller in another way than *ret
 * says, which the caller has agreed to). -EXDEV: the trust domain has another key;
 * -EBUSY: the VM has a connected agent; -ENOSPC: too many VMs.
 */
int mb_fleet_greet(struct mb_fleet *f, const struct mb_hello *hello, uint64_t session,
		   struct mb_welcome *ret, uint32_t *ret_vm, struct mb_err *err);
/* -EXDEV: other VMs of the trust domain are held, and they have another key. */
int mb_fleet_check_key(struct mb_fleet *f, uint32_t vm, const struct mb_identity *identity,
		       struct mb_err *err);
void mb_fleet_leave(struct mb_fleet *f, uint32_t vm, uint64_t session);

/* A copy, with a reference of its own: mb_vm_deinit(). */
void mb_fleet_get(struct mb_fleet *f, uint32_t index, struct mb_vm *ret);
void mb_vm_deinit(struct mb_vm *vm);
/* What is now durable; what agents say in Hello is left as it is. Takes the reference over. */
void mb_fleet_publish(struct mb_fleet *f, uint32_t index, const struct mb_vm *vm);

/* How long contents must stay to count as durable, from now on. */
void mb_fleet_set_durable(struct mb_fleet *f, uint64_t time_ns);
/*
 * Works out what lasts of all that was published so far: a merge per fingerprint, which need not be
 * waited for before an ack. Until then the fingerprint before is held, too. Who does not call it
 * has the next publish or reader do the work.
 */
void mb_fleet_settle(struct mb_fleet *f);

struct mb_fleet_snapshot {
	struct mb_vm *vms; /* sorted by name; owned */
	uint32_t n;
	uint64_t generation; /* grows with every publish */
};
int mb_fleet_snapshot(struct mb_fleet *f, struct mb_fleet_snapshot *ret, struct mb_err *err);
/* What agents say of themselves may change between publishes: brings it up to date. */
void mb_fleet_refresh(struct mb_fleet *f, struct mb_fleet_snapshot *s);
void mb_fleet_snapshot_deinit(struct mb_fleet_snapshot *s);
uint64_t mb_fleet_generation(struct mb_fleet *f);

#endif
