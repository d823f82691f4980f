/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON values as cells of a table, the same way in every table. A missing or null value is "-". */
#ifndef MB_CTL_CELLS_H
#define MB_CTL_CELLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/err.h"
#include "server/ctl/render.h"
#include "server/ctl/table.h"

/* -EBADMSG when `root` has no such list. */
int mb_cell_list(const json_t *root, const char *key, const json_t **ret, struct mb_err *err);

/* One cell each. */
void mb_cell_text(struct mb_table *t, const json_t *o, const char *key);
/* Whole, or with one digit. */
void mb_cell_number(struct mb_table *t, const json_t *o, const char *key);
/* "yes" or "no" */
void mb_cell_bool(struct mb_table *t, const json_t *o, const char *key);
/* Unix ms as local date and time, with milliseconds if asked for */
void mb_cell_time(struct mb_table *t, const json_t *o, const char *key, bool with_ms);
/* The names of a list, cut after `max` characters: "a, b and 3 more". */
void mb_cell_names(struct mb_table *t, const json_t *list, size_t max);

/* Pages to MB with one digit, rounded. */
double mb_cell_mb_of(int64_t pages, uint32_t page_bytes);
/* Of an error: rounded up. */
double mb_cell_error_mb_of(int64_t pages, uint32_t page_bytes);
void mb_cell_mb(struct mb_table *t, const json_t *o, const char *key, uint32_t page_bytes);
void mb_cell_mb_value(struct mb_table *t, int64_t pages, uint32_t page_bytes);

/* The same with how far it may be off, where the object says so: "12.5 +-0.3". */
void mb_cell_mb_error(struct mb_table *t, const json_t *o, const char *key, const char *error_key,
		      uint32_t page_bytes);
void mb_cell_number_error(struct mb_table *t, const json_t *o, const char *key,
			  const char *error_key);
/* What +- is, above all else, where an answer is an estimate. */
void mb_cell_estimate(FILE *to, const json_t *root);

/*
 * What every table says of a VM or a trace: its pages, then in MB all of them, zero, self (without
 * the zero page's), `inter` if asked for, and distinct. The legend goes below the table.
 */
void mb_cell_sharing_heads(struct mb_table *t, bool inter);
void mb_cell_sharing(struct mb_table *t, const json_t *o, uint32_t page_bytes, bool inter);
void mb_cell_sharing_legend(FILE *to, bool inter);
/* "Trust domain d: xxh64, 64 bits": the hash identity of an object, without an end of line */
void mb_cell_identity(FILE *to, const json_t *o);
/* "page_bytes" of an object, 4096 if it has none that makes sense. */
uint32_t mb_cell_page_bytes(const json_t *o);

/* The strongest pairs seen so far, strongest first; of equal ones the first offered. */
struct mb_pairs_top {
	size_t n;
	struct mb_pair_value {
		int64_t value;
		size_t a, b;
	} items[MB_RENDER_PAIRS_MAX];
};
void mb_pairs_top_offer(struct mb_pairs_top *top, int64_t value, size_t a, size_t b);

#endif
