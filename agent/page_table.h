/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame -> digest, for every page of the last epoch.
 *
 *	runs     [first, first+n) [first, first+n) ...   frames that are there, ascending
 *	digests  d d d d d ...    d d d ...              one each, in the same order
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
	size_t n_runs, cap_runs;
	size_t n_pages, cap_pages;
};

void mb_page_table_deinit(struct mb_page_table *t);
/* Empties it, keeps the memory. */
void mb_page_table_clear(struct mb_page_table *t);
/* -EBADMSG when `frame` is not above the last one. */
int mb_page_table_append(struct mb_page_table *t, uint64_t frame, uint64_t digest,
			 struct mb_err *err);

/* Reading in order. */
struct mb_page_cursor {
	const struct mb_page_table *table;
	size_t run, page;
	uint64_t in_run;
};

static inline bool mb_page_cursor_get(const struct mb_page_cursor *c, uint64_t *ret_frame,
				      uint64_t *ret_digest)
{
	if (c->page == c->table->n_pages)
		return false;
	*ret_frame = c->table->runs[c->run].first + c->in_run;
	*ret_digest = c->table->digests[c->page];
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
