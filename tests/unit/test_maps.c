// SPDX-License-Identifier: GPL-2.0-or-later
/* Text that no kernel writes today; what kernels do write is in test_source_process.c. */
#include "agent/maps.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

static int parse(const char *text, size_t n, struct mb_maps *m, struct mb_err *err)
{
	mb_autofclose FILE *f = fmemopen((void *)(uintptr_t)text, n, "r");

	assert_non_null(f);
	return mb_maps_parse(f, m, err);
}

#define HEAD "7f0000000000-7f0000002000 "
#define GOOD HEAD "rw-p 00000000 00:00 0 \n"

static void test_odd_but_legal(void **state)
{
	static const char text[] = "00400000-00401000 r-xs 00000000 fd:01 18446744073709551615"
				   "                         /a path/with spaces and \\012 that is "
				   "longer than we keep\n"
				   "Rss:\n"
				   "Swap:   none\n"
				   "VmFlags:\n"
				   "NewThing: 12 parsecs\n"
				   "7f0000000000-7f0000002000 ---p ffffffff000 00:00 0 [heap]\n"
				   "Size: 8 kB\n"
				   "Rss:                   4 kB\n"
				   "SwapPss:               9 kB\n"
				   "Swap:                  8 kB\n"
				   "VmFlags: rd zz mgx ht io\n"
				   "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0        "
				   "          [vsyscall]";
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(parse(text, sizeof(text) - 1, &m, &err), &err);
	assert_int_equal(m.n, 3);
	assert_int_equal(m.maps[0].inode, UINT64_MAX);
	assert_true(m.maps[0].readable && m.maps[0].executable && m.maps[0].shared);
	assert_false(m.maps[0].writable);
	assert_string_equal(m.maps[0].name, "/a path/with spaces and \\012 th");
	assert_int_equal(m.maps[0].rss_bytes, 0);
	assert_int_equal(m.maps[1].rss_bytes, 4096);
	assert_int_equal(m.maps[1].swap_bytes, 8192);
	assert_true(m.maps[1].hugetlb && m.maps[1].device);
	assert_string_equal(m.maps[1].name, "[heap]");
	assert_string_equal(m.maps[2].name, "[vsyscall]");
	assert_int_equal(mb_map_bytes(&m.maps[2]), 4096);
}

static void test_empty_and_again(void **state)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(parse(GOOD, sizeof(GOOD) - 1, &m, &err), &err);
	assert_int_equal(m.n, 1);
	/* A process without memory (a kernel thread, a zombie); what was known is forgotten. */
	assert_ok(parse("Rss: 1 kB\n", 10, &m, &err), &err);
	assert_int_equal(m.n, 0);
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
		GOOD "\n",
		GOOD "rw-p\n",
		GOOD HEAD "rw-p 0 0:0\n",
		GOOD HEAD "rw-p 0 00 0\n",
		GOOD HEAD "rw-p 0 0:0 x\n",
		GOOD HEAD "rw-pp 0 0:0 0\n",
		GOOD "7f0000002000-7f0000002000 rw-p 0 0:0 0\n",
		GOOD "-1000-2000 rw-p 0 0:0 0\n",
		GOOD "1000-1ffffffffffffffff rw-p 0 0:0 0\n",
		GOOD "1000:2000 rw-p 0 0:0 0\n",
		GOOD "\xff\xfe\n",
	};
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++)
		assert_fails(parse(bad[i], strlen(bad[i]), &m, &err), EBADMSG, &err,
			     "smaps line 2 ");
	/* A NUL ends the line for us; nothing is read behind it. */
	assert_fails(parse("1000-2000\0 rw-p 0 0:0 0\n", 24, &m, &err), EBADMSG, &err, "line 1");
}

static void test_many_and_long(void **state)
{
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };
	mb_autofree char *text = malloc(1 << 20);
	struct mb_err err = { 0 };
	size_t n = 0;

	(void)state;
	for (uint64_t i = 1; i <= 5000; i++)
		n += (size_t)sprintf(text + n, "%llx-%llx rw-p 0 0:0 0\n",
				     (unsigned long long)i << 20,
				     (unsigned long long)(i << 20) + 4096);
	assert_ok(parse(text, n, &m, &err), &err);
	assert_int_equal(m.n, 5000);
	assert_int_equal(m.maps[4999].start, 5000ull << 20);
	n = (size_t)sprintf(text, "1000-2000 rw-p 0 0:0 7 ");
	memset(text + n, 'y', 500000);
	assert_ok(parse(text, n + 500000, &m, &err), &err);
	assert_int_equal(m.n, 1);
	assert_int_equal(strlen(m.maps[0].name), sizeof(m.maps[0].name) - 1);
}

static void test_random_bytes(void **state)
{
	static const char alphabet[] = "0123456789abcdef-: rwxpsRVmFlags\n\n/[]kB";
	mb_cleanup(mb_maps_deinit) struct mb_maps m = { 0 };
	struct mb_err err = { 0 };
	struct rng r = { 3 };

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char text[300] = GOOD;
		size_t n = strlen(text), end = n + 1 + rng_below(&r, sizeof(text) - n - 1);
		int result;

		while (n < end)
			text[n++] = alphabet[rng_below(&r, sizeof(alphabet) - 1)];
		text[rng_below(&r, n)] = (char)rng_next(&r);
		result = parse(text, n, &m, &err);
		assert_true(result == 0 || result == -EBADMSG);
		for (size_t k = 0; k < m.n; k++)
			assert_true(m.maps[k].start < m.maps[k].end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_odd_but_legal), cmocka_unit_test(test_empty_and_again),
		cmocka_unit_test(test_refuses),	      cmocka_unit_test(test_many_and_long),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests_name("maps", tests, NULL, NULL);
}
