/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mover: what carries out one migration, or starts a VM that runs nowhere.
 *
 * The execution (server/execution.h) decides what is asked and when, server/execution_drive.c asks;
 * nobody else calls a hook. All hooks are required, are called by one thread, and return at once:
 * what lasts goes on behind begin() and is asked for by poll(). The truth is where the VM runs, so
 * locate() is asked before every begin() and after every end, whatever poll() said.
 *
 * A hook may find a server that was restarted since begin(): everything that it needs is in struct
 * mb_migration, and what it remembers besides may be gone. Movers do not see each other, nor the
 * store.
 *
 * How each hook maps to libvirt is said beside it; "from" and "to" are connections there.
 */
#ifndef MB_SERVER_MOVER_H
#define MB_SERVER_MOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mb_mover {
	const struct mb_mover_ops *ops; /* each mover embeds this first */
};

/* One attempt at one move. The caller's, valid during the call only. Times are ms since 1970. */
struct mb_migration {
	const char *vm;
	const char
		*from; /* NULL: a first placement. It runs nowhere, and is to be started on `to` */
	const char *to;
	uint64_t memory_mb;	   /* full size */
	uint64_t copy_mb, time_s;  /* what the plan expects: to be copied; for how long */
	uint32_t bandwidth_mbit_s; /* not more than this; 0: no limit */
	uint64_t deadline_ms;  /* then it is cancelled by the caller; for how hard to throttle */
	uint64_t begun_ms;     /* when begin() was called for it; 0: not yet */
	uint64_t cancelled_ms; /* when cancel() was first called for it; 0: not yet */
};

enum mb_begun {
	MB_BEGUN_OK,
	MB_BEGUN_REFUSED, /* surely nothing was begun; it may go later (no memory, no connection) */
	MB_BEGUN_NEVER,	  /* surely nothing was begun, nor ever will be (a device passed through) */
	MB_BEGUN_UNSURE,  /* the connection broke meanwhile: poll() will tell */
};

enum mb_polled {
	MB_POLLED_RUNNING,
	MB_POLLED_DONE,	  /* it runs on `to`, says the mover */
	MB_POLLED_FAILED, /* over, or never was: nothing is under way for this VM any more */
	MB_POLLED_LOST,	  /* the mover does not know: hosts not reached, say */
};

enum mb_cancelled {
	MB_CANCELLED_ASKED, /* poll() tells how it ended: it may arrive all the same */
	MB_CANCELLED_LATE,  /* nothing to be cancelled any more: done, or failed */
	MB_CANCELLED_LOST,  /* could not be asked for; the caller asks again */
};

enum mb_located {
	MB_LOCATED_HOST,
	MB_LOCATED_NOWHERE, /* all hosts were asked, and none runs it */
	MB_LOCATED_UNKNOWN,
};

struct mb_copied {
	uint64_t copied_mb, left_mb; /* left may grow: the VM dirties its memory meanwhile */
	uint64_t ask_in_ms;	     /* nothing new before that; 0: the caller knows best */
};

struct mb_mover_ops {
	const char *name;

	/* The end of it; migrations that are under way go on. */
	void (*close)(struct mb_mover *m);
	/*
	 * Starts it and does not wait. Never called for a VM that has another one under way, and
	 * only when the caller has written down that it is about to. The reason of all but OK in
	 * err. Libvirt: a thread of its own in virDomainMigrateToURI3() on `from` with
	 * VIR_MIGRATE_LIVE | PEER2PEER | PERSIST_DEST | UNDEFINE_SOURCE and the parameter
	 * BANDWIDTH; AUTO_CONVERGE where the deadline is near. From nowhere: virDomainCreate() on
	 * `to`.
	 */
	enum mb_begun (*begin)(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
			       struct mb_err *err);
	/*
	 * The reason of FAILED and LOST in err; *ret_progress is zeroed by the caller. Libvirt:
	 * virDomainGetJobStats() on `from`; with VIR_DOMAIN_JOB_STATS_COMPLETED once there is no
	 * job; LOST on VIR_ERR_NO_CONNECT, VIR_ERR_RPC and the like.
	 */
	enum mb_polled (*poll)(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
			       struct mb_copied *ret_progress, struct mb_err *err);
	/*
	 * Only asks. May be called again when nothing happens. The reason of LOST in err. Libvirt:
	 * virDomainAbortJob() on `from`; LATE when there is no job.
	 */
	enum mb_cancelled (*cancel)(struct mb_mover *m, const struct mb_migration *g,
				    uint64_t now_ms, struct mb_err *err);
	/*
	 * Where the VM runs now, as the hosts say themselves. `to` only when it runs there and
	 * `from` has let it go: while it is on both it is still on `from`. *ret_host is the
	 * mover's, valid until the next call. The reason of UNKNOWN in err. Libvirt:
	 * virDomainLookupByName() and virDomainGetState() on `from`, on `to`, then on all others.
	 */
	enum mb_located (*locate)(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
				  const char **ret_host, struct mb_err *err);
};

/*
 * Moves nothing, and says what would be: a migration takes the time that the plan expects, and then
 * the VM is there. It remembers nothing, so that `struct mb_mover m = { &mb_mover_dry }` is one.
 */
extern const struct mb_mover_ops mb_mover_dry;
/* The same, but driven at the pace of real migrations, so that it can be watched and cancelled. */
extern const struct mb_mover_ops mb_mover_rehearsal;

#endif
