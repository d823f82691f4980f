/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server without its network: VMs with agents connected, whose epochs come one by one. */
#ifndef MB_UTIL_INGEST_H
#define MB_UTIL_INGEST_H

#include "server/ingest.h"
#include "tests/unit/util_server.h"

enum { VMS = 5, RAW_MAX = 1 << 20 };

/* VMs "a".. with agents connected, each at its boot 1. */
struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_ingest *ingest;
	struct mb_hello hello[VMS];
	struct mb_fingerprint fp[VMS]; /* what the agents hold */
	uint64_t epoch[VMS];
	char path[128];
};

void ingest_scene_open(struct scene *s);

void ingest_scene_close(struct scene *s);

struct mb_ingest_job *ingest_make_job(const struct scene *s, uint32_t vm);

/* The agent's next epoch; takes the fingerprint over. */
struct mb_ingest_job *ingest_next_of(struct scene *s, uint32_t vm, struct mb_fingerprint fp);

/* Of digests first, first + step ... */
struct mb_ingest_job *ingest_next(struct scene *s, uint32_t vm, uint64_t first, uint64_t step,
				  size_t n);

/* Waits for `n` results; the caller frees them. */
void ingest_take(struct scene *s, struct mb_ingest_job **ret, int n);

struct mb_ingest_job *ingest_run(struct scene *s, struct mb_ingest_job *job);

void ingest_must(struct scene *s, struct mb_ingest_job *job, enum mb_ingest_verdict verdict,
		 const char *word);

void assert_published(struct scene *s, uint32_t index, uint64_t epoch);

void ingest_sql(struct scene *s, const char *text);

uint64_t ingest_count(struct scene *s, const char *query);

/* What a server that starts now would find is what the agents hold. */
void assert_durable(struct scene *s, uint32_t n_vms);

#endif
