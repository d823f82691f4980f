// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pass.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

enum { FRAMES = 256 };

/* A VM of a few frames; raw digest 0: no page there. */
struct fake_source {
	struct mb_source source;
	struct mb_source_info info;
	uint64_t raw[FRAMES];
	uint8_t cls[FRAMES], flags[FRAMES]; /* class 0: anon */
	const struct mb_frame_set *only;
	uint64_t at;
	size_t per_read;
	uint64_t fail_at, swap_at; /* frames; 0: never */
	uint64_t unread;
	bool ended, moved; /* no further epoch; frames are not what they were */
	int begun;
	bool was_full;
	/* Something writes while it is read: once, when this frame is come to. */
	uint64_t write_at, write_frame;
	struct fake_tracker *tracker;
};

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

static void write_meanwhile(struct fake_source *f);

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

/* Flags what mark() said since the last epoch, as a real tracker does. */
struct fake_tracker {
	struct mb_tracker tracker;
	uint64_t flagged[FRAMES / 64], given[FRAMES / 64];
	struct mb_frame_set set;
	bool can_tell, fails;
	const char *doubt, *doubt_later; /* later: each second time it is asked in an epoch */
	int asked;
};

static void write_meanwhile(struct fake_source *f)
{
	f->raw[f->write_frame]++;
	f->tracker->flagged[f->write_frame / 64] |= 1ull << f->write_frame % 64;
	f->write_at = 0;
}

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

static const struct mb_tracker_ops tracker_ops = {
	.name = "fake",
	.strength = MB_STRENGTH_PROOF,
	.follows = 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE,
	.epoch = tracker_epoch,
	.who = tracker_who,
};

static void raw_identity(struct mb_identity *ret)
{
	struct mb_digester d;
	struct mb_err err = { 0 };

	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "", NULL, &err), &err);
	*ret = d.identity;
}

struct scene {
	struct fake_source source;
	struct fake_tracker tracker;
	struct mb_pass pass;
};

static void scene_init(struct scene *s, bool stable, bool can_tell)
{
	struct mb_err err = { 0 };

	*s = (struct scene){
		.source = { .source.ops = &source_ops, .info.stable_frames = stable },
		.tracker = { .tracker.ops = &tracker_ops, .can_tell = can_tell },
	};
	s->source.tracker = &s->tracker;
	raw_identity(&s->source.info.identity);
	assert_ok(
		mb_pass_init(&s->pass, &s->source.source, &s->tracker.tracker, 64, "d", NULL, &err),
		&err);
}

/* The VM writes. */
static void put(struct scene *s, uint64_t frame, uint64_t raw)
{
	s->source.raw[frame] = raw;
	s->tracker.flagged[frame / 64] |= 1ull << frame % 64;
}

/* What a full walk of an honest agent would send. */
static void expect(struct scene *s, const struct mb_epoch *e)
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

static void run(struct scene *s, struct mb_epoch *ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_pass_run(&s->pass, ret, &err), &err);
	expect(s, ret);
}

/* The same, for tests that look at the figures only. */
static struct mb_pass_info run_info(struct scene *s)
{
	struct mb_epoch e;

	run(s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	return e.info;
}

static void test_full_walks(void **state)
{
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	scene_init(&s, true, false);
	s.source.unread = 10;
	for (uint64_t f = 0; f < 20; f++)
		put(&s, 2 * f, 1 + f % 5);
	run(&s, &e);
	assert_int_equal(e.fingerprint.n_pages, 20);
	assert_int_equal(e.fingerprint.n_distinct, 5);
	assert_true(e.info.full);
	assert_int_equal(e.info.epochs, 1);
	assert_int_equal(e.info.pages_read, 20);
	assert_int_equal(e.info.pages_changed, 20);
	assert_int_equal(e.info.pages_unread, 10 + 11 + 12 + 13 + 14 + 15);
	assert_int_equal(e.unread[MB_UNREAD_NO_DATA], 11);
	assert_string_equal(e.info.tracker, "fake");
	assert_true(e.info.taken_unix_ns > 0);
	mb_fingerprint_deinit(&e.fingerprint);

	i = run_info(&s);
	assert_int_equal(i.pages_changed, 0);
	assert_int_equal(i.pages_read, 20);
	put(&s, 0, 99);	 /* changes */
	put(&s, 2, 0);	 /* vanishes */
	put(&s, 255, 5); /* appears, a content that others have */
	i = run_info(&s);
	assert_int_equal(i.pages_changed, 3);
	assert_int_equal(i.pages_read, 20);
	mb_pass_deinit(&s.pass);
}

/* Everything is read again, also what the tracker has not flagged. */
static void test_rekey(void **state)
{
	static const uint8_t key[MB_KEY_BYTES] = { 1 }, other[MB_KEY_BYTES] = { 2 };
	struct mb_identity before;
	struct mb_pass_info i;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	for (int stable = 0; stable < 2; stable++) {
		scene_init(&s, stable, true);
		assert_fails(mb_pass_rekey(&s.pass, key, &err), EXDEV, &err, "another key");
		mb_pass_deinit(&s.pass);
		assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d", key,
				       &err),
			  &err);
		for (uint64_t f = 0; f < 20; f++)
			put(&s, 2 * f, 1 + f % 5);
		run_info(&s);
		before = s.pass.digester.identity;
		assert_ok(mb_pass_rekey(&s.pass, other, &err), &err);
		assert_int_equal(mb_identity_compare(&before, &s.pass.digester.identity, NULL),
				 -EXDEV);
		put(&s, 4, 77);
		i = run_info(&s);
		assert_true(i.full);
		assert_int_equal(i.pages_read, 20);
		assert_int_equal(i.pages_changed, 20);
		put(&s, 4, 78);
		i = run_info(&s);
		assert_int_equal(i.full, !stable);
		assert_int_equal(i.pages_changed, 1);
		mb_pass_deinit(&s.pass);
	}
}

static void test_no_page_at_all(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	for (int stable = 0; stable < 2; stable++) {
		scene_init(&s, stable, true);
		i = run_info(&s);
		assert_int_equal(i.pages_read, 0);
		assert_int_equal(i.pages_changed, 0);
		put(&s, 3, 1);
		i = run_info(&s);
		assert_int_equal(i.pages_changed, 1);
		put(&s, 3, 0);
		run_info(&s);
		mb_pass_deinit(&s.pass);
	}
}

static void test_partial(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	for (uint64_t f = 10; f < 30; f++)
		put(&s, f, f);
	i = run_info(&s);
	/* Whatever the tracker says, the first one reads all. */
	assert_true(i.full && s.source.was_full);
	put(&s, 5, 1);	  /* appears before all */
	put(&s, 10, 0);	  /* the first vanishes */
	put(&s, 15, 100); /* changes */
	put(&s, 16, 16);  /* flagged, but the same */
	put(&s, 29, 0);	  /* the last vanishes */
	put(&s, 40, 0);	  /* flagged, never there */
	put(&s, 200, 1);  /* appears after all */
	i = run_info(&s);
	assert_false(i.full || s.source.was_full);
	assert_int_equal(i.pages_read, 4);
	assert_int_equal(i.pages_changed, 5);
	i = run_info(&s);
	assert_int_equal(i.pages_read, 0);
	assert_int_equal(i.pages_changed, 0);
	/* The tracker cannot tell: all is read. */
	s.tracker.can_tell = false;
	put(&s, 12, 77);
	i = run_info(&s);
	assert_true(i.full);
	assert_int_equal(i.pages_changed, 1);
	mb_pass_deinit(&s.pass);
}

static void test_frames_outside_the_set_are_read(void **state)
{
	uint64_t words[1] = { 0 };
	struct mb_pass_info i;
	struct mb_frame_set set = { words, 64, 64, NULL };
	struct scene s;

	(void)state;
	/* A bitmap over [64, 128) only: nobody vouches for the others. */
	assert_true(mb_frame_set_has(&set, 63) && mb_frame_set_has(&set, 128));
	assert_false(mb_frame_set_has(&set, 64) || mb_frame_set_has(&set, 127));
	assert_true(mb_frame_set_has(&set, UINT64_MAX));
	words[0] = 1ull << 63;
	assert_true(mb_frame_set_has(&set, 127));

	scene_init(&s, true, true);
	put(&s, 1, 1);
	put(&s, 100, 2);
	run_info(&s);
	i = run_info(&s);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

/* Memory was unplugged and plugged: what the tracker calls clean may be gone, or other memory. */
static void test_frames_moved(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	for (uint64_t f = 10; f < 30; f++)
		put(&s, f, f);
	run_info(&s);
	s.source.raw[20] = 0; /* behind the tracker's back */
	s.source.raw[25] = 99;
	s.source.moved = true;
	i = run_info(&s);
	assert_true(i.full && s.source.was_full);
	assert_int_equal(i.pages_changed, 2);
	i = run_info(&s);
	assert_false(i.full);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

static void test_random_partial_passes(void **state)
{
	struct rng r = { 11 };
	struct scene s;

	(void)state;
	for (int round = 0; round < 20; round++) {
		scene_init(&s, true, true);
		s.source.per_read = 1 + rng_below(&r, 9);
		for (int pass = 0; pass < 20; pass++) {
			uint64_t writes = rng_below(&r, 40);

			for (uint64_t w = 0; w < writes; w++)
				put(&s, rng_below(&r, FRAMES),
				    rng_below(&r, 3) ? rng_below(&r, 20) : 0);
			s.tracker.can_tell = rng_below(&r, 5) != 0;
			run_info(&s);
		}
		mb_pass_deinit(&s.pass);
	}
}

/* Behind the tracker's back, of a class that it does not follow. */
static void test_rule_2(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	for (uint64_t f = 1; f < 20; f++)
		put(&s, f, f);
	s.source.cls[5] = MB_CLASS_SLAB;
	s.source.cls[6] = MB_CLASS_HUGETLB;
	s.source.flags[7] = MB_PAGE_PINNED;
	s.source.cls[8] = MB_CLASS_FILE;
	run_info(&s);
	for (uint64_t f = 5; f < 8; f++)
		s.source.raw[f] += 100;
	i = run_info(&s);
	assert_int_equal(i.pages_read, 3);
	assert_int_equal(i.pages_changed, 3);

	/* Pinned just now; of another class; come; gone: nobody flags any of them. */
	s.source.flags[9] = MB_PAGE_PINNED;
	s.source.raw[9] = 200;
	s.source.cls[10] = MB_CLASS_FILE;
	s.source.raw[10] = 201;
	s.source.raw[30] = 202;
	s.source.raw[11] = 0;
	i = run_info(&s);
	assert_int_equal(i.pages_read, 6);
	assert_int_equal(i.pages_changed, 4);
	/* Not pinned any more: what was written up to then is read once. */
	s.source.flags[9] = 0;
	s.source.raw[9] = 203;
	i = run_info(&s);
	assert_int_equal(i.pages_read, 4);
	i = run_info(&s);
	assert_int_equal(i.pages_read, 3);
	mb_pass_deinit(&s.pass);
}

/* Read while it was being written to: read again, flagged or not. */
static void test_rule_3(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	put(&s, 1, 1);
	put(&s, 2, 2);
	s.source.flags[2] = MB_PAGE_UNSTABLE;
	run_info(&s);
	s.source.raw[2] = 3;
	s.source.flags[2] = 0;
	i = run_info(&s);
	assert_int_equal(i.pages_read, 1);
	i = run_info(&s);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

static void wrong_after(struct scene *s)
{
	struct mb_epoch e;
	struct mb_err err = { 0 };
	struct mb_fingerprint_id is, should;
	uint64_t digests[FRAMES];
	struct mb_fingerprint fp;
	size_t n = 0;

	assert_ok(mb_pass_run(&s->pass, &e, &err), &err);
	for (size_t i = 0; i < FRAMES; i++)
		if (s->source.raw[i])
			digests[n++] = s->source.raw[i];
	mb_blind(&s->pass.digester, digests, n);
	assert_ok(mb_fingerprint_from_digests(&fp, digests, n, &err), &err);
	should = mb_fingerprint_id(&fp);
	is = mb_fingerprint_id(&e.fingerprint);
	assert_false(mb_fingerprint_id_equal(&is, &should));
	mb_fingerprint_deinit(&fp);
	mb_fingerprint_deinit(&e.fingerprint);
}

/* The switches that tests of the whole use: without a rule it does go wrong. */
static void test_broken_rules(void **state)
{
	static const struct {
		unsigned int broken;
		uint8_t cls, flags;
	} cases[] = {
		{ MB_BREAK_RULE_2, MB_CLASS_SLAB, 0 },
		{ MB_BREAK_RULE_3, MB_CLASS_ANON, MB_PAGE_UNSTABLE },
	};

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		struct scene s;

		scene_init(&s, true, true);
		s.pass.rehash.broken = cases[i].broken;
		put(&s, 2, 2);
		s.source.cls[2] = cases[i].cls;
		s.source.flags[2] = cases[i].flags;
		run_info(&s);
		s.source.raw[2] = 3;
		wrong_after(&s);
		mb_pass_deinit(&s.pass);
	}
	/* Nor does what comes behind the tracker's back. */
	for (int with = 0; with < 2; with++) {
		struct scene s;

		scene_init(&s, true, true);
		s.pass.rehash.broken = with ? 0 : MB_BREAK_RULE_2;
		put(&s, 2, 2);
		run_info(&s);
		s.source.raw[9] = 9;
		if (with)
			run_info(&s);
		else
			wrong_after(&s);
		mb_pass_deinit(&s.pass);
	}
}

static void test_audit(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	s.pass.audit_every = 3;
	for (uint64_t f = 1; f < 20; f++)
		put(&s, f, f);
	run_info(&s);
	i = run_info(&s);
	assert_int_equal(i.audit.audits, 0);
	assert_false(i.full);
	put(&s, 3, 300);       /* flagged and changed */
	put(&s, 4, 4);	       /* flagged only */
	put(&s, 60, 60);       /* new */
	s.source.raw[5] = 500; /* missed */
	s.source.write_at = 2; /* after the flags were taken, before it is read */
	s.source.write_frame = 6;
	i = run_info(&s);
	assert_true(i.full);
	assert_int_equal(i.audit.audits, 1);
	assert_int_equal(i.audit.follows, 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE);
	assert_int_equal(i.audit.changed[MB_CLASS_ANON], 3);
	assert_int_equal(i.audit.stale[MB_CLASS_ANON], 1);
	assert_int_equal(i.audit.flagged, 3);
	assert_int_equal(i.audit.flagged_changed, 2);
	/* What was flagged while it was audited is read then. */
	i = run_info(&s);
	assert_false(i.full);
	assert_int_equal(i.pages_read, 1);
	i = run_info(&s);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

/* Rule 5: all is read, and it is told how right the doubts were. */
static void test_doubt(void **state)
{
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	put(&s, 1, 1);
	put(&s, 2, 2);
	s.tracker.doubt = "nothing was protected";
	i = run_info(&s);
	assert_true(i.full);
	/* There is nothing that it could be held against. */
	assert_int_equal(i.audit.audits, 0);
	assert_int_equal(s.tracker.asked, 1);
	s.tracker.doubt = NULL;
	run_info(&s);

	s.source.raw[2] = 3;
	s.tracker.doubt = "5 events";
	run(&s, &e);
	assert_string_equal(e.doubt, "5 events");
	assert_true(e.info.full);
	assert_int_equal(e.info.audit.stale[MB_CLASS_ANON], 1);
	assert_int_equal(e.info.audit.doubted, 1);
	mb_fingerprint_deinit(&e.fingerprint);
	/* It had doubts when it was asked the second time, too. */
	s.tracker.doubt = NULL;
	s.source.raw[2] = 4;
	run(&s, &e);
	assert_true(e.info.full);
	assert_null(e.doubt);
	mb_fingerprint_deinit(&e.fingerprint);
	i = run_info(&s);
	assert_false(i.full);
	mb_pass_deinit(&s.pass);
}

/* What came up while it was audited is a doubt, too. */
static void test_doubt_after_the_audit(void **state)
{
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	s.pass.audit_every = 2;
	put(&s, 1, 1);
	put(&s, 2, 2);
	run_info(&s);
	s.source.raw[2] = 3;
	s.tracker.asked = 0;
	s.tracker.doubt_later = "2 events";
	run(&s, &e);
	assert_int_equal(e.info.audit.audits, 1);
	assert_int_equal(e.info.audit.doubted, 1);
	assert_string_equal(e.doubt, "2 events");
	mb_fingerprint_deinit(&e.fingerprint);
	s.tracker.doubt_later = NULL;
	i = run_info(&s);
	assert_true(i.full);
	mb_pass_deinit(&s.pass);
}

/* Memory was plugged just when an audit was due: it is another memory. */
static void test_frames_moved_before_an_audit(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	s.pass.audit_every = 2;
	for (uint64_t f = 10; f < 30; f++)
		put(&s, f, f);
	run_info(&s);
	for (uint64_t f = 10; f < 30; f++)
		s.source.raw[f] += 100;
	s.source.moved = true;
	i = run_info(&s);
	assert_true(i.full);
	assert_int_equal(i.audit.audits, 0);
	/* It is still due. */
	i = run_info(&s);
	assert_int_equal(i.audit.audits, 1);
	assert_int_equal(i.audit.stale[MB_CLASS_ANON], 0);
	mb_pass_deinit(&s.pass);
}

/* Seldom looked at, what has not changed for long; found all the same. */
static void test_quiet_pages(void **state)
{
	struct mb_pass_info i;
	uint64_t read = 0;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	mb_rehash_init(&s.pass.rehash, tracker_ops.follows, 8);
	s.pass.audit_every = 10;
	for (uint64_t f = 1; f < 200; f++) {
		put(&s, f, f);
		s.source.cls[f] = MB_CLASS_RESERVED;
	}
	for (int pass = 0; pass < 60; pass++) {
		i = run_info(&s);
		if (!i.full && pass > 40)
			read += i.pages_read;
	}
	/* Every eighth, of 199, 17 times or so. */
	assert_in_range(read, 17 * 199 / 8 / 2, 17 * 199 / 8 * 2);
	mb_pass_deinit(&s.pass);
}

static void test_churn_of_unstable_frames(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, false, false);
	for (uint64_t f = 0; f < 10; f++)
		put(&s, f, 1 + f);
	i = run_info(&s);
	assert_int_equal(i.pages_changed, 10);
	/* All move, nothing changes. */
	for (uint64_t f = 0; f < 10; f++)
		put(&s, f, 0);
	for (uint64_t f = 0; f < 10; f++)
		put(&s, 100 + f, 10 - f);
	i = run_info(&s);
	assert_int_equal(i.pages_changed, 0);
	/* Two more copies of one content, one of a new one; another is gone. */
	put(&s, 0, 4);
	put(&s, 1, 4);
	put(&s, 2, 50);
	put(&s, 100, 0);
	i = run_info(&s);
	assert_int_equal(i.pages_changed, 3);
	mb_pass_deinit(&s.pass);
}

/* A frame number that names another place next time cannot be carried over. */
static void test_unstable_frames_are_always_read(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	scene_init(&s, false, true);
	put(&s, 1, 1);
	put(&s, 2, 2);
	run_info(&s);
	/* Behind the tracker's back: it knows other frames. */
	s.source.raw[3] = 3;
	s.source.raw[1] = 0;
	i = run_info(&s);
	assert_true(i.full);
	mb_pass_deinit(&s.pass);
}

static void test_failed_walk(void **state)
{
	struct mb_err err = { 0 };
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	for (int stable = 0; stable < 2; stable++) {
		scene_init(&s, stable, true);
		s.source.per_read = 3;
		for (uint64_t f = 1; f < 40; f++)
			put(&s, f, f);
		run_info(&s);
		put(&s, 5, 1000);
		put(&s, 30, 1001);
		s.source.fail_at = 20;
		assert_fails(mb_pass_run(&s.pass, &e, &err), EIO, &err, "frame 20 is gone");
		assert_null(e.fingerprint.digests);
		assert_int_equal(s.pass.epochs, 1);
		/*
		 * The tracker does not flag 5 and 30 again; they must not be taken for what they
		 * were, and count once.
		 */
		s.source.fail_at = 0;
		put(&s, 6, 1002);
		i = run_info(&s);
		assert_int_equal(i.pages_changed, 3);
		assert_true(i.full);
		/* After that it is trusted again. */
		put(&s, 7, 1003);
		i = run_info(&s);
		assert_int_equal(i.pages_changed, 1);
		assert_int_equal(i.pages_read, stable ? 1 : 39);
		mb_pass_deinit(&s.pass);
	}
}

static void test_source_breaks_the_order(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	put(&s, 1, 1);
	put(&s, 2, 2);
	put(&s, 3, 3);
	run_info(&s);
	put(&s, 2, 7);
	put(&s, 3, 8);
	s.source.swap_at = 3;
	assert_fails(mb_pass_run(&s.pass, &e, &err), EBADMSG, &err, "frame 0 after frame 2");
	s.source.swap_at = 0;
	run_info(&s);
	mb_pass_deinit(&s.pass);
}

static int failing_tap(void *ctx, const struct mb_page *page, struct mb_err *err)
{
	int *left = ctx;

	(void)page;
	return --*left < 0 ? mb_fail(err, ENOSPC, "disk full") : 0;
}

static void test_failing_tap_and_tracker(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;
	int left = 1;

	(void)state;
	scene_init(&s, true, true);
	put(&s, 1, 1);
	put(&s, 2, 2);
	s.pass.tap = failing_tap;
	s.pass.ctx = &left;
	assert_fails(mb_pass_run(&s.pass, &e, &err), ENOSPC, &err, "disk full");
	left = 100;
	run_info(&s);
	assert_int_equal(left, 98);
	/* A tracker that fails knows nothing: all is read, and it is said why. */
	s.tracker.fails = true;
	put(&s, 2, 3);
	run(&s, &e);
	assert_true(e.info.full);
	assert_string_equal(e.doubt, "ring lost");
	mb_fingerprint_deinit(&e.fingerprint);
	/* It may not have armed, so that writes from then on are not flagged. */
	s.tracker.fails = false;
	s.source.raw[2] = 4;
	assert_true(run_info(&s).full);
	put(&s, 2, 5);
	assert_false(run_info(&s).full);
	mb_pass_deinit(&s.pass);
}

static void test_end_of_epochs(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	put(&s, 1, 1);
	run_info(&s);
	s.source.ended = true;
	put(&s, 2, 2);
	for (int i = 0; i < 2; i++)
		assert_fails(mb_pass_run(&s.pass, &e, &err), ENODATA, &err, "no more epochs");
	/* And if there is one after all, it is right. */
	s.source.ended = false;
	run_info(&s);
	mb_pass_deinit(&s.pass);
}

struct seen {
	double last;
	int calls;
	bool stop;
};

static int on_progress(void *ctx, double done, struct mb_err *err)
{
	struct seen *seen = ctx;

	assert_true(done >= seen->last && done <= 1);
	seen->last = done;
	seen->calls++;
	return seen->stop ? mb_fail(err, EINTR, "enough") : 0;
}

static void test_progress(void **state)
{
	struct seen seen = { 0 };
	struct scene s;

	(void)state;
	scene_init(&s, true, false);
	for (uint64_t f = 0; f < FRAMES; f++)
		put(&s, f, 1);
	s.source.per_read = 50;
	s.pass.progress = on_progress;
	s.pass.ctx = &seen;
	run_info(&s);
	assert_int_equal(seen.calls, 6);
	assert_true(seen.last == 1);
	mb_pass_deinit(&s.pass);
}

static void test_keys_and_bits(void **state)
{
	static const uint8_t key[MB_KEY_BYTES] = { 7 }, other[MB_KEY_BYTES] = { 8 };
	struct mb_err err = { 0 };
	struct mb_digester d;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	/* Raw digests are keyed, and cut. */
	scene_init(&s, true, false);
	put(&s, 1, 12345);
	assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "d", key, &err),
		  &err);
	run(&s, &e);
	assert_true(e.fingerprint.digests[0] != 12345);
	assert_int_equal(e.fingerprint.digests[0] >> 48, 0);
	assert_true(s.pass.digester.identity.keyed);
	assert_int_equal(s.pass.digester.identity.bits, 48);
	mb_fingerprint_deinit(&e.fingerprint);
	mb_pass_deinit(&s.pass);

	/* A keyed source: digests go out as they are, with the same key or none. */
	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "d", key, &err), &err);
	for (int with_key = 0; with_key < 2; with_key++) {
		scene_init(&s, true, false);
		s.source.info.identity = d.identity;
		put(&s, 1, 12345);
		assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d",
				       with_key ? key : NULL, &err),
			  &err);
		assert_int_equal(mb_identity_compare(&s.pass.digester.identity, &d.identity, &err),
				 0);
		assert_ok(mb_pass_run(&s.pass, &e, &err), &err);
		assert_int_equal(e.fingerprint.digests[0], 12345);
		mb_fingerprint_deinit(&e.fingerprint);
		mb_pass_deinit(&s.pass);
	}
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d", other, &err),
		EXDEV, &err, "keyed already");
	mb_pass_deinit(&s.pass);
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "e", key, &err),
		EXDEV, &err, "trust domain");
	mb_pass_deinit(&s.pass);
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "d", key, &err),
		EXDEV, &err, "but 48 there");
	mb_pass_deinit(&s.pass);
	/* Raw ones that were cut cannot be keyed. */
	raw_identity(&s.source.info.identity);
	s.source.info.identity.bits = 48;
	s.source.info.identity.zero_digest >>= 16;
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "d", key, &err),
		EXDEV, &err, "cut to 48 bits");
	mb_pass_deinit(&s.pass);
	/* Nonsense. */
	assert_fails(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "", key, &err),
		     EINVAL, &err, "trust domain");
	mb_pass_deinit(&s.pass);
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 63, "d", key, &err),
		EINVAL, &err, "63-bit");
	mb_pass_deinit(&s.pass);
}

/* What an audit's second question has is of the same epoch; of a pass that fails, of the next. */
static void test_who(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;

	(void)state;
	scene_init(&s, true, true);
	put(&s, 3, 7);
	run(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_true(e.who.counted);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 1);
	s.pass.audit_every = 1;
	run(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_int_equal(e.info.audit.audits, 1);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 2);
	s.pass.audit_every = 0;
	put(&s, 3, 8);
	s.source.fail_at = 3;
	assert_fails(mb_pass_run(&s.pass, &e, &err), EIO, &err, "frame 3 is gone");
	s.source.fail_at = 0;
	run(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_int_equal(e.who.n, 1);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 2);
	run(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 1);
	mb_pass_deinit(&s.pass);
}

static void test_superfasthash_has_its_own_bits(void **state)
{
	struct mb_err err = { 0 };
	struct mb_digester d;
	struct scene s;

	(void)state;
	scene_init(&s, true, false);
	assert_ok(mb_digester_init(&d, MB_SUPERFASTHASH32, MB_PAGE_BYTES, 32, "", NULL, &err),
		  &err);
	s.source.info.identity = d.identity;
	put(&s, 1, 3051824092);
	assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d", NULL, &err),
		  &err);
	assert_int_equal(s.pass.digester.identity.bits, 32);
	run_info(&s);
	mb_pass_deinit(&s.pass);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_walks),
		cmocka_unit_test(test_rekey),
		cmocka_unit_test(test_no_page_at_all),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_frames_outside_the_set_are_read),
		cmocka_unit_test(test_frames_moved),
		cmocka_unit_test(test_random_partial_passes),
		cmocka_unit_test(test_rule_2),
		cmocka_unit_test(test_rule_3),
		cmocka_unit_test(test_broken_rules),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_doubt_after_the_audit),
		cmocka_unit_test(test_frames_moved_before_an_audit),
		cmocka_unit_test(test_quiet_pages),
		cmocka_unit_test(test_churn_of_unstable_frames),
		cmocka_unit_test(test_unstable_frames_are_always_read),
		cmocka_unit_test(test_failed_walk),
		cmocka_unit_test(test_source_breaks_the_order),
		cmocka_unit_test(test_failing_tap_and_tracker),
		cmocka_unit_test(test_end_of_epochs),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_keys_and_bits),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_superfasthash_has_its_own_bits),
	};

	return cmocka_run_group_tests_name("pass", tests, NULL, NULL);
}
