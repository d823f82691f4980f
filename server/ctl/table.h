/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text tables: columns as wide as their widest cell, two spaces between them.
 *
 * Cells are put row by row. What could not be kept for lack of memory is missing at the end of the
 * table; mb_table_print() says so. Control characters become '?': a terminal must not obey them.
 */
#ifndef MB_CTL_TABLE_H
#define MB_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { MB_TABLE_COLUMNS_MAX = 40 };

struct mb_table {
	size_t n_columns;
	bool right[MB_TABLE_COLUMNS_MAX]; /* how the column is aligned */
	char **cells;			  /* the heads first; owned */
	size_t n_cells, cap;
	bool failed;
};

/* "<host|>pages|>MB": heads, '<' for text and '>' for figures. More may follow before any cell. */
void mb_table_columns(struct mb_table *t, const char *heads);
/* One column of any text. */
void mb_table_column(struct mb_table *t, bool right, const char *head);
/* The next cell. */
void mb_table_put(struct mb_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mb_table_print(const struct mb_table *t, FILE *to);
void mb_table_deinit(struct mb_table *t);

#endif
