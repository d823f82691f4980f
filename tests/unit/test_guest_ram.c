// SPDX-License-Identifier: GPL-2.0-or-later
/* The rules one by one; whole monitors, as their smaps look, are in test_source_process.c. */
#include "agent/guest_ram.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

#define MIB 1048576ull

/* A readable and writable mapping; the test says what else it is. */
static struct mb_map map_of(uint64_t start_mib, uint64_t mib)
{
	return (struct mb_map){ .start = start_mib * MIB,
				.end = (start_mib + mib) * MIB,
				.rss_bytes = 4096,
				.swap_bytes = 8192,
				.readable = true,
				.writable = true };
}

/* The starts in MiB of what is found, as text: "0 512 ". */
static const char *find(const struct mb_map *maps, size_t n)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps all = { 0 }, ram = { 0 };
	static char text[200];
	struct mb_err err = { 0 };
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		assert_ok(mb_maps_add(&all, &maps[i], &err), &err);
	assert_ok(mb_guest_ram_find(&all, &ram, &err), &err);
	text[0] = 0;
	for (size_t i = 0; i < ram.n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%llu+%llu ",
				       (unsigned long long)(ram.maps[i].start / MIB),
				       (unsigned long long)(mb_map_bytes(&ram.maps[i]) / MIB));
	return text;
}

static void test_kinds_before_sizes(void **state)
{
	struct mb_map m[3] = { map_of(0, 4096), map_of(8192, 64), map_of(16384, 32) };

	(void)state;
	/* Nothing is marked: the large one. */
	assert_string_equal(find(m, 3), "0+4096 ");
	/* What is marked counts alone, however small. */
	m[1].mergeable = true;
	assert_string_equal(find(m, 3), "8192+64 ");
	/* Shared memory and huge pages are as good as marked. */
	m[2].shared = true;
	assert_string_equal(find(m, 3), "8192+64 16384+32 ");
	m[1].mergeable = false;
	m[2].shared = false;
	m[2].hugetlb = true;
	assert_string_equal(find(m, 3), "16384+32 ");
	/* But not when they are small: a ring shared with another process. */
	m[2].end = m[2].start + 16 * MIB - 4096;
	assert_string_equal(find(m, 3), "0+4096 ");
}

static void test_what_is_never_ram(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++) {
		struct mb_map m[2] = { map_of(0, 1024), map_of(4096, 512) };

		m[0].mergeable = m[1].mergeable = true;
		switch (i) {
		case 0:
			m[0].readable = false;
			break;
		case 1:
			m[0].writable = false;
			break;
		case 2:
			m[0].executable = true;
			break;
		case 3:
			m[0].device = true;
			break;
		case 4:
			strcpy(m[0].name, "[heap]");
			break;
		case 5:
			strcpy(m[0].name, "[anon:something]");
			break;
		case 6:
			strcpy(m[0].name, "/memfd:tcg-jit (deleted)");
			break;
		}
		assert_string_equal(find(m, 2), "4096+512 ");
	}
}

static void test_half_of_the_largest(void **state)
{
	struct mb_map m[3] = { map_of(0, 100), map_of(200, 50), map_of(400, 49) };

	(void)state;
	for (int i = 0; i < 3; i++)
		m[i].mergeable = true;
	assert_string_equal(find(m, 3), "0+100 200+50 ");
	m[0].end += 4096;
	assert_string_equal(find(m, 3), "0+100 ");
	/* 128 MiB surely are RAM, one page less needs not be. */
	m[0] = map_of(0, 4096);
	m[1] = map_of(8192, 128);
	m[2] = map_of(16384, 128);
	m[2].end -= 4096;
	for (int i = 0; i < 3; i++)
		m[i].mergeable = true;
	assert_string_equal(find(m, 3), "0+4096 8192+128 ");
}

static void test_neighbours_are_joined(void **state)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps all = { 0 }, ram = { 0 };
	struct mb_map m[4] = { map_of(0, 40), map_of(40, 40), map_of(80, 40), map_of(121, 100) };
	struct mb_err err = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		m[i].mergeable = true;
		assert_ok(mb_maps_add(&all, &m[i], &err), &err);
	}
	assert_string_equal(find(m, 4), "0+120 121+100 ");
	assert_ok(mb_guest_ram_find(&all, &ram, &err), &err);
	assert_int_equal(ram.maps[0].rss_bytes, 3 * 4096);
	assert_int_equal(ram.maps[0].swap_bytes, 3 * 8192);
	/* What it was given stays as it was. */
	assert_int_equal(all.n, 4);
	assert_int_equal(mb_map_bytes(&all.maps[0]), 40 * MIB);
	/* A guard page of another kind between them is no part of it. */
	m[1].mergeable = false;
	assert_string_equal(find(m, 4), "121+100 ");
}

static void test_nothing(void **state)
{
	struct mb_map m = map_of(0, 15);

	(void)state;
	assert_string_equal(find(NULL, 0), "");
	assert_string_equal(find(&m, 1), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds_before_sizes),
		cmocka_unit_test(test_what_is_never_ram),
		cmocka_unit_test(test_half_of_the_largest),
		cmocka_unit_test(test_neighbours_are_joined),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests_name("guest_ram", tests, NULL, NULL);
}
