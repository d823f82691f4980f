/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mover that fails in all the ways migrations fail, over a small world of its own: VMs "v0"..,
 * hosts "h0".., and "far", which no plan knows. It watches over what must never happen, and knows
 * the truth that executions have to tell.
 */
#ifndef MB_UTIL_MOVER_FAKE_H
#define MB_UTIL_MOVER_FAKE_H

#include "server/mover.h"
#include "server/plan/plan.h"
#include "tests/unit/util_fleet.h"

#define FAKE_FAR FLEET_HOSTS_MAX /* the host that no plan knows */

/* What becomes of one attempt. */
enum fake_fate {
	FATE_ARRIVES,
	FATE_REFUSED,	    /* begin: not now */
	FATE_NEVER,	    /* begin: never */
	FATE_UNSURE_BEGUN,  /* begin does not know, but it was; arrives */
	FATE_UNSURE_NOT,    /* begin does not know, and it was not */
	FATE_FAILS,	    /* midway */
	FATE_HANGS,	    /* no progress; heeds a cancel */
	FATE_DIVERGES,	    /* left grows; heeds a cancel */
	FATE_DEAF,	    /* heeds none; arrives or fails in the end, after ten deadlines */
	FATE_LATE,	    /* heeds a cancel by arriving */
	FATE_LIES_FAILED,   /* arrives, and says it failed */
	FATE_LIES_DONE,	    /* fails, and says it is done */
	FATE_LOST_A_WHILE,  /* arrives or fails, but the mover does not know for a while */
	FATE_LOST_FOR_GOOD, /* the same, for ever, and the hosts do not tell either */
	FATE_SLOW,	    /* three times the time */
	FATE_RESTARTS,	    /* starts from zero midway */
	FATE_DIES,	    /* the VM is gone afterwards */
	FATE_STOLEN,	    /* before it begins somebody moves the VM to another host */
	FATE_BY_HAND,	    /* before it begins somebody moves the VM to where it shall be */
	FATE_GONE,	    /* before it begins the VM is stopped */
	FATE_UNSEEN,	    /* before it begins nobody can tell where the VM is, a few times */
	FATES
};

struct fake_vm {
	uint32_t host; /* in truth; FLEET_HOSTS_MAX: "far" */
	uint64_t memory_mb;
	bool moving;
	bool quiet; /* it may be given up while it moves */
	uint32_t from, to;
	enum fake_fate fate;
	uint64_t begun_ms, restarted_ms, end_ms, known_ms;
	bool arrives, cancelled;
	uint32_t attempts, unseen, blinked;
	bool fated; /* the next attempt's fate is drawn, and what comes before begin() was done */
};

struct fake {
	struct mb_mover mover; /* first */
	struct rng rng;
	uint32_t n_vms, n_hosts;
	struct fake_vm vms[FLEET_VMS_MAX];
	uint64_t capacity_mb[FLEET_HOSTS_MAX];
	uint32_t per_host_max;
	/* Fates in the order in which attempts begin, FATES ends them; then by `trouble_percent`.
	 */
	const enum fake_fate *script;
	uint32_t trouble_percent;
	/* What came of it. */
	uint64_t hash; /* of all calls and answers */
	uint64_t calls[FATES], n_begun;
	char wrong[200]; /* the first thing that must never happen, or "" */
	/* Called at every begin(), before it is looked at. */
	void (*on_begin)(void *ctx, uint32_t vm);
	void *ctx;
};

/* The world as the fleet has it. */
void fake_init(struct fake *f, const struct fleet *fleet, uint64_t seed);
/* Migrations that nobody asks about go on, too. */
void fake_pass_time(struct fake *f, uint64_t now_ms);
const char *fake_host_name(uint32_t host);

#endif
