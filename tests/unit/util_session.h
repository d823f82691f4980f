/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's sessions and one that talks to them, in one thread: they take turns. */
#ifndef MB_UTIL_SESSION_H
#define MB_UTIL_SESSION_H

#include <event2/event.h>

#include "server/session.h"
#include "tests/unit/util_server.h"

struct scene {
	struct mb_sessions_config config;
	struct event_base *base;
	struct mb_fleet *fleet;
	struct mb_store *store;
	char store_path[128];
	struct mb_ingest *ingest;
	struct mb_sessions *sessions;
	struct mb_address address;
	struct mb_hello hello;
	struct mb_fingerprint fp;
	struct mb_buf delta; /* epoch 1, a snapshot */
	int fd;
	struct mb_buf in, raw;
	char said[1000];
	int n_said;
	struct mb_refusals refusals;
};

/* What may be changed in between: `config`. */
void scene_prepare(struct scene *s);
void scene_start(struct scene *s);
void scene_open(struct scene *s); /* both */
void scene_close(struct scene *s);

/* What the server does of itself, for a moment. */
void turn(struct scene *s);
void turns(struct scene *s);

/* Connects anew; closes the connection before. */
void reach(struct scene *s);
void send_bytes(struct scene *s, const void *data, size_t n);
/* A Hello; `token` 0: as on a connection of one's own, else after this break. */
void send_greeting(struct scene *s, uint64_t token);
void put_greeting(struct scene *s, uint64_t token, struct mb_buf *to);

/* Waits for `n` bytes; false: the server hung up first. */
bool await(struct scene *s, size_t n);
void drop(struct scene *s, size_t n);
/* The next thing that the server says must be this. */
void expect_break(struct scene *s, uint64_t token);
void expect(struct scene *s, enum mb_msg_type type, struct mb_msg *ret);
void expect_welcome(struct scene *s, uint64_t epoch);
void expect_ack(struct scene *s, uint64_t epoch);
void expect_refusal(struct scene *s, uint32_t code);

/* Another one of those that talk: swaps who is meant by the scene's functions. */
struct other {
	int fd;
	struct mb_buf in;
};
void swap(struct scene *s, struct other *o);
void leave(struct other *o);
/* Greets as VM `vm`, and brings its first epoch. */
void bring(struct scene *s, const char *vm);

#endif
