// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_mbwalk.h"

/* Below 640 KiB, a hole, and one that takes several scans. */
static const struct mbwalk_range two[] = { { 1, 158 }, { 256, 200000 } };
static const struct mbwalk_range sparse[] = { { 0, 1 }, { 5, 1 }, { 1ull << 40, 300 } };

static struct mb_source *open_kmod(const struct mbwalk_range *ranges, size_t n)
{
	fake_device_init(ranges, n);
	return open_source("kmod");
}

static void close_kmod(struct mb_source *s)
{
	s->ops->close(s);
	assert_int_equal(device.opened, device.closed);
}

/* Each frame that has a record, in `ranges`, and that is in `only`: there, and no other one. */
static void assert_epoch(const struct taken *t, const struct mbwalk_range *ranges, size_t n,
			 const struct mb_frame_set *only, bool free_frames)
{
	uint64_t reasons[MBWALK_COUNTS] = { 0 };
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		for (uint64_t f = ranges[i].first; f < ranges[i].first + ranges[i].n; f++) {
			int reason = fake_reason(f);

			if (!mb_frame_set_has(only, f))
				continue;
			if (reason >= 0 && !(free_frames && reason == MBWALK_COUNT_FREE)) {
				reasons[reason]++;
				continue;
			}
			if (at == t->n || t->pages[at].frame != f)
				fail_msg("frame %llu was not read", (unsigned long long)f);
			assert_int_equal(t->pages[at].digest, fake_digest(f));
			assert_int_equal(t->pages[at].cls, fake_class(f) <= 9 ? fake_class(f) : 0);
			assert_int_equal(t->pages[at].flags, f % 64);
			at++;
		}
	assert_int_equal(at, t->n);
	assert_int_equal(t->unread[MB_UNREAD_OFFLINE], reasons[MBWALK_COUNT_OFFLINE]);
	assert_int_equal(t->unread[MB_UNREAD_HWPOISON], reasons[MBWALK_COUNT_HWPOISON]);
	assert_int_equal(t->unread[MB_UNREAD_BALLOON], reasons[MBWALK_COUNT_BALLOON]);
	/* A reason that is not known is still one. */
	assert_int_equal(t->unread[MB_UNREAD_FAILED],
			 reasons[MBWALK_COUNT_UNREADABLE] + reasons[12]);
	assert_int_equal(t->unread[MB_UNREAD_SWAPPED] + t->unread[MB_UNREAD_NO_DATA], 0);
}

static void assert_walk(struct mb_source *s, const struct mbwalk_range *ranges, size_t n,
			const struct mb_frame_set *only, size_t cap)
{
	struct taken t;

	take_epoch(s, only, cap, &t);
	assert_epoch(&t, ranges, n, only, false);
	free_taken(&t);
}

static void test_walk(void **state)
{
	struct mb_source *s = open_kmod(two, 2);
	struct mb_source_info info;

	(void)state;
	s->ops->describe(s, &info);
	assert_int_equal(info.memory_bytes, 200158 * 4096ull);
	assert_true(info.stable_frames);
	assert_true(info.live);
	assert_false(info.identity.keyed);
	assert_int_equal(info.identity.bits, 64);
	assert_string_equal(info.text, "this machine, 781 MiB");
	assert_walk(s, two, 2, NULL, 4096);
	assert_walk(s, two, 2, NULL, 999);
	close_kmod(s);
}

static void test_sparse(void **state)
{
	struct mb_source *s = open_kmod(sparse, 3);

	(void)state;
	assert_walk(s, sparse, 3, NULL, 7);
	assert_int_equal(device.scans, 3);
	close_kmod(s);
	s = open_kmod(NULL, 0);
	assert_walk(s, NULL, 0, NULL, 7);
	close_kmod(s);
}

static void test_free_memory(void **state)
{
	struct mb_source_info info;
	struct mb_source *s;
	struct taken t;

	(void)state;
	fake_device_init(two, 2);
	s = open_source("kmod:free");
	take_epoch(s, NULL, 4096, &t);
	assert_epoch(&t, two, 2, NULL, true);
	free_taken(&t);
	s->ops->describe(s, &info);
	assert_non_null(strstr(info.text, "free memory included"));
	close_kmod(s);
}

/* The module stops when a signal comes, or fails if nothing is done yet: nothing is lost. */
static void test_resume(void **state)
{
	struct mb_source *s = open_kmod(two, 2);

	(void)state;
	device.most = 128;
	device.eintr = 3;
	assert_walk(s, two, 2, NULL, 4096);
	close_kmod(s);
	s = open_kmod(sparse, 3);
	device.most = 1;
	device.eintr = 1;
	assert_walk(s, sparse, 3, NULL, 4096);
	assert_int_equal(device.scans, 303);
	close_kmod(s);
}

static struct mb_source *open_parts(uint32_t parts)
{
	struct mb_source_options options = { .algorithm = MB_XXH64, .parts = parts };
	struct mb_err err = { 0 };
	struct mb_source *s;

	assert_ok(mb_source_open("kmod", &options, &s, &err), &err);
	return s;
}

/* Each part of a page comes, in order, wherever a read ends. */
static void assert_parts(struct mb_source *s, uint32_t parts, size_t cap)
{
	size_t at = 0;
	struct taken t;

	take_epoch(s, NULL, cap, &t);
	for (size_t i = 0; i < MB_ARRAY_LEN(sparse); i++)
		for (uint64_t f = sparse[i].first; f < sparse[i].first + sparse[i].n; f++)
			for (uint32_t k = 0; fake_reason(f) < 0 && k < parts; k++, at++) {
				const struct mb_page *page = &t.pages[at];
				bool zero = fake_zero_parts(f) >> k & 1;

				assert_true(at < t.n);
				assert_int_equal(page->frame, f * parts + k);
				assert_int_equal(page->digest, fake_digest(f * 64 + k));
				assert_int_equal(page->flags,
						 (f % 64 & ~1u) | (zero ? MB_PAGE_ZERO : 0));
			}
	assert_int_equal(at, t.n);
	free_taken(&t);
}

static void test_parts(void **state)
{
	(void)state;
	for (uint32_t parts = 2; parts <= 32; parts *= 2) {
		struct mb_source_info info;
		struct mb_source *s;

		fake_device_init(sparse, 3);
		s = open_parts(parts);
		s->ops->describe(s, &info);
		assert_int_equal(info.identity.page_bytes, 4096 / parts);
		assert_int_equal(info.memory_bytes, 302 * 4096ull);
		/* No tracker can say which parts to read. */
		assert_false(info.this_machine);
		assert_parts(s, parts, 4096);
		assert_int_equal(device.last.parts, parts);
		device.most = 7;
		assert_parts(s, parts, 5);
		close_kmod(s);
	}
	/* One is none: what a module of before knows, too. */
	fake_device_init(sparse, 3);
	device.info.parts_max = 0;
	close_kmod(open_parts(1));
}

static void fails_at(struct mb_source *s, int code, const char *word)
{
	struct mb_err err = { 0 };
	struct taken t;
	int r = s->ops->begin(s, NULL, &err);

	if (r == 0) {
		r = read_epoch(s, 4096, &t, &err);
		free_taken(&t);
	}
	assert_fails(r, code, &err, word);
	assert_non_null(strstr(err.text, "/dev/mbwalk"));
}

static void test_parts_fail(void **state)
{
	struct mb_source_options options = { .algorithm = MB_XXH64, .parts = 8 };
	uint64_t word = 0;
	struct mb_frame_set only = { &word, 0, 64, NULL };
	struct mb_err err = { 0 };
	struct mb_source *s;

	(void)state;
	fake_device_init(two, 2);
	device.info.parts_max = 0;
	assert_fails(mb_source_open("kmod", &options, &s, &err), ENOTSUP, &err, "rmmod mbwalk");
	device.info.parts_max = 4;
	assert_fails(mb_source_open("kmod", &options, &s, &err), ENOTSUP, &err, "up to 4");
	options.parts = 3;
	assert_fails(mb_source_open("kmod", &options, &s, &err), EINVAL, &err, "a power of two");
	assert_int_equal(device.opened, device.closed);

	/* A newer module's own, of which a record has no room for all. */
	device.info.parts_max = 1000;
	s = open_parts(8);
	assert_fails(s->ops->begin(s, &only, &err), EAGAIN, &err, "all at once");
	device.lie = ZERO_PARTS;
	fails_at(s, EPROTO, "zero parts");
	close_kmod(s);
}

static void test_bitmap(void **state)
{
	static uint64_t words[400];
	struct mb_frame_set only = { words, 130, 5000, NULL };
	struct mb_source *s = open_kmod(two, 2);
	struct rng r = { 1 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(words); i++)
		words[i] = i % 5 ? rng_next(&r) & rng_next(&r) : 0;
	/* It starts in one range and ends in the next; around it all is read. */
	assert_walk(s, two, 2, &only, 4096);
	device.most = 100;
	only.n = 4999;
	assert_walk(s, two, 2, &only, 100);
	device.most = 0;
	/* All of it, and nothing of it. */
	only = (struct mb_frame_set){ words, 0, 25600, NULL };
	assert_walk(s, two, 2, &only, 4096);
	only = (struct mb_frame_set){ words, 1ull << 50, 64, NULL };
	assert_walk(s, two, 2, &only, 4096);
	only = (struct mb_frame_set){ words, 100, 0, NULL };
	assert_walk(s, two, 2, &only, 4096);
	close_kmod(s);
}

static const struct mb_page *must_find(const struct taken *t, uint64_t frame)
{
	const struct mb_page *page = find_frame(t, frame);

	if (!page)
		fail_msg("frame %llu does not come", (unsigned long long)frame);
	return page;
}

/* Nothing is flagged: what comes is what is not as it was known, or is none any more. */
static void test_known(void **state)
{
	static uint64_t words[200256 / 64];
	static uint8_t known[200256];
	struct mb_frame_set only = { words, 0, MB_ARRAY_LEN(known), known };
	struct mb_source *s = open_kmod(two, 2);
	struct taken t;

	(void)state;
	for (uint64_t f = 0; f < MB_ARRAY_LEN(known); f++)
		known[f] = fake_reason(f) < 0 ? fake_class(f) : 0;
	take_epoch(s, &only, 4096, &t);
	assert_int_equal(t.n, 0);
	/* Counted again in every epoch. */
	assert_int_equal(t.unread[MB_UNREAD_OFFLINE], 201);
	free_taken(&t);

	known[1001] ^= 1; /* became something else */
	known[1002] = 0;  /* came */
	known[1030] = 3;  /* was there, is in the balloon */
	for (int i = 0; i < 2; i++) {
		device.most = i ? 17 : 0;
		take_epoch(s, &only, i ? 5 : 4096, &t);
		assert_int_equal(t.n, 3);
		assert_int_equal(must_find(&t, 1001)->digest, fake_digest(1001));
		assert_false(must_find(&t, 1002)->gone);
		assert_true(must_find(&t, 1030)->gone);
		free_taken(&t);
	}
	close_kmod(s);
}

static void test_arguments(void **state)
{
	struct mb_source *s = open_kmod(sparse, 3);
	uint64_t word = 0;
	struct mb_frame_set only = { &word, 5, 64, NULL };

	(void)state;
	assert_walk(s, sparse, 3, &only, 10);
	assert_int_equal(device.last.first, 1ull << 40);
	assert_int_equal(device.last.algorithm, MBWALK_XXH64);
	assert_int_equal(device.last.known, 0);
	assert_int_equal(device.last.flags, 0);
	assert_int_equal(device.last.bitmap, 0);
	close_kmod(s);
}

static void test_scan_errors(void **state)
{
	struct mb_source *s = open_kmod(two, 2);

	(void)state;
	device.scan_result = -EFAULT;
	fails_at(s, EFAULT, "158 frames from 1 on");
	device.scan_result = -ENOMEM;
	fails_at(s, ENOMEM, "Cannot allocate memory");
	device.scan_result = 0;
	device.eintr = INT_MAX;
	fails_at(s, EINTR, "a signal each");
	device.eintr = 0;
	device.eagain = INT_MAX;
	fails_at(s, EAGAIN, "MBWALK_INFO");
	device.eagain = 0;
	device.info_result = -EFAULT;
	fails_at(s, EFAULT, "MBWALK_INFO");
	device.info_result = 0;
	/* And then it works again, also while memory is being plugged. */
	assert_walk(s, two, 2, NULL, 4096);
	device.eagain = 3;
	assert_walk(s, two, 2, NULL, 4096);
	assert_int_equal(device.eagain, 0);
	close_kmod(s);
}

static void test_lies_of_scan(void **state)
{
	static const struct {
		enum lie lie;
		const char *word;
	} cases[] = {
		{ MANY_RECORDS, "more records" },   { STUCK, "does not get on" },
		{ BEHIND, "does not get on" },	    { BEYOND, "does not get on" },
		{ NOT_ASCENDING, "do not ascend" }, { LOST_FRAMES, "were lost" },
		{ HUGE_COUNT, "counts more" },	    { GONE, "nobody knew" },
	};

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		struct mb_source *s = open_kmod(two, 2);

		device.lie = cases[i].lie;
		fails_at(s, EPROTO, cases[i].word);
		device.most = 10;
		fails_at(s, EPROTO, cases[i].word);
		close_kmod(s);
	}
}

static void test_lies_of_info(void **state)
{
	static const struct {
		enum lie lie;
		const char *word;
	} cases[] = {
		{ MANY_RANGES, "too many" },	{ OVERLAP, "range 1 of RAM" },
		{ EMPTY_RANGE, "range 0" },	{ WRAPPING_RANGE, "range 1 of RAM" },
		{ OTHER_SUM, "200159 frames" },
	};

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		fake_device_init(two, 2);
		device.lie = cases[i].lie;
		assert_open_fails("kmod", EPROTO, cases[i].word);
		assert_int_equal(device.opened, device.closed);
	}
	fake_device_init(two, 2);
	device.more_ranges = INT_MAX;
	assert_open_fails("kmod", EPROTO, "does not settle");
}

static void test_ranges_come_meanwhile(void **state)
{
	struct mb_source *s;

	(void)state;
	fake_device_init(two, 2);
	device.more_ranges = 2;
	s = open_source("kmod");
	assert_walk(s, two, 2, NULL, 4096);
	close_kmod(s);
}

static void test_versions(void **state)
{
	(void)state;
	fake_device_init(two, 2);
	device.info_result = -EINVAL; /* our size is not its size */
	assert_open_fails("kmod", EPROTO, "this agent needs version 2");
	device.info_result = -ENOTTY;
	assert_open_fails("kmod", EPROTO, "rmmod mbwalk");
	device.info_result = 0;
	device.info.version = 3;
	assert_open_fails("kmod", EPROTO, "has version 3, this agent needs version 2");
	device.info.version = 2;
	device.info.algorithms = 1 << MBWALK_SUPERFASTHASH32;
	assert_open_fails("kmod", ENOTSUP, "no xxh64");
	device.info.algorithms = 0xff;
	device.info.page_bytes = 1000;
	assert_open_fails("kmod", EINVAL, "1000");
	assert_int_equal(device.opened, device.closed);
}

static void test_superfasthash(void **state)
{
	struct mb_source_options options = { .algorithm = MB_SUPERFASTHASH32 };
	struct mb_source_info info;
	struct mb_err err = { 0 };
	struct mb_source *s;

	(void)state;
	fake_device_init(two, 2);
	assert_ok(mb_source_open("kmod", &options, &s, &err), &err);
	s->ops->describe(s, &info);
	assert_int_equal(info.identity.algorithm, MB_SUPERFASTHASH32);
	assert_int_equal(info.identity.bits, 32);
	assert_int_equal(info.identity.zero_digest, 3051824092);
	assert_walk(s, two, 2, NULL, 4096);
	assert_int_equal(device.last.algorithm, MBWALK_SUPERFASTHASH32);
	close_kmod(s);
}

static void test_not_loaded(void **state)
{
	struct mb_source_options options = { .algorithm = MB_XXH64, .module = "/a/mbwalk.ko" };
	struct mb_err err = { 0 };
	struct mb_source *s;

	(void)state;
	fake_device_init(two, 2);
	close_kmod(open_source("kmod"));
	assert_int_equal(device.inserted, 0);
	device.open_result = -ENOENT;
	assert_ok(mb_source_open("kmod", &options, &s, &err), &err);
	assert_int_equal(device.inserted, 1);
	assert_string_equal(device.module, "/a/mbwalk.ko");
	close_kmod(s);
	device.open_result = device.open_result_then = -ENOENT;
	assert_open_fails("kmod", ENOENT, "mount devtmpfs");
	device.insert_result = -ENOENT;
	assert_open_fails("kmod", ENOENT, "source kmod: not this module");
	device.open_result = -EPERM;
	assert_open_fails("kmod", EPERM, "only root");
	device.open_result = -EMFILE;
	assert_open_fails("kmod", EMFILE, "Too many open files");
	assert_int_equal(device.inserted, 3);
	assert_open_fails("kmod:fre", EINVAL, "\"fre\" is not free");
	assert_open_fails("kmodfree", EINVAL, "not one of");
}

static void test_check(void **state)
{
	char found[MB_FOUND_MAX] = "";
	struct mb_err err = { 0 };

	(void)state;
	fake_device_init(two, 2);
	assert_ok(mb_source_kmod.check(found, &err), &err);
	assert_string_equal(found,
			    "module version 2, 781 MiB of RAM in 2 ranges; sees page tables, "
			    "the balloon, but not pinned pages, offline memory here");
	device.info.knows = 0;
	assert_ok(mb_source_kmod.check(found, &err), &err);
	assert_non_null(strstr(found, "sees no more than pages, but not"));
	device.info.knows = 0xff;
	assert_ok(mb_source_kmod.check(found, &err), &err);
	assert_null(strstr(found, "but not"));
	device.info.version = 7;
	assert_fails(mb_source_kmod.check(found, &err), EPROTO, &err, "version 7");
	assert_int_equal(device.opened, device.closed);
	device.open_result = -ENOENT;
	assert_ok(mb_source_kmod.check(found, &err), &err);
	assert_non_null(strstr(found, "/somewhere/mbwalk.ko"));
	device.insert_result = -ENOEXEC;
	assert_fails(mb_source_kmod.check(found, &err), ENOEXEC, &err, "not this module");
	assert_int_equal(device.inserted, 0);
}

/* Frames are not what they were: what a tracker calls clean is not to be believed. */
static void test_generation(void **state)
{
	uint64_t words[4000] = { 0 };
	struct mb_frame_set only = { words, 0, 64 * 4000, NULL };
	struct mb_source *s = open_kmod(two, 2);
	struct mb_err err = { 0 };

	(void)state;
	device.info.generation++;
	assert_walk(s, two, 2, NULL, 4096);
	assert_walk(s, two, 2, &only, 4096);
	device.info.generation++;
	assert_fails(s->ops->begin(s, &only, &err), EAGAIN, &err, "plugged");
	assert_walk(s, two, 2, NULL, 4096);
	assert_walk(s, two, 2, &only, 4096);
	/* Plugged in, as the next epoch sees, too. */
	device.ranges[2] = (struct mbwalk_range){ 300000, 50 };
	device.info.n_ranges = 3;
	device.info.ram_frames += 50;
	device.info.end_frame = 300050;
	device.info.generation++;
	assert_walk(s, device.ranges, 3, NULL, 4096);
	close_kmod(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_free_memory),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parts_fail),
		cmocka_unit_test(test_bitmap),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_scan_errors),
		cmocka_unit_test(test_lies_of_scan),
		cmocka_unit_test(test_lies_of_info),
		cmocka_unit_test(test_ranges_come_meanwhile),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_superfasthash),
		cmocka_unit_test(test_not_loaded),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_generation),
	};

	return cmocka_run_group_tests_name("source kmod", tests, NULL, NULL);
}
