// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_pass.h"

static struct fake_source *fake(struct mb_source *s)
{
	return (struct fake_source *)s;
}

static void source_describe(struct mb_source *s, struct mb_source_info *ret)
{
	*ret = fake(s)->info;
}

static int source_begin(struct mb_source *s, const struct mb_frame_set *only, struct mb_err *err)
{
	if (fake(s)->ended)
		return mb_fail(err, ENODATA, "no more epochs");
	if (fake(s)->moved && only)
		return mb_fail(err, EAGAIN, "memory was plugged");
	fake(s)->moved = false;
	fake(s)->only = only;
	fake(s)->was_full = !only;
	fake(s)->at = 0;
	fake(s)->begun++;
	return 0;
}

static uint8_t class_of(const struct fake_source *f, uint64_t frame)
{
	return f->cls[frame] ? f->cls[frame] : MB_CLASS_ANON;
}

/* As the module does it: what is asked for, and what is not as it was known. */
static bool comes(const struct fake_source *f, uint64_t frame)
{
	const uint8_t *known = f->only ? f->only->known : NULL;

	if (mb_frame_set_has(f->only, frame))
		return f->raw[frame] || (known && known[frame]);
	if (!known)
		return false;
	return f->raw[frame] ?
		       known[frame] != class_of(f, frame) || f->flags[frame] & MB_PAGE_PINNED :
		       known[frame];
}

static void write_meanwhile(struct fake_source *f)
{
	f->raw[f->write_frame]++;
	f->tracker->flagged[f->write_frame / 64] |= 1ull << f->write_frame % 64;
	f->write_at = 0;
}

static int source_read(struct mb_source *s, struct mb_page *pages, size_t cap, size_t *ret_n,
		       struct mb_err *err)
{
	struct fake_source *f = fake(s);
	size_t max = f->per_read && f->per_read < cap ? f->per_read : cap;

	*ret_n = 0;
	for (; f->at < FRAMES && *ret_n < max; f->at++) {
		if (f->fail_at && f->at == f->fail_at)
			return mb_fail(err, EIO, "frame %d is gone", (int)f->at);
		if (f->write_at && f->at == f->write_at)
			write_meanwhile(f);
		if (!comes(f, f->at))
			continue;
		pages[*ret_n] = (struct mb_page){ .frame = f->at,
						  .digest = f->raw[f->at],
						  .cls = class_of(f, f->at),
						  .flags = f->flags[f->at],
						  .gone = !f->raw[f->at] };
		if (f->swap_at && f->at == f->swap_at)
			pages[*ret_n].frame = 0;
		++*ret_n;
	}
	return 0;
}

static void source_unread(struct mb_source *s, uint64_t ret[MB_UNREAD_REASONS])
{
	for (uint64_t i = 0; i < MB_UNREAD_REASONS; i++)
		ret[i] = fake(s)->unread + i;
}

static double source_progress(struct mb_source *s)
{
	return (double)fake(s)->at / FRAMES;
}

static const struct mb_source_ops source_ops = {
	.scheme = "fake",
	.describe = source_describe,
	.begin = source_begin,
	.read = source_read,
	.unread = source_unread,
	.progress = source_progress,
};

static int tracker_epoch(struct mb_tracker *t, const struct mb_frame_set **ret_dirty,
			 const char **ret_doubt, struct mb_err *err)
{
	struct fake_tracker *f = (struct fake_tracker *)t;

	if (f->fails)
		return mb_fail(err, EIO, "ring lost");
	memcpy(f->given, f->flagged, sizeof(f->given));
	memset(f->flagged, 0, sizeof(f->flagged));
	f->set = (struct mb_frame_set){ f->given, 0, FRAMES, NULL };
	*ret_dirty = f->can_tell ? &f->set : NULL;
	*ret_doubt = f->doubt_later && f->asked % 2 ? f->doubt_later : f->doubt;
	f->asked++;
	return 0;
}

/* One frame each time. */
static void tracker_who(struct mb_tracker *t, struct mb_who *to)
{
	struct mb_who_row row = { .process = "p", .frames[MB_WHO_COW] = 1 };

	(void)t;
	mb_who_put(to, &row);
}

const struct mb_tracker_ops fake_tracker_ops = {
	.name = "fake",
	.strength = MB_STRENGTH_PROOF,
	.follows = 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE,
	.epoch = tracker_epoch,
	.who = tracker_who,
};

void raw_identity(struct mb_identity *ret)
{
	struct mb_digester d;
	struct mb_err err = { 0 };

	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "", NULL, &err), &err);
	*ret = d.identity;
}

void pass_scene_init(struct scene *s, bool stable, bool can_tell)
{
	struct mb_err err = { 0 };

	*s = (struct scene){
		.source = { .source.ops = &source_ops, .info.stable_frames = stable },
		.tracker = { .tracker.ops = &fake_tracker_ops, .can_tell = can_tell },
	};
	s->source.tracker = &s->tracker;
	raw_identity(&s->source.info.identity);
	assert_ok(
		mb_pass_init(&s->pass, &s->source.source, &s->tracker.tracker, 64, "d", NULL, &err),
		&err);
}

void vm_writes(struct scene *s, uint64_t frame, uint64_t raw)
{
	s->source.raw[frame] = raw;
	s->tracker.flagged[frame / 64] |= 1ull << frame % 64;
}

void expect_epoch(struct scene *s, const struct mb_epoch *e)
{
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	uint64_t digests[FRAMES];
	size_t n = 0;

	for (size_t i = 0; i < FRAMES; i++)
		if (s->source.raw[i])
			digests[n++] = s->source.raw[i];
	mb_blind(&s->pass.digester, digests, n);
	assert_ok(mb_fingerprint_from_digests(&fp, digests, n, &err), &err);
	assert_fingerprint_equal(&fp, &e->fingerprint);
	mb_fingerprint_deinit(&fp);
}

void run_pass(struct scene *s, struct mb_epoch *ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_pass_run(&s->pass, ret, &err), &err);
	expect_epoch(s, ret);
}

struct mb_pass_info run_pass_info(struct scene *s)
{
	struct mb_epoch e;

	run_pass(s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	return e.info;
}
