/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fleet in memory: every VM's last durable fingerprint and what goes with it.
 *
 * Shared by the event loop (who is connected), the ingest worker (who publishes) and readers (who
 * take a snapshot). A fingerprint never changes once it is published; readers hold a reference and
 * compute without a lock. A snapshot is copied in pieces, so that nobody waits for all of it. VMs
 * are never removed while the server runs, so an index stays good.
 *
 * With a memory budget, fingerprints may be paged out (fpref.h): the store has what is missing.
 */
#ifndef MB_SERVER_FLEET_H
#define MB_SERVER_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/fingerprint.h"
#include "proto/msg.h"
#include "server/fpref.h"
#include "server/key_rotation.h"

enum { MB_SERVED_VMS_MAX = 100000, MB_TEXT_MAX = 401, MB_WRITER_MAX = 160 };

/* Sums since the server started. */
struct mb_vm_totals {
	uint64_t deltas, epochs, wire_bytes, changed_pages;
	struct mb_audit audit;
};

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
	char writer[MB_WRITER_MAX]; /* the peer that sent it (peers.h); "": not known */
	struct mb_vm_totals totals; /* kept by mb_fleet_publish() */
	uint64_t snapshot_bytes, log_bytes, log_seq; /* of the store */
	struct mb_fpref *fp;			     /* the empty fingerprint at epoch 0 */
	uint64_t session;			     /* connected agent, 0: none */
	/* When its agent last named another host than before, and which one that was. */
	uint64_t moved_ns; /* 0: never since the server started */
	char moved_from[MB_NAME_MAX];
	/* Of a copy in a snapshot: which VM of the fleet, and whether it is paged out now. */
	uint32_t index;
	bool paged_out;
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
/* Both identities may be held: they have one key, or those of a rotation. */
bool mb_fleet_may_coexist(struct mb_fleet *f, const struct mb_identity *a,
			  const struct mb_identity *b);
void mb_fleet_leave(struct mb_fleet *f, uint32_t vm, uint64_t session);

/* A copy, with a reference of its own: mb_vm_deinit(). */
void mb_fleet_get(struct mb_fleet *f, uint32_t index, struct mb_vm *ret);
void mb_vm_deinit(struct mb_vm *vm);
/* What is now durable; what agents say in Hello is left as it is. Takes the reference over. */
void mb_fleet_publish(struct mb_fleet *f, uint32_t index, const struct mb_vm *vm);

/* How long contents must stay to count as durable, from now on. */
void mb_fleet_set_durable(struct mb_fleet *f, uint64_t time_ns);
/*
 * Works out what lasts, and what changed, of all that was published so far: a merge or two per
 * fingerprint, which need not be waited for before an ack. Until then the fingerprint before is
 * held, too.
 */
void mb_fleet_settle(struct mb_fleet *f);

struct mb_fleet_snapshot {
	struct mb_vm *vms; /* sorted by name; owned */
	uint32_t n;
	uint64_t generation; /* grows with every publish */
	/* Of its fingerprints; if there are any, samples of one in 2^shift are what all have. */
	uint32_t n_paged_out;
	unsigned int sample_shift;
};
int mb_fleet_snapshot(struct mb_fleet *f, struct mb_fleet_snapshot *ret, struct mb_err *err);
/*
 * The same, settled, and what changed of each VM since the last time: of its digests, and of those
 * of them that last. For one reader, who keeps what follows from it.
 */
struct mb_fleet_changes {
	struct mb_change *changed, *lasting; /* [0, n), as the snapshot's VMs; owned */
	uint32_t n;
};
int mb_fleet_take(struct mb_fleet *f, struct mb_fleet_snapshot *ret,
		  struct mb_fleet_changes *ret_changes, struct mb_err *err);
void mb_fleet_changes_deinit(struct mb_fleet_changes *c);
/* What agents say of themselves may change between publishes: brings it up to date. */
void mb_fleet_refresh(struct mb_fleet *f, struct mb_fleet_snapshot *s);
void mb_fleet_snapshot_deinit(struct mb_fleet_snapshot *s);
uint64_t mb_fleet_generation(struct mb_fleet *f);
struct mb_fleet_count {
	uint32_t vms, online;
};
struct mb_fleet_count mb_fleet_count(struct mb_fleet *f);

/* What mb_fleet_begin_rotation() would begin, or why it must not: mb_key_rotation_plan(). */
int mb_fleet_plan_rotation(struct mb_fleet *f, const char *domain, uint32_t to,
			   struct mb_key_rotation *ret, struct mb_err *err);
/* Counts anew. 1: it is over at once, since no VM that is held has the key it comes from. */
int mb_fleet_begin_rotation(struct mb_fleet *f, const struct mb_key_rotation *r,
			    struct mb_err *err);
/* The i-th of those under way; false: there are fewer. */
bool mb_fleet_rotation(struct mb_fleet *f, uint32_t i, struct mb_key_rotation *ret);
/*
 * Ends one whose VMs all have the new key: the old one is refused from now on. False: there is
 * none. For who publishes, when all is published that was let in together.
 */
bool mb_fleet_end_rotation(struct mb_fleet *f, struct mb_key_rotation *ret);

/* --- memory budget (fleet_budget.c) ----------------------------------------------------------- */

/*
 * What fingerprints may take, with what lasts and what changed of them; 0: no limit. Beyond it are
 * copies that somebody works with: an ingest's own VM, a question's.
 */
void mb_fleet_set_budget(struct mb_fleet *f, uint64_t bytes);
/*
 * Pages out until the budget is kept: VMs without an agent first, the least recently acked one of
 * them first; then the largest, so that in a fleet that sends in turn the same stay. Samples
 * shrink, for all VMs, until they would fit a quarter of the budget. For the ingest worker, or
 * before there is one.
 */
void mb_fleet_trim(struct mb_fleet *f);
/*
 * A VM's fingerprint as the store has it; takes `fp` over. For the ingest worker, who publishes.
 * -ESTALE: it is another one than the VM has.
 */
int mb_fleet_page_in(struct mb_fleet *f, uint32_t index, struct mb_fingerprint *fp,
		     struct mb_err *err);

struct mb_fleet_memory {
	uint64_t held_bytes, budget_bytes; /* 0: no budget */
	uint32_t n_paged_out;
	unsigned int sample_shift; /* samples are one in 2^shift: all VMs have as much at least */
	/* Since the server started: VMs paged out, and those that a delta needed again. */
	uint64_t page_outs, page_ins;
};
void mb_fleet_memory(struct mb_fleet *f, struct mb_fleet_memory *ret);

#endif
