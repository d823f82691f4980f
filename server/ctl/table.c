// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* Takes `cell`. */
static void push(struct mb_table *t, char *cell)
{
	if (cell && t->n_cells == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		char **cells = realloc(t->cells, cap * sizeof(*cells));

		if (cells) {
			t->cells = cells;
			t->cap = cap;
		}
	}
	if (!cell || t->n_cells == t->cap) {
		t->failed = true;
		free(cell);
		return;
	}
	for (char *p = cell; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	t->cells[t->n_cells++] = cell;
}

void mb_table_column(struct mb_table *t, bool right, const char *head)
{
	if (t->n_columns == MB_TABLE_COLUMNS_MAX)
		return;
	t->right[t->n_columns++] = right;
	push(t, strdup(head));
}

void mb_table_columns(struct mb_table *t, const char *heads)
{
	while (*heads && t->n_columns < MB_TABLE_COLUMNS_MAX) {
		size_t n = strcspn(heads, "|");

		t->right[t->n_columns++] = *heads == '>';
		push(t, strndup(heads + 1, n - 1));
		heads += n + (heads[n] == '|');
	}
}

void mb_table_put(struct mb_table *t, const char *fmt, ...)
{
	char *cell = NULL;
	va_list ap;

	/* A cell after a lost one would stand in the wrong column. */
	if (t->failed)
		return;
	va_start(ap, fmt);
	if (vasprintf(&cell, fmt, ap) < 0)
		cell = NULL;
	va_end(ap);
	push(t, cell);
}

/* Columns of a terminal, for UTF-8 without wide characters. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool row_is_empty_from(const struct mb_table *t, size_t row, size_t column)
{
	for (size_t i = row + column; i < row + t->n_columns && i < t->n_cells; i++)
		if (*t->cells[i])
			return false;
	return true;
}

static void pad(FILE *to, size_t n)
{
	fprintf(to, "%*s", (int)n, "");
}

void mb_table_print(const struct mb_table *t, FILE *to)
{
	size_t widest[MB_TABLE_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < t->n_cells; i++)
		widest[i % t->n_columns] = MB_MAX(widest[i % t->n_columns], width(t->cells[i]));
	for (size_t row = 0; row < t->n_cells; row += t->n_columns) {
		for (size_t c = 0; c < t->n_columns && row + c < t->n_cells; c++) {
			const char *cell = t->cells[row + c];
			size_t gap = widest[c] - width(cell);

			if (row_is_empty_from(t, row, c))
				break;
			if (c)
				pad(to, 2);
			if (t->right[c])
				pad(to, gap);
			fputs(cell, to);
			if (!t->right[c] && !row_is_empty_from(t, row, c + 1))
				pad(to, gap);
		}
		fputc('\n', to);
	}
	if (t->failed)
		fputs("(cut short: out of memory)\n", to);
}

void mb_table_deinit(struct mb_table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct mb_table){ 0 };
}
