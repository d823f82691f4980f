/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store: what is acked is here, on disk, before the ack goes out.
 *
 * SQLite in WAL mode, synchronous=FULL: a commit that returned survives kill -9 and power loss. A
 * handle belongs to one thread; several handles on one database are fine. A fingerprint is kept as
 * the wire's own frames: one snapshot, then deltas, until those outweigh a new snapshot.
 */
#ifndef MB_SERVER_STORE_H
#define MB_SERVER_STORE_H

#include "proto/who.h"
#include "server/fleet.h"

struct mb_store;
/*
 * Makes the database if there is none, and brings one of an older version up to ours: hold
 * mb_store_lock() meanwhile. -EPROTONOSUPPORT: made by a newer version.
 */
int mb_store_open(const char *path, struct mb_store **ret, struct mb_err *err);
void mb_store_close(struct mb_store *s);
/* Puts the log into the database whenever it has so many pages. */
void mb_store_set_checkpoint(struct mb_store *s, uint32_t pages);

/*
 * Keeps every other server off the database; *ret_fd holds the lock until it is closed. -EBUSY:
 * another server has it.
 */
int mb_store_lock(const char *path, int *ret_fd, struct mb_err *err);

/*
 * Every VM with its fingerprint, verified against the hash it was acked with; `vm` is the
 * callback's to keep (mb_vm_deinit). A VM whose rows do not add up comes with epoch 0, so that its
 * agent sends a snapshot, and `damage` says what is wrong; NULL otherwise.
 */
int mb_store_load(struct mb_store *s,
		  int (*each)(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err),
		  void *ctx, struct mb_err *err);

/*
 * store_page.c: the fingerprint of a VM once more, for one that was paged out (fpref.h). -ESTALE:
 * there is another one than `vm` has, proved by its hash; -EBADMSG: what is there is damaged.
 */
int mb_store_load_fingerprint(struct mb_store *s, const struct mb_vm *vm,
			      struct mb_fingerprint *ret, struct mb_err *err);
/* Between these all reading sees the store as it was at the first one. Nothing is written then. */
int mb_store_freeze(struct mb_store *s, struct mb_err *err);
void mb_store_thaw(struct mb_store *s);

int mb_store_begin(struct mb_store *s, struct mb_err *err);
/* Durable when it returns 0; otherwise all since begin is undone. */
int mb_store_commit(struct mb_store *s, struct mb_err *err);
void mb_store_rollback(struct mb_store *s);

struct mb_epoch_record {
	struct mb_slice frame; /* the Delta as it came, or a snapshot that replaces all before it */
	bool snapshot;
	uint64_t added, removed; /* pages */
	struct mb_slice who;	 /* the Delta's: read once, as it is */
};
/* Inside a transaction: the VM's row, its fingerprint, a row of history with who it names. Sets
 * vm->id when new. */
int mb_store_put_epoch(struct mb_store *s, struct mb_vm *vm, const struct mb_epoch_record *rec,
		       struct mb_err *err);
/* Inside a transaction: the fingerprint in one piece. Content and epoch stay. */
int mb_store_put_snapshot(struct mb_store *s, struct mb_vm *vm, struct mb_slice frame,
			  struct mb_err *err);

struct mb_sharing_record {
	int64_t vm_id;
	uint64_t epoch, acked_unix_ns; /* of the epoch that it is about */
	uint64_t inter;
	const char *partner; /* the VM it shares most with, or NULL */
	uint64_t partner_inter;
	const char *host;	       /* where it runs, or NULL */
	uint64_t here;		       /* distinct pages that another VM on that host has, too */
	uint64_t error, partner_error; /* of estimates (estimate.h); 0: exact */
	uint64_t here_error;	       /* the same */
};
/* A transaction of its own. */
int mb_store_put_sharing(struct mb_store *s, const struct mb_sharing_record *records, size_t n,
			 uint64_t at_unix_ns, struct mb_err *err);

/*
 * Bytes of the frames of the last `within_ns`, by who last wrote their VMs and by the hour, oldest
 * hours last. An error of `each` ends it, and is returned.
 */
int mb_store_taken(struct mb_store *s, uint64_t now_unix_ns, uint64_t within_ns,
		   int (*each)(void *ctx, const char *writer, uint64_t hours_ago, uint64_t bytes),
		   void *ctx, struct mb_err *err);
/* When the last row of history was acked; 0: there is none. */
int mb_store_newest(struct mb_store *s, uint64_t *ret_unix_ns, struct mb_err *err);
/*
 * The most that each VM had `here` on each host since then, and by how much the worst of those
 * figures may be off. Stops when `each` returns not 0.
 */
int mb_store_most_here(struct mb_store *s, uint64_t since_unix_ns,
		       int (*each)(void *ctx, const char *vm, const char *host, uint64_t here,
				   uint64_t here_error),
		       void *ctx, struct mb_err *err);

/* Forgets the history older than that, bit by bit; fingerprints stay. */
int mb_store_forget(struct mb_store *s, uint64_t before_unix_ns, struct mb_err *err);

/* All that is known of a VM. -ENOENT: no such VM. Not while a server uses the database. */
int mb_store_forget_vm(struct mb_store *s, const char *name, struct mb_err *err);

struct mb_history_row {
	uint64_t at_unix_ns, acked_unix_ns, epoch, epochs;
	struct mb_self_sharing sharing;
	bool has_inter;
	uint64_t inter, inter_error;
	uint64_t changed, added, removed, unread, wire_bytes, duration_ns, cpu_ns;
	bool full, has_read;
	uint64_t read;	     /* pages hashed */
	const char *tracker; /* valid in the callback */
	struct mb_audit audit;
	double recall, recall_all, precision; /* NAN: no audit, or nothing to judge by */
};
/* The newest `limit` rows, oldest first. -ENOENT: no such VM. */
int mb_store_history(struct mb_store *s, const char *vm_name, uint32_t limit,
		     int (*each)(void *ctx, const struct mb_history_row *row), void *ctx,
		     struct mb_err *err);

/*
 * Who dirtied frames in the epochs of these rows, in all: most first, last those that have no name
 * (process ""). *ret_rows: of how many of the rows it is known.
 */
int mb_store_who(struct mb_store *s, const char *vm_name, uint32_t limit,
		 int (*each)(void *ctx, const struct mb_who_row *row), void *ctx,
		 uint64_t *ret_rows, struct mb_err *err);

#endif
