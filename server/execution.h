/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carrying out an ordered plan: which move begins when, and what became of each.
 *
 * A pure state machine: it calls nobody and has no clock. mb_execution_step() says the next thing
 * to ask the mover (server/mover.h), the caller asks (server/execution_drive.h), and tells the
 * answer. Times are handed in, ms since 1970, so that a restart of the server may lie between any
 * two calls; mb_execution_to_json() and back keep all of it.
 *
 *	         +------------- again, later -------------+
 *	         v                                        |
 *	waiting --> running: locate, begin, poll ..., locate --> done
 *	   |           |  ^            |                  |
 *	   v           v  |            v (asked, too slow)+----> failed, cancelled
 *	skipped        lost --> lost for good         cancel
 *
 * What a move waits for: it begins only when every earlier move that leaves its destination, and
 * the earlier one of the same VM, is done. If one of these ended otherwise the move is skipped.
 * Moves that wait for nothing overtake others. Why that never over-fills a host: let M be the last
 * move, in the plan's order, of those that have begun to a host. All that leave the host before M
 * have left, for M waited for them; so who is on the host, those on their way counted on both ends,
 * are some of those that the plan, step by step, has there after M, and these fit. The other rules
 * (apart, tenants, loads) hold for the same reason: what is allowed together stays allowed when one
 * is taken away (server/plan/room.h). A failed move only leaves its VM where it was, and all that
 * counts on its place is skipped.
 *
 * On top of that a host never gets a VM beyond `limit_mb`, at full sizes, both ends counted; it can
 * be met only when others move VMs by hand. A plan that counts sharing as room goes above a host's
 * memory at full sizes: moves to such a host begin one by one, in the plan's order, and each
 * waits until the one before has merged.
 */
#ifndef MB_SERVER_EXECUTION_H
#define MB_SERVER_EXECUTION_H

#include <jansson.h>

#include "proto/msg.h"
#include "server/mover.h"
#include "server/plan/plan.h"

enum {
	MB_EXECUTION_MOVES_MAX = 200000, /* two for each VM of the largest fleet */
	MB_EXECUTION_REASON_BYTES = 200,
};

enum mb_move_state {
	MB_MOVE_WAITING, /* for others, for a free slot, or to be tried again */
	MB_MOVE_RUNNING,
	MB_MOVE_LOST,	   /* nobody can tell what became of it; both hosts keep its room */
	MB_MOVE_DONE,	   /* the VM runs on `to` */
	MB_MOVE_FAILED,	   /* it does not, for the reason given */
	MB_MOVE_CANCELLED, /* the operator's wish; the VM is where it was */
	MB_MOVE_SKIPPED,   /* never tried */
	MB_MOVE_STATES
};

enum mb_execution_state {
	MB_EXECUTION_RUNNING,
	MB_EXECUTION_DONE,	 /* every move is */
	MB_EXECUTION_INCOMPLETE, /* ended, but not every move is done */
	MB_EXECUTION_CANCELLED,	 /* the same, and the operator wanted the end */
	MB_EXECUTION_STATES
};

struct mb_execution_options {
	uint32_t per_host_max;	   /* moves at a time to or from one host */
	uint32_t total_max;	   /* of all hosts together; 0: no limit */
	uint32_t tries_max;	   /* of one move */
	uint32_t cancels_max;	   /* asked so often to stop, it is taken for lost */
	uint32_t trouble_max;	   /* so many in a row failed: nothing more goes to that host */
	uint32_t deadline_percent; /* of the time that the plan expects ... */
	uint64_t deadline_min_ms;  /* ... but at least this; then it is cancelled, and not tried
				      again */
	uint64_t poll_ms;	   /* between two looks at a running move */
	uint64_t backoff_ms;	   /* before the second try; doubles with each */
	uint64_t backoff_max_ms;   /* but no more; also of looks at lost moves, and of poll_ms */
	uint64_t cancel_ms;	   /* between two requests to stop */
	uint64_t lost_max_ms; /* then a lost move is given up; 0: never, the operator decides */
	uint32_t bandwidth_mbit_s; /* of one move; 0: no limit */
};
extern const struct mb_execution_options mb_execution_options_default;

/* What is to be asked next about a running or lost move. */
enum mb_move_next {
	MB_NEXT_NONE,
	MB_NEXT_LOCATE, /* before anything is begun */
	MB_NEXT_BEGIN,
	MB_NEXT_POLL,
	MB_NEXT_CANCEL,
	MB_NEXT_SETTLE, /* it is over: where is the VM? */
	MB_NEXT_PEEK,	/* it is lost: has it arrived? */
	MB_NEXT_END
};

struct mb_execution_host {
	char name[MB_NAME_MAX];
	uint64_t base_mb; /* full sizes of what is on it when the execution is made */
	uint64_t
		limit_mb; /* it never holds more, both ends counted, once something is on its way */
	bool in_order;	  /* sharing counts as room there */
	uint32_t troubles; /* moves to it that failed in a row, for what may be its fault */
	/* From here on it follows from the moves. */
	uint64_t used_mb;
	uint32_t n_busy;
	uint64_t merged_ms;	  /* in_order: what came last has merged */
	uint32_t first_leaving;	  /* the part of leaving[] that is this host's begins there, */
	uint32_t n_leaving, left; /* is so long, and so many of it are done */
};

struct mb_execution_move {
	char vm[MB_NAME_MAX];
	uint32_t from, to; /* hosts; from MB_NOWHERE: a first placement */
	uint64_t memory_mb, copy_mb, time_s, merge_s;
	/* Moves that bring VMs which belong together, and are together, elsewhere; 0: of none. */
	uint32_t group;
	enum mb_move_state state;
	enum mb_move_next next;
	uint32_t tries;			    /* begun so often, or wanted to be */
	uint32_t looks;			    /* in vain, one after the other */
	uint32_t absences;		    /* seen on no host, one after the other */
	uint32_t cancels;		    /* asked so often to stop */
	uint64_t due_ms;		    /* `next`, or the next try of one that waits */
	uint64_t begun_ms;		    /* the last try; 0: none */
	uint64_t cancelled_ms, recancel_ms; /* first and next request of that try to stop */
	uint64_t lost_ms;		    /* since when; 0: not lost */
	uint64_t ended_ms;		    /* 0: not yet */
	uint64_t copied_mb, left_mb;	    /* as the mover said last */
	uint32_t found;	  /* neither here nor there but on this host; MB_NOWHERE: not so */
	bool holds_to;	  /* its size counts on `to` */
	bool said_done;	  /* what the mover said last */
	bool is_too_slow; /* it was cancelled for this */
	bool is_hopeless; /* no second try */
	bool blames_host; /* its failure may be the destination's */
	char reason[MB_EXECUTION_REASON_BYTES]; /* printable ASCII */
	/* Not written down. */
	bool asked;    /* no answer yet */
	uint32_t same; /* the move before it of the same VM, or MB_NOWHERE */
};

/* Everything in it is for reading only. */
struct mb_execution {
	struct mb_execution_options options;
	struct mb_execution_host *hosts;
	struct mb_execution_move *moves; /* in the plan's order */
	uint32_t n_hosts, n_moves;
	uint64_t created_ms, cancelled_ms, ended_ms; /* 0: not so */
	bool changed;				     /* since mb_execution_saved() */
	/* From here on it follows from the moves. */
	uint32_t *leaving; /* moves, by the host that they leave, then in order */
	uint32_t *active;  /* running or lost, ascending */
	uint32_t n_active, n_open, first_open;
	bool scan;	      /* something has changed for those that wait */
	uint64_t scan_due_ms; /* time itself changes something for them then */
};

/*
 * The feasible moves of a plan; the others are there as skipped. -EINVAL: an option that cannot be,
 * or a plan whose moves do not follow from each other and from the fleet. Nothing is borrowed.
 */
int mb_execution_create(struct mb_execution *ret, const struct mb_fleet_view *fleet,
			const struct mb_plan_options *plan_options, const struct mb_plan *plan,
			const struct mb_execution_options *options, uint64_t now_ms,
			struct mb_err *err);
void mb_execution_deinit(struct mb_execution *x);

enum mb_order_kind {
	MB_ORDER_NONE,
	MB_ORDER_LOCATE,
	MB_ORDER_BEGIN,
	MB_ORDER_POLL,
	MB_ORDER_CANCEL
};
struct mb_order {
	enum mb_order_kind kind;
	uint32_t move;
	uint64_t wake_ms; /* of NONE: step again then; UINT64_MAX: ended, or answers are missing */
};
/*
 * The next thing to ask. Before BEGIN is asked the execution must be durable as it is now: then a
 * crash in between looks like a move that was begun and came to nothing, never like one that was
 * not begun. Several orders may be under way at once, of different moves.
 */
struct mb_order mb_execution_step(struct mb_execution *x, uint64_t now_ms);
/* It could not be made durable, so BEGIN was not asked: it is due again a little later. */
void mb_execution_take_back(struct mb_execution *x, uint32_t move, uint64_t now_ms);
/* What to ask it about. */
void mb_execution_migration(const struct mb_execution *x, uint32_t move, struct mb_migration *ret);

/* The answers; each to its order. */
void mb_execution_located(struct mb_execution *x, uint32_t move, enum mb_located where,
			  const char *host, const char *reason, uint64_t now_ms);
void mb_execution_begun(struct mb_execution *x, uint32_t move, enum mb_begun said,
			const char *reason, uint64_t now_ms);
void mb_execution_polled(struct mb_execution *x, uint32_t move, enum mb_polled said,
			 const struct mb_copied *progress, const char *reason, uint64_t now_ms);
void mb_execution_cancelled(struct mb_execution *x, uint32_t move, enum mb_cancelled said,
			    const char *reason, uint64_t now_ms);

/* The operator wants the end: what runs is asked to stop, what waits is skipped. */
void mb_execution_cancel(struct mb_execution *x, uint64_t now_ms);
/* The operator knows where the VM of a lost move is. -EINVAL: it is not lost. */
int mb_execution_decide(struct mb_execution *x, uint32_t move, bool arrived, uint64_t now_ms,
			struct mb_err *err);

enum mb_execution_state mb_execution_state(const struct mb_execution *x);
static inline bool mb_execution_has_ended(const struct mb_execution *x)
{
	return !x->n_open;
}
static inline void mb_execution_saved(struct mb_execution *x)
{
	x->changed = false;
}

const char *mb_move_state_name(enum mb_move_state s);
const char *mb_execution_state_name(enum mb_execution_state s);

/*
 * All of it, in the shape that docs/json.md promises under "executions", with more keys. NULL: out
 * of memory.
 */
json_t *mb_execution_to_json(const struct mb_execution *x);
/* -EINVAL says what and where. */
int mb_execution_from_json(struct mb_execution *ret, const json_t *json, struct mb_err *err);

#endif
