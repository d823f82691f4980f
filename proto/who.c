// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/who.h"

#include <inttypes.h>

#include "proto/base/cleanup.h"

/* As many as a newer writer may know. */
enum { KINDS_MAX = 32 };

const char *mb_who_kind_name(unsigned int kind)
{
	static const char *const names[] = {
		"unknown",   "allocated",   "freed",	"first write", "copy on write", "rewrite",
		"cache new", "cache write", "migrated", "truncated",   "writeback",	"exec",
	};

	_Static_assert(MB_ARRAY_LEN(names) == MB_WHO_KINDS, "names");
	return kind < MB_WHO_KINDS ? names[kind] : NULL;
}

uint64_t mb_who_frames(const uint64_t frames[MB_WHO_KINDS])
{
	uint64_t sum = 0;

	for (int k = 0; k < MB_WHO_KINDS; k++)
		sum += frames[k];
	return sum;
}

/* --- lists ------------------------------------------------------------------------------------ */

static void add(uint64_t to[MB_WHO_KINDS], const uint64_t from[MB_WHO_KINDS])
{
	for (int k = 0; k < MB_WHO_KINDS; k++)
		to[k] += from[k];
}

static struct mb_who_row *smallest(struct mb_who *w)
{
	struct mb_who_row *ret = &w->rows[0];

	for (uint32_t i = 1; i < w->n; i++)
		if (mb_who_frames(w->rows[i].frames) < mb_who_frames(ret->frames))
			ret = &w->rows[i];
	return ret;
}

static struct mb_who_row *find(struct mb_who *w, const struct mb_who_row *row)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (strcmp(w->rows[i].process, row->process) == 0 &&
		    strcmp(w->rows[i].cgroup, row->cgroup) == 0)
			return &w->rows[i];
	return NULL;
}

void mb_who_put(struct mb_who *to, const struct mb_who_row *row)
{
	struct mb_who_row *same = *row->process ? find(to, row) : NULL, *least;

	to->counted = true;
	if (!*row->process) {
		add(to->others, row->frames);
	} else if (same) {
		add(same->frames, row->frames);
	} else if (to->n < MB_WHO_ROWS_MAX) {
		to->rows[to->n++] = *row;
	} else {
		least = smallest(to);
		if (mb_who_frames(least->frames) < mb_who_frames(row->frames)) {
			add(to->others, least->frames);
			*least = *row;
		} else {
			add(to->others, row->frames);
		}
	}
}

void mb_who_add(struct mb_who *to, const struct mb_who *from)
{
	if (!from->counted)
		return;
	to->counted = true;
	add(to->others, from->others);
	for (uint32_t i = 0; i < from->n; i++)
		mb_who_put(to, &from->rows[i]);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_text(struct mb_buf *out, const char *text)
{
	size_t n = strlen(text);

	mb_buf_put_varint(out, n);
	mb_buf_put(out, text, n);
}

static void put_row(struct mb_buf *out, const char *process, const char *cgroup,
		    const uint64_t frames[MB_WHO_KINDS])
{
	unsigned int n = MB_WHO_KINDS;

	put_text(out, process);
	put_text(out, cgroup);
	while (n && !frames[n - 1])
		n--;
	mb_buf_put_varint(out, n);
	for (unsigned int k = 0; k < n; k++)
		mb_buf_put_varint(out, frames[k]);
}

static int by_frames(const void *a, const void *b)
{
	const struct mb_who_row *const *x = a, *const *y = b;
	uint64_t m = mb_who_frames((*x)->frames), n = mb_who_frames((*y)->frames);

	/* Ties by their order in the list. */
	return m != n ? (m < n) - (m > n) : (*x > *y) - (*x < *y);
}

void mb_who_encode(const struct mb_who *w, uint32_t top, struct mb_buf *out)
{
	const struct mb_who_row *rows[MB_WHO_ROWS_MAX];
	uint64_t others[MB_WHO_KINDS];

	if (!w->counted)
		return;
	for (uint32_t i = 0; i < w->n; i++)
		rows[i] = &w->rows[i];
	qsort(rows, w->n, sizeof(*rows), by_frames);
	memcpy(others, w->others, sizeof(others));
	for (uint32_t i = top; i < w->n; i++)
		add(others, rows[i]->frames);
	put_row(out, "", "", others);
	for (uint32_t i = 0; i < MB_MIN(top, w->n); i++)
		put_row(out, rows[i]->process, rows[i]->cgroup, rows[i]->frames);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int get_text(struct mb_slice *list, const char *what, char *ret, size_t size,
		    struct mb_err *err)
{
	const uint8_t *text;
	uint64_t n;

	if (!mb_slice_get_varint(list, &n))
		return mb_fail(err, EBADMSG, "%s: bad varint", what);
	if (n >= size)
		return mb_fail(err, EBADMSG, "%s: a name of %" PRIu64 " bytes", what, n);
	if (!mb_slice_get(list, &text, n))
		return mb_fail(err, EBADMSG, "%s: ends inside a name", what);
	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			return mb_fail(err, EBADMSG, "%s: a byte 0x%02x", what, text[i]);
	memcpy(ret, text, n);
	ret[n] = 0;
	return 0;
}

/* A newer writer's kind is unknown to us. */
static int get_frames(struct mb_slice *list, uint64_t ret[MB_WHO_KINDS], struct mb_err *err)
{
	uint64_t kinds, v, sum = 0;

	if (!mb_slice_get_varint(list, &kinds) || kinds > KINDS_MAX)
		return mb_fail(err, EBADMSG, "frames: bad varint, or more than %d kinds",
			       KINDS_MAX);
	for (uint64_t k = 0; k < kinds; k++) {
		if (!mb_slice_get_varint(list, &v) || v > MB_WHO_FRAMES_MAX ||
		    (sum += v) > MB_WHO_FRAMES_MAX)
			return mb_fail(err, EBADMSG,
				       "frames: bad varint, or above 2^46, at kind %" PRIu64, k);
		ret[k < MB_WHO_KINDS ? k : MB_WHO_UNKNOWN] += v;
	}
	return 0;
}

int mb_who_next(struct mb_slice *list, struct mb_who_row *ret, struct mb_err *err)
{
	int r;

	*ret = (struct mb_who_row){ 0 };
	if (!list->len)
		return 0;
	if ((r = get_text(list, "process", ret->process, sizeof(ret->process), err)) < 0 ||
	    (r = get_text(list, "cgroup", ret->cgroup, sizeof(ret->cgroup), err)) < 0 ||
	    (r = get_frames(list, ret->frames, err)) < 0)
		return r;
	return 1;
}

int mb_who_check(struct mb_slice list, struct mb_err *err)
{
	struct mb_who_row row;
	uint64_t sum = 0;

	for (int i = 0;; i++) {
		struct mb_err why = { 0 };
		int r = mb_who_next(&list, &row, &why);

		if (r == 0)
			return 0;
		if (r < 0)
			return mb_fail(err, EBADMSG, "row %d: %s", i, why.text);
		if (i > MB_WHO_ROWS_MAX)
			return mb_fail(err, EBADMSG, "more than %d rows", MB_WHO_ROWS_MAX);
		if (i ? !*row.process : *row.process || *row.cgroup)
			return mb_fail(err, EBADMSG,
				       i ? "row %d: no process" :
					   "row %d: a name, where the others belong",
				       i);
		sum += mb_who_frames(row.frames);
		if (sum > MB_WHO_FRAMES_MAX)
			return mb_fail(err, EBADMSG, "row %d: more than 2^46 frames with it", i);
	}
}
