/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ingest: a worker thread that makes Delta frames durable.
 *
 *	event loop --job--> [ decode, apply, verify, store ] x many, one commit --result--> event
 *loop
 *
 * Jobs that wait are committed together, so that one fsync serves many agents. The fleet sees an
 *epoch only after its commit. A session has at most one job here, which bounds the queue.
 */
#ifndef MB_SERVER_INGEST_H
#define MB_SERVER_INGEST_H

#include "server/fleet.h"
#include "server/store.h"

enum mb_ingest_verdict {
	MB_INGEST_DURABLE, /* ack `fingerprint` at `epoch` */
	MB_INGEST_RESYNC,  /* what is held is not the base: ask for a snapshot */
	MB_INGEST_BAD,	   /* not understood: refuse */
	MB_INGEST_FOREIGN, /* its trust domain has another key: refuse */
	MB_INGEST_FAILED,  /* not the agent's fault: refuse for now */
};

struct mb_ingest_job {
	void *session; /* the owner's; comes back in the result */
	uint32_t vm;
	char writer[MB_WRITER_MAX]; /* the session's peer */
	struct mb_boot boot;	    /* of the session */
	struct mb_identity identity;
	struct mb_sample_of agreed; /* in it: shift and cut_bits */
	struct mb_buf frame;	    /* one whole frame; owned by the job */
	/* The result. */
	enum mb_ingest_verdict verdict;
	uint64_t epoch;
	struct mb_fingerprint_id fingerprint;
	struct mb_err reason;
	char news[200]; /* of the trust domain, for the log; "": none */
	struct mb_ingest_job *next;
};

struct mb_ingest;
/* The store is the worker's from now on. */
int mb_ingest_create(struct mb_fleet *fleet, struct mb_store *store, uint32_t raw_max_bytes,
		     struct mb_ingest **ret, struct mb_err *err);
/* Finishes what is queued, then ends the thread. Results not taken are freed. */
void mb_ingest_destroy(struct mb_ingest *in);

/* Takes the job over. */
void mb_ingest_submit(struct mb_ingest *in, struct mb_ingest_job *job);
/* Readable when there are results. */
int mb_ingest_fd(const struct mb_ingest *in);
/* All results so far, in order; each is the caller's (mb_ingest_job_free). NULL: none. */
struct mb_ingest_job *mb_ingest_take(struct mb_ingest *in);
void mb_ingest_job_free(struct mb_ingest_job *job);

#endif
