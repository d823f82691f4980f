// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "proto/trace_seed.h"

enum {
	PAGES_PER_FRAME = 1 << 20,
	FRAME_RAW_MAX = 64 << 20, /* TracePages of that many pages, with room */
};

/* --- writing ---------------------------------------------------------------------------------- */

int mb_trace_put_header(const struct mb_trace_header *h, struct mb_buf *out, struct mb_err *err)
{
	struct mb_msg msg = { .type = MB_MSG_TRACE_HEADER, .trace_header = *h };

	return mb_msg_to_frame(&msg, out, err);
}

int mb_trace_put_epoch(const struct mb_trace_epoch *e, struct mb_buf *out, struct mb_err *err)
{
	struct mb_msg msg = { .type = MB_MSG_TRACE_EPOCH, .trace_epoch = *e };

	return mb_msg_to_frame(&msg, out, err);
}

/* Runs of frames: distance from the last run's end, length. The first distance is the frame. */
static void put_frames(struct mb_buf *b, const struct mb_page *p, uint32_t n)
{
	uint64_t end = 0;

	for (uint32_t i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n && p[j].frame == p[j - 1].frame + 1;)
			j++;
		mb_buf_put_varint(b, p[i].frame - end);
		mb_buf_put_varint(b, j - i);
		end = p[j - 1].frame + 1;
	}
}

/* Runs of one value: value, length. */
static void put_runs(struct mb_buf *b, const struct mb_page *p, uint32_t n, bool flags)
{
	for (uint32_t i = 0, j; i < n; i = j) {
		uint8_t v = flags ? p[i].flags : p[i].cls;

		for (j = i + 1; j < n && (flags ? p[j].flags : p[j].cls) == v;)
			j++;
		mb_buf_put_u8(b, v);
		mb_buf_put_varint(b, j - i);
	}
}

static int put_chunk(const struct mb_page *p, uint32_t n, struct mb_buf *out, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_msg msg = { .type = MB_MSG_TRACE_PAGES };
	size_t frames, classes, flags;
	uint8_t *to;
	int r;

	put_frames(&b, p, n);
	frames = b.len;
	put_runs(&b, p, n, false);
	classes = b.len;
	put_runs(&b, p, n, true);
	flags = b.len;
	to = mb_buf_reserve(&b, 8 * (size_t)n);
	r = mb_buf_check(&b, "a trace", err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++)
		mb_put_le64(to + 8 * (size_t)i, p[i].digest);
	msg.trace_pages = (struct mb_trace_pages){
		.n_pages = n,
		.frames = { b.data, frames },
		.classes = { b.data + frames, classes - frames },
		.flags = { b.data + classes, flags - classes },
		.digests = { b.data + flags, 8 * (size_t)n },
	};
	return mb_msg_to_frame(&msg, out, err);
}

int mb_trace_put_pages(const struct mb_page *pages, size_t n, struct mb_buf *out,
		       struct mb_err *err)
{
	for (size_t i = 0; i < n; i += PAGES_PER_FRAME) {
		int r = put_chunk(pages + i, (uint32_t)MB_MIN(n - i, (size_t)PAGES_PER_FRAME), out,
				  err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct mb_trace {
	const struct mb_reader *reader;
	struct mb_msg header; /* TraceHeader; made up for a seed trace */
	bool seed, seed_done;
	struct mb_buf frame, raw;
	struct mb_page *pages;
	size_t n_pages, cap_pages;
	uint64_t next_frame;
	uint64_t frames_read; /* of the file, for errors */
	struct mb_multiset_hash hash;
	uint8_t head[4]; /* the first bytes, read to tell the format */
	size_t n_head;
};

static int read_exactly(struct mb_trace *t, uint8_t *to, size_t n, size_t *ret_n,
			struct mb_err *err)
{
	size_t from_head = MB_MIN(n, t->n_head);
	int r;

	memcpy(to, t->head, from_head);
	t->n_head -= from_head;
	memmove(t->head, t->head + from_head, t->n_head);
	r = t->reader->read(t->reader->ctx, to + from_head, n - from_head, ret_n, err);
	*ret_n += from_head;
	return r;
}

/* The next message of the file; -ENODATA at its end. */
static int next_message(struct mb_trace *t, struct mb_msg *ret, struct mb_err *err)
{
	struct mb_frame_header h;
	uint8_t header[MB_FRAME_HEADER_BYTES];
	uint8_t *to;
	size_t n;
	int r;

	t->frames_read++;
	r = read_exactly(t, header, sizeof(header), &n, err);
	if (r < 0)
		return r;
	if (n == 0)
		return mb_fail(err, ENODATA, "end of trace");
	if (n < sizeof(header))
		return mb_fail(err, EBADMSG, "file ends inside a frame header");
	r = mb_frame_header_decode(header, FRAME_RAW_MAX, &h, err);
	if (r < 0)
		return r;
	mb_buf_clear(&t->frame);
	to = mb_buf_reserve(&t->frame, h.payload_bytes);
	if (!to)
		return mb_fail_mem(err, "a frame");
	r = read_exactly(t, to, h.payload_bytes, &n, err);
	if (r < 0)
		return r;
	if (n < h.payload_bytes)
		return mb_fail(err, EBADMSG, "file ends inside a frame");
	r = mb_frame_decode(&h, (struct mb_slice){ to, n }, &t->raw, err);
	if (r < 0)
		return r;
	return mb_msg_unpack(mb_buf_slice(&t->raw), ret, err);
}

static int in_frame(struct mb_trace *t, int r, struct mb_err *err)
{
	return r < 0 && r != -ENODATA ? mb_fail_in(err, r, "trace frame %" PRIu64, t->frames_read) :
					r;
}

static int make_room(struct mb_trace *t, size_t n, struct mb_err *err)
{
	size_t cap = t->cap_pages;
	void *p;

	if (t->n_pages + n <= cap)
		return 0;
	if (t->n_pages + n > MB_FINGERPRINT_PAGES_MAX)
		return mb_fail(err, EFBIG, "an epoch of more than 2^32 pages");
	cap = MB_MAX(t->n_pages + n, cap + cap / 2);
	p = realloc(t->pages, cap * sizeof(*t->pages));
	if (!p)
		return mb_fail_mem(err, "a trace's pages");
	t->pages = p;
	t->cap_pages = cap;
	return 0;
}

static int get_frames(struct mb_trace *t, struct mb_slice s, struct mb_page *to, uint32_t n,
		      struct mb_err *err)
{
	const uint64_t end = 1ull << 52;
	uint32_t i = 0;

	while (s.len) {
		uint64_t gap, run;

		if (!mb_slice_get_varint(&s, &gap) || !mb_slice_get_varint(&s, &run) || !run ||
		    run > n - i)
			return mb_fail(err, EBADMSG,
				       "field frames: bad run after %" PRIu32 " pages", i);
		/* The first run of a chunk is counted from frame 0; it must not go back. */
		if (i == 0 && gap < t->next_frame)
			return mb_fail(err, EBADMSG, "field frames: not ascending");
		if (i == 0)
			t->next_frame = 0;
		/* Each of the three is at most 2^52 when it is used: no sum wraps. */
		if (gap > end - t->next_frame || run > end - t->next_frame - gap)
			return mb_fail(err, EBADMSG, "field frames: frame above 2^52");
		t->next_frame += gap;
		for (uint64_t k = 0; k < run; k++)
			to[i++].frame = t->next_frame++;
	}
	return i == n ? 0 :
			mb_fail(err, EBADMSG, "field frames: %" PRIu32 " of %" PRIu32 " pages", i,
				n);
}

static int get_runs(struct mb_slice s, struct mb_page *to, uint32_t n, bool flags,
		    struct mb_err *err)
{
	const char *what = flags ? "flags" : "classes";
	uint32_t i = 0;

	while (s.len) {
		uint64_t run;
		uint8_t v = 0;

		if (!mb_slice_get_u8(&s, &v) || !mb_slice_get_varint(&s, &run) || !run ||
		    run > n - i)
			return mb_fail(err, EBADMSG, "field %s: bad run after %" PRIu32 " pages",
				       what, i);
		for (; run; run--, i++) {
			if (flags)
				to[i].flags = v;
			else
				/* A newer writer's class is unknown to us, not an error. */
				to[i].cls = v < MB_CLASS_END ? v : MB_CLASS_UNKNOWN;
		}
	}
	return i == n ? 0 :
			mb_fail(err, EBADMSG, "field %s: %" PRIu32 " of %" PRIu32 " pages", what, i,
				n);
}

static int take_pages(struct mb_trace *t, const struct mb_trace_pages *p, struct mb_err *err)
{
	uint64_t max = mb_digest_max(t->header.trace_header.identity.bits);
	struct mb_page *to;
	int r;

	if (p->digests.len != 8 * (uint64_t)p->n_pages || p->n_pages > PAGES_PER_FRAME)
		return mb_fail(err, EBADMSG, "field digests: %zu bytes for %" PRIu32 " pages",
			       p->digests.len, p->n_pages);
	r = make_room(t, p->n_pages, err);
	if (r < 0)
		return r;
	to = t->pages + t->n_pages;
	memset(to, 0, p->n_pages * sizeof(*to));
	if ((r = get_frames(t, p->frames, to, p->n_pages, err)) < 0 ||
	    (r = get_runs(p->classes, to, p->n_pages, false, err)) < 0 ||
	    (r = get_runs(p->flags, to, p->n_pages, true, err)) < 0)
		return r;
	for (uint32_t i = 0; i < p->n_pages; i++) {
		to[i].digest = mb_get_le64(p->digests.data + 8 * (size_t)i);
		if (to[i].digest > max)
			return mb_fail(err, EBADMSG, "field digests: more than %" PRIu32 " bits",
				       t->header.trace_header.identity.bits);
		mb_multiset_hash_add(&t->hash, to[i].digest, 1);
	}
	t->n_pages += p->n_pages;
	return 0;
}

static int take_seed_hash(void *ctx, uint32_t hash, struct mb_err *err)
{
	struct mb_trace *t = ctx;
	int r = make_room(t, 1, err);

	if (r < 0)
		return r;
	t->pages[t->n_pages] = (struct mb_page){
		.frame = t->n_pages,
		.digest = hash,
		.flags = hash == t->header.trace_header.identity.zero_digest ? MB_PAGE_ZERO : 0,
	};
	mb_multiset_hash_add(&t->hash, hash, 1);
	t->n_pages++;
	return 0;
}

static int read_seed(struct mb_trace *t, struct mb_err *err)
{
	struct mb_trace_seed seed = { .hash = take_seed_hash, .ctx = t };
	uint8_t text[16384];
	size_t n;
	int r;

	do {
		r = read_exactly(t, text, sizeof(text), &n, err);
		if (r == 0)
			r = mb_trace_seed_feed(&seed, (struct mb_slice){ text, n }, err);
		if (r < 0)
			return r;
	} while (n == sizeof(text));
	return mb_trace_seed_end(&seed, err);
}

static int open_seed(struct mb_trace *t, struct mb_err *err)
{
	struct mb_digester d;
	int r = mb_digester_init(&d, MB_SUPERFASTHASH32, MB_PAGE_BYTES, 32, "", NULL, err);

	if (r < 0)
		return r;
	t->seed = true;
	t->header.type = MB_MSG_TRACE_HEADER;
	t->header.trace_header = (struct mb_trace_header){
		.version = MB_PROTOCOL_VERSION,
		.agent = "",
		.vm = "",
		.source = "",
		.identity = d.identity,
	};
	return 0;
}

int mb_trace_open(const struct mb_reader *reader, struct mb_trace **ret, struct mb_err *err)
{
	struct mb_trace *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return mb_fail_mem(err, "a trace");
	t->reader = reader;
	r = reader->read(reader->ctx, t->head, sizeof(t->head), &t->n_head, err);
	if (r == 0 && t->n_head == 0)
		r = mb_fail(err, EBADMSG, "empty file");
	if (r < 0)
		goto failed;
	if (t->head[0] != 'M') {
		r = open_seed(t, err);
	} else {
		r = next_message(t, &t->header, err);
		if (r == 0 && t->header.type != MB_MSG_TRACE_HEADER)
			r = mb_fail(err, EBADMSG, "starts with a %s message, not a TraceHeader",
				    mb_msg_type_name(t->header.type));
		r = in_frame(t, r, err);
	}
	if (r < 0)
		goto failed;
	*ret = t;
	return 0;
failed:
	mb_trace_close(t);
	return r;
}

void mb_trace_close(struct mb_trace *t)
{
	if (!t)
		return;
	mb_msg_deinit(&t->header);
	mb_buf_deinit(&t->frame);
	mb_buf_deinit(&t->raw);
	free(t->pages);
	free(t);
}

const struct mb_trace_header *mb_trace_get_header(const struct mb_trace *t)
{
	return &t->header.trace_header;
}

bool mb_trace_is_seed(const struct mb_trace *t)
{
	return t->seed;
}

static int check_epoch(struct mb_trace *t, const struct mb_trace_epoch *e, struct mb_err *err)
{
	if (e->fingerprint.pages != t->n_pages ||
	    !mb_multiset_hash_equal(e->fingerprint.hash, t->hash))
		return mb_fail(err, EBADMSG,
			       "epoch %" PRIu64 " has %zu pages, but its end names %" PRIu64
			       " pages with another hash",
			       e->epoch, t->n_pages, e->fingerprint.pages);
	return 0;
}

static int next_compact(struct mb_trace *t, struct mb_trace_epoch *ret_epoch, struct mb_err *err)
{
	bool any = false;
	int r;

	for (;;) {
		mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };

		r = next_message(t, &msg, err);
		if (r == -ENODATA && any)
			return mb_fail(err, EBADMSG, "file ends inside an epoch");
		if (r < 0)
			return r;
		any = true;
		switch (msg.type) {
		case MB_MSG_TRACE_PAGES:
			r = take_pages(t, &msg.trace_pages, err);
			if (r < 0)
				return r;
			break;
		case MB_MSG_TRACE_EPOCH:
			*ret_epoch = msg.trace_epoch;
			/* The message goes; what it pointed to does too. */
			ret_epoch->pass.tracker = "";
			return check_epoch(t, ret_epoch, err);
		default:
			return mb_fail(err, EBADMSG, "a %s message in a trace",
				       mb_msg_type_name(msg.type));
		}
	}
}

int mb_trace_next(struct mb_trace *t, const struct mb_page **ret_pages, size_t *ret_n,
		  struct mb_trace_epoch *ret_epoch, struct mb_err *err)
{
	int r;

	t->n_pages = 0;
	t->next_frame = 0;
	t->hash = (struct mb_multiset_hash){ 0 };
	*ret_epoch = (struct mb_trace_epoch){ .pass.tracker = "" };
	if (!t->seed) {
		r = in_frame(t, next_compact(t, ret_epoch, err), err);
	} else if (t->seed_done) {
		r = mb_fail(err, ENODATA, "end of trace");
	} else {
		t->seed_done = true;
		r = read_seed(t, err);
		ret_epoch->fingerprint.pages = t->n_pages;
		ret_epoch->fingerprint.hash = t->hash;
	}
	if (r < 0)
		return r;
	*ret_pages = t->pages;
	*ret_n = t->n_pages;
	return 0;
}
