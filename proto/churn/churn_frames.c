// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_frames.h"

const char *mb_frame_fate_name(enum mb_frame_fate fate)
{
	static const char *const names[] = { "same", "changed", "came", "went" };

	return names[fate];
}

bool mb_frame_array_next(void *array, struct mb_frame_page *ret)
{
	struct mb_frame_array *a = array;

	if (a->i == a->n)
		return false;
	*ret = (struct mb_frame_page){ a->pages[a->i].frame, a->pages[a->i].digest,
				       a->pages[a->i].cls };
	a->i++;
	return true;
}

struct compare {
	struct mb_frames_diff *diff;
	struct mb_frame_range range; /* under way; n = 0: none */
	int (*visit)(void *ctx, const struct mb_frame_range *r, struct mb_err *err);
	void *ctx;
};

static int end_range(struct compare *c, struct mb_err *err)
{
	int r = 0;

	if (c->range.n) {
		c->diff->ranges++;
		r = c->visit ? c->visit(c->ctx, &c->range, err) : 0;
	}
	c->range.n = 0;
	return r;
}

static int add(struct compare *c, uint64_t frame, enum mb_frame_fate fate, uint8_t from, uint8_t to,
	       struct mb_err *err)
{
	struct mb_frame_range *now = &c->range;
	int r;

	if (now->n && now->first + now->n == frame && now->fate == fate && now->from == from &&
	    now->to == to) {
		now->n++;
		return 0;
	}
	r = end_range(c, err);
	*now = (struct mb_frame_range){ frame, 1, fate, from, to };
	return r;
}

static int went(struct compare *c, const struct mb_frame_page *p, struct mb_err *err)
{
	c->diff->classes[p->cls].before++;
	c->diff->classes[p->cls].went++;
	c->diff->went++;
	return add(c, p->frame, MB_FRAME_WENT, p->cls, p->cls, err);
}

static int came(struct compare *c, const struct mb_frame_page *p, struct mb_err *err)
{
	c->diff->classes[p->cls].after++;
	c->diff->classes[p->cls].came++;
	c->diff->came++;
	return add(c, p->frame, MB_FRAME_CAME, p->cls, p->cls, err);
}

static int both(struct compare *c, const struct mb_frame_page *a, const struct mb_frame_page *b,
		struct mb_err *err)
{
	bool changed = a->digest != b->digest;

	c->diff->classes[a->cls].before++;
	c->diff->classes[b->cls].after++;
	c->diff->classes[b->cls].changed += changed;
	c->diff->classes[b->cls].reclassed += a->cls != b->cls;
	c->diff->changed += changed;
	c->diff->same += !changed;
	if (!changed && a->cls == b->cls)
		return 0;
	return add(c, b->frame, changed ? MB_FRAME_CHANGED : MB_FRAME_SAME, a->cls, b->cls, err);
}

int mb_frames_compare(const struct mb_frame_stream *before, const struct mb_frame_stream *after,
		      struct mb_frames_diff *ret,
		      int (*range)(void *ctx, const struct mb_frame_range *r, struct mb_err *err),
		      void *ctx, struct mb_err *err)
{
	struct compare c = { .diff = ret, .visit = range, .ctx = ctx };
	struct mb_frame_page a, b;
	bool has_a = before->next(before->ctx, &a), has_b = after->next(after->ctx, &b);
	int r = 0;

	*ret = (struct mb_frames_diff){ 0 };
	while (r == 0 && (has_a || has_b)) {
		bool take_a = has_a && (!has_b || a.frame <= b.frame);
		bool take_b = has_b && (!has_a || b.frame <= a.frame);

		r = take_a && take_b ? both(&c, &a, &b, err) :
		    take_a	     ? went(&c, &a, err) :
				       came(&c, &b, err);
		if (take_a)
			has_a = before->next(before->ctx, &a);
		if (take_b)
			has_b = after->next(after->ctx, &b);
	}
	return r < 0 ? r : end_range(&c, err);
}
