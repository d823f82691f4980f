/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Agents that are played, many on one event loop: by the real protocol, over TLS or in clear,
 * against a real server that may be killed at any time.
 *
 *	AWAY --connected--> GREETING --Welcome, checked--> READY --epoch--> SENT --Ack, checked-->
 *READY
 *	  ^________________________________ any error _________________________________/
 *
 * What an agent was acked must be there whenever it comes back: a Welcome that names less is a
 *loss.
 */
#ifndef MB_UTIL_LOAD_H
#define MB_UTIL_LOAD_H

#include <event2/event.h>

#include "proto/base/tls.h"
#include "proto/base/uri.h"
#include "tests/bench/util_agent.h"

struct load_config {
	struct event_base *base;
	struct mb_address address;
	struct mb_tls *tls;			   /* NULL: in clear */
	const char *tls_name;			   /* of the server, in its certificate */
	uint32_t n_agents, n_pages, changed_pages; /* changed at each epoch */
	bool by_the_hour;  /* changed pages follow the hour of a day, not the figure above ... */
	uint64_t epoch_ns; /* ... where an epoch is taken for so long */
	uint64_t pause_ns; /* from an ack to the next epoch */
	uint64_t max_epochs; /* of each, then load_verify() by itself; 0: no end */
	uint64_t boot;	     /* of all: another one at each run */
};

/* Since the start. */
struct load_counts {
	uint64_t acks, bytes_sent;
	uint64_t connects, losses_of_connection, refused_for_now;
	uint64_t resyncs;	  /* must be none: our base is what Welcome named */
	uint64_t lost_acks;	  /* must be none */
	uint64_t acks_in_welcome; /* that only Welcome told of */
	uint64_t verified; /* agents that found again just what they were acked, at the end */
};

struct load;
struct load *load_start(const struct load_config *config);
const struct load_counts *load_counts(const struct load *l);
/* In order, good until the loop runs on. */
struct load_times {
	uint32_t *us;
	size_t n, cap;
};
/* From an epoch's first frame to its ack, outages and all. */
const struct load_times *load_acks(const struct load *l);
/* From losing the server, or being refused, to a Welcome; agents that were acked before. */
const struct load_times *load_ways_back(const struct load *l);
/*
 * No more epochs: each agent waits for its ack, hangs up, comes back and compares. The loop ends
 * when all have.
 */
void load_verify(struct load *l);
void load_free(struct load *l);

#endif
