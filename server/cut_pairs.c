// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/cut_pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* Rows of the matrix whose filters are in memory at a time: one at least, ... */
enum { ROWS_MAX = 32 };
/* ... and of large filters no more than fit here. */
#define ROWS_BYTES ((size_t)256 << 20)

struct filters {
	uint64_t *rows, *column; /* owned */
	uint32_t n_rows;
	size_t n_words;
	uint32_t cut_bits;
};

static void filters_deinit(struct filters *f)
{
	free(f->rows);
	free(f->column);
}

static void fill(const struct filters *f, const struct mb_cut_vm *vm, uint64_t *words)
{
	uint32_t down = vm->side.bits - f->cut_bits;

	memset(words, 0, f->n_words * sizeof(*words));
	for (uint32_t i = 0; i < vm->list.n; i++) {
		uint64_t bit = vm->list.digests[i] >> down;

		words[bit / 64] |= (uint64_t)1 << bit % 64;
	}
}

static uint64_t ones(uint64_t word)
{
	return (uint64_t)__builtin_popcountll(word);
}

/* Of the part of the space that both have: what a sample leaves out comes last. */
static void compare(const struct filters *f, const uint64_t *a, const uint64_t *b,
		    const struct mb_cut_side *side_a, const struct mb_cut_side *side_b,
		    uint64_t *ret_inter, uint64_t *ret_error)
{
	uint32_t shift = MB_MAX(side_a->shift, side_b->shift);
	uint64_t set_a = 0, set_b = 0, set_or = 0;
	size_t n = f->n_words >> shift;
	struct mb_estimate e;

	for (size_t i = 0; i < n; i++) {
		set_a += ones(a[i]);
		set_b += ones(b[i]);
		set_or += ones(a[i] | b[i]);
	}
	*ret_inter = 0;
	*ret_error = MB_MIN(side_a->distinct, side_b->distinct);
	if (n &&
	    mb_cut_estimate(side_a, side_b, f->cut_bits, set_a, set_b, set_or, &e, NULL) == 0) {
		*ret_inter = (uint64_t)(e.pages + 0.5);
		*ret_error = (uint64_t)(e.error_pages + 0.5);
	}
}

/* Bits that the two are compared at; 0: by their digests, not here. */
static uint32_t bits_of(const struct mb_cut_vm *a, const struct mb_cut_vm *b)
{
	if (!a->is_cut && !b->is_cut)
		return 0;
	return MB_MIN(a->side.bits, b->side.bits);
}

static void compare_rows(const struct filters *f, const struct mb_cut_vm *vms, uint32_t n,
			 uint32_t first, uint64_t *inter, uint64_t *error)
{
	uint32_t end = MB_MIN(first + f->n_rows, n);

	for (uint32_t i = first; i < end; i++)
		if (vms[i].side.bits >= f->cut_bits)
			fill(f, &vms[i], f->rows + (i - first) * f->n_words);
	for (uint32_t j = first + 1; j < n; j++) {
		bool filled = false;

		for (uint32_t i = first; i < MB_MIN(end, j); i++) {
			size_t at = (size_t)i * n + j, back = (size_t)j * n + i;

			if (bits_of(&vms[i], &vms[j]) != f->cut_bits)
				continue;
			if (!filled)
				fill(f, &vms[j], f->column);
			filled = true;
			compare(f, f->rows + (i - first) * f->n_words, f->column, &vms[i].side,
				&vms[j].side, &inter[at], &error[at]);
			inter[back] = inter[at];
			error[back] = error[at];
		}
	}
}

static bool has_bits(const struct mb_cut_vm *vms, uint32_t n, uint32_t bits)
{
	for (uint32_t i = 0; i < n; i++)
		if (vms[i].is_cut && vms[i].side.bits == bits)
			return true;
	return false;
}

int mb_cut_pairs(const struct mb_cut_vm *vms, uint32_t n, uint64_t *inter, uint64_t *error,
		 struct mb_err *err)
{
	for (uint32_t bits = MB_CUT_BITS_MIN; bits <= MB_CUT_BITS_MAX; bits++) {
		mb_cleanup(filters_deinit) struct filters f = { .cut_bits = bits };

		if (!has_bits(vms, n, bits))
			continue;
		f.n_words = ((size_t)1 << bits) / 64;
		f.n_rows = (uint32_t)MB_MIN(ROWS_BYTES / (f.n_words * sizeof(*f.rows)),
					    (size_t)ROWS_MAX);
		f.rows = malloc(MB_MIN(n, f.n_rows) * f.n_words * sizeof(*f.rows));
		f.column = malloc(f.n_words * sizeof(*f.column));
		if (!f.rows || !f.column)
			return mb_fail_mem(err, "Bloom filters");
		for (uint32_t first = 0; first < n; first += f.n_rows)
			compare_rows(&f, vms, n, first, inter, error);
	}
	return 0;
}
