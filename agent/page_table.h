/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame -> digest and state, for every page of the last epoch.
 *
 *	runs     [first, first+n) [first, first+n) ...   frames that are there, ascending
 *	digests  d d d d d ...    d d d ...              one each, in the same order
 *	states   s s s s s ...    s s s ...              the same: what rehash.h wants to know
 *
 * A table is filled in ascending order and then only read; the next epoch fills another one.
 */
#ifndef MB_PAGE_TABLE_H
#define MB_PAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mb_frame_run {
	uint64_t first, n;
};

struct mb_page_table {
	struct mb_frame_run *runs; /* owned */
	uint64_t *digests;	   /* [0, n_pages); owned */
	uint8_t *states;	   /* the same */
	size_t n_runs, cap_runs;
	size_t n_pages, cap_digests, cap_states;
};

struct mb_table_page {
	uint64_t frame, digest;
	uint8_t state;
};

void mb_page_table_deinit(struct mb_page_table *t);
/* Empties it, keeps the memory. */
void mb_page_table_clear(struct mb_page_table *t);
/* -EBADMSG when `frame` is not above the last one. */
int mb_page_table_append(struct mb_page_table *t, const struct mb_table_page *page,
			 struct mb_err *err);

/* Reading in order. */
struct mb_page_cursor {
	const struct mb_page_table *table;
	size_t run, page;
	uint64_t in_run;
};

static inline bool mb_page_cursor_get(const struct mb_page_cursor *c, struct mb_table_page *ret)
{
	if (c->page == c->table->n_pages)
		return false;
	ret->frame = c->table->runs[c->run].first + c->in_run;
	ret->digest = c->table->digests[c->page];
	ret->state = c->table->states[c->page];
	return true;
}

static inline void mb_page_cursor_step(struct mb_page_cursor *c)
{
	c->page++;
	if (++c->in_run == c->table->runs[c->run].n) {
		c->run++;
		c->in_run = 0;
	}
}

#endif
