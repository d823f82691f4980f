/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A database of its own for each test, and VM web1 in it. */
#ifndef MB_UTIL_STORE_H
#define MB_UTIL_STORE_H

#include "server/store.h"
#include "tests/unit/util_server.h"

extern char store_path[128];

struct mb_store *open_store(void);

/* A database of its own for each test. */
int fresh_store(void **state);

/* As a person, or a bad disk, would change the file. */
void store_sql(const char *text);

uint64_t store_count(const char *query);

struct loaded {
	struct mb_vm vms[8];
	char damage[8][300];
	uint32_t n;
	int result; /* what the callback returns */
};

int on_loaded_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err);

void load_store(struct mb_store *s, struct loaded *ret);

void unload_store(struct loaded *l);

/* Stores web1 at epoch 3 with digests 100 .. 149. */
void store_one(struct mb_store *s, struct mb_vm *ret);

/* Moves `vm` on to another fingerprint, as ingest does. */
int put_delta(struct mb_store *s, struct mb_vm *vm, uint64_t first, size_t n, struct mb_err *err);

void commit_delta(struct mb_store *s, struct mb_vm *vm, uint64_t first, size_t n);

struct rows {
	struct mb_history_row rows[16];
	uint32_t n;
	int result;
};

int on_history_row(void *ctx, const struct mb_history_row *row);
void get_history(struct mb_store *s, uint32_t limit, struct rows *ret);

/* Stores one more epoch of web1, and who dirtied frames in it. */
void commit_who(struct mb_store *s, struct mb_vm *vm, uint64_t first, const struct mb_who *who);

struct who_rows {
	struct mb_who_row rows[8];
	uint32_t n;
	uint64_t counted;
	int result;
};

int on_who_row(void *ctx, const struct mb_who_row *row);
void get_who(struct mb_store *s, uint32_t limit, struct who_rows *ret);

#endif
