// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/diff.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/churn/churn_frames.h"
#include "proto/churn/put.h"
#include "server/ctl/trace_file.h"

/* One epoch, kept. */
struct side {
	char *path; /* owned */
	uint64_t epoch, taken_ns;
	bool stable_frames;
	struct mb_identity identity;
	struct mb_boot boot;
	struct mb_page *pages; /* owned */
	size_t n_pages;
	struct mb_fingerprint fp;
};

static void side_deinit(struct side *s)
{
	free(s->path);
	free(s->pages);
	mb_fingerprint_deinit(&s->fp);
}

/* --- which epoch ------------------------------------------------------------------------------ */

/* "FILE#3", unless there is a file of just that name. */
static int parse(const char *text, char **ret_path, uint64_t *ret_epoch, struct mb_err *err)
{
	const char *hash = strrchr(text, '#');
	int r = 0;

	*ret_epoch = 0;
	*ret_path = NULL;
	if (hash && access(text, F_OK) < 0) {
		r = mb_parse_u64(hash + 1, 1, UINT64_MAX, "epoch", ret_epoch, err);
		*ret_path = r == 0 ? strndup(text, (size_t)(hash - text)) : NULL;
	} else {
		*ret_path = strdup(text);
	}
	if (r < 0)
		return mb_fail_in(err, r, "%s", text);
	return *ret_path ? 0 : mb_fail_mem(err, "a name");
}

static int keep(const struct mb_trace_file *t, struct side *s, struct mb_err *err)
{
	free(s->pages);
	s->n_pages = t->n_pages;
	s->pages = malloc((t->n_pages + 1) * sizeof(*s->pages));
	if (!s->pages)
		return mb_fail_mem(err, "a trace's pages");
	if (t->n_pages)
		memcpy(s->pages, t->pages, t->n_pages * sizeof(*s->pages));
	s->epoch = t->epoch;
	s->taken_ns = t->taken_ns;
	mb_fingerprint_deinit(&s->fp);
	return mb_trace_file_fingerprint(t, &s->fp, err);
}

/* `epoch` 0: the last one; `first`: stops at the first. */
static int load(struct side *s, uint64_t epoch, bool first, struct mb_err *err)
{
	mb_cleanup(mb_trace_file_close) struct mb_trace_file t = { 0 };
	bool found = false;
	int r = mb_trace_file_open(&t, s->path, err);

	if (r < 0)
		return r;
	s->identity = mb_trace_file_header(&t)->identity;
	s->stable_frames = mb_trace_file_header(&t)->stable_frames;
	s->boot = mb_trace_file_header(&t)->boot;
	while (!(found && (first || epoch)) && (r = mb_trace_file_next(&t, err)) == 0) {
		if (epoch && t.epoch != epoch)
			continue;
		r = keep(&t, s, err);
		if (r < 0)
			return r;
		found = true;
	}
	if (r < 0 && r != -ENODATA)
		return r;
	if (found)
		return 0;
	return epoch ? mb_fail(err, EINVAL, "%s: no epoch %" PRIu64 " in it", s->path, epoch) :
		       mb_fail(err, EBADMSG, "%s: no epoch in it", s->path);
}

static int load_both(const char *from, const char *to, struct side *a, struct side *b,
		     struct mb_err *err)
{
	uint64_t epoch_a, epoch_b = 0;
	int r = parse(from, &a->path, &epoch_a, err);

	if (r == 0)
		r = parse(to ? to : from, &b->path, &epoch_b, err);
	if (r == 0 && !to && epoch_a)
		r = mb_fail(err, EINVAL, "%s: one epoch is nothing to compare", from);
	if (r == 0)
		r = load(a, epoch_a, !to, err);
	if (r == 0)
		r = load(b, epoch_b, false, err);
	if (r < 0)
		return r;
	r = mb_identity_compare(&a->identity, &b->identity, err);
	return r < 0 ? mb_fail_in(err, r, "%s, compared with %s", from, to ? to : from) : 0;
}

/* --- ranges ----------------------------------------------------------------------------------- */

struct ranges {
	struct mb_frame_range *list; /* owned */
	size_t n, cap;
};

static void ranges_deinit(struct ranges *r)
{
	free(r->list);
}

static int take_range(void *ctx, const struct mb_frame_range *range, struct mb_err *err)
{
	struct ranges *to = ctx;

	if (to->n == to->cap) {
		size_t cap = to->cap ? 2 * to->cap : 256;
		void *list = realloc(to->list, cap * sizeof(*to->list));

		if (!list)
			return mb_fail_mem(err, "ranges of frames");
		to->list = list;
		to->cap = cap;
	}
	to->list[to->n++] = *range;
	return 0;
}

static int longest_first(const void *a, const void *b)
{
	const struct mb_frame_range *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* --- as JSON ---------------------------------------------------------------------------------- */

static json_t *side_json(const struct side *s)
{
	struct mb_self_sharing sharing;

	mb_fingerprint_self_sharing(&s->fp, s->identity.zero_digest, &sharing);
	return json_pack(
		"{s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I}", "trace", mb_json_any_text(s->path),
		"epoch", (json_int_t)s->epoch, "taken_unix_ms",
		s->taken_ns ? json_integer((json_int_t)(s->taken_ns / 1000000)) : json_null(),
		"pages", (json_int_t)sharing.pages, "distinct", (json_int_t)sharing.distinct,
		"zero", (json_int_t)sharing.zero, "self", (json_int_t)sharing.self, "self_nonzero",
		(json_int_t)sharing.self_nonzero);
}

static json_t *classes_json(const struct mb_frames_diff *d)
{
	json_t *ret = json_object();

	for (unsigned int i = 0; i < MB_CLASS_END; i++) {
		const struct mb_frame_classes *c = &d->classes[i];

		if (c->before || c->after)
			json_object_set_new(
				ret, mb_class_name(i),
				json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "before",
					  (json_int_t)c->before, "after", (json_int_t)c->after,
					  "changed", (json_int_t)c->changed, "came",
					  (json_int_t)c->came, "went", (json_int_t)c->went,
					  "reclassed", (json_int_t)c->reclassed));
	}
	return ret;
}

static json_t *ranges_json(const struct ranges *r, size_t max)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < MB_MIN(r->n, max); i++) {
		const struct mb_frame_range *x = &r->list[i];

		json_array_append_new(
			ret, json_pack("{s:I, s:I, s:s, s:s, s:s}", "first", (json_int_t)x->first,
				       "n", (json_int_t)x->n, "fate", mb_frame_fate_name(x->fate),
				       "from", mb_class_name(x->from), "to", mb_class_name(x->to)));
	}
	return ret;
}

static int add_frames(const struct side *a, const struct side *b, size_t ranges_max, json_t *root,
		      struct mb_err *err)
{
	struct mb_frame_array before = { a->pages, 0, a->n_pages },
			      after = { b->pages, 0, b->n_pages };
	const struct mb_frame_stream from = { mb_frame_array_next, &before },
				     to = { mb_frame_array_next, &after };
	mb_cleanup(ranges_deinit) struct ranges ranges = { 0 };
	struct mb_frames_diff d;
	json_t *frames;
	int r = mb_frames_compare(&from, &to, &d, take_range, &ranges, err);

	if (r < 0)
		return r;
	if (ranges.n)
		qsort(ranges.list, ranges.n, sizeof(*ranges.list), longest_first);
	frames = json_pack("{s:I, s:I, s:I, s:I, s:b, s:o, s:I, s:o}", "same", (json_int_t)d.same,
			   "changed", (json_int_t)d.changed, "came", (json_int_t)d.came, "went",
			   (json_int_t)d.went, "one_recording",
			   memcmp(&a->boot, &b->boot, sizeof(a->boot)) == 0, "classes",
			   classes_json(&d), "n_ranges", (json_int_t)d.ranges, "ranges",
			   ranges_json(&ranges, ranges_max));
	return json_object_set_new(root, "frames", frames) < 0 ? mb_fail_mem(err, "a comparison") :
								 0;
}

int mb_diff_make(const char *from, const char *to, size_t ranges_max, json_t **ret,
		 struct mb_err *err)
{
	mb_cleanup(side_deinit) struct side a = { 0 }, b = { 0 };
	struct mb_pair_sharing s;
	json_t *root;
	int r = load_both(from, to, &a, &b, err);

	if (r < 0)
		return r;
	mb_fingerprint_pair_sharing(&a.fp, &b.fp, &s);
	root = json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:n}", "from", side_json(&a),
			 "to", side_json(&b), "page_bytes", (json_int_t)a.identity.page_bytes,
			 "inter", (json_int_t)s.inter, "gained", (json_int_t)s.gained, "lost",
			 (json_int_t)s.lost, "gained_digests",
			 (json_int_t)(b.fp.n_distinct - s.inter), "lost_digests",
			 (json_int_t)(a.fp.n_distinct - s.inter), "frames");
	if (!root)
		return mb_fail_mem(err, "a comparison");
	if (a.stable_frames && b.stable_frames)
		r = add_frames(&a, &b, ranges_max, root, err);
	if (r < 0)
		json_decref(root);
	else
		*ret = root;
	return r;
}
