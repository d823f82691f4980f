// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/process_info.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/unit/util_test.h"

static struct mb_process_info get(void)
{
	struct mb_process_info info;
	struct mb_err err = { 0 };

	assert_ok(mb_process_info_get(&info, &err), &err);
	return info;
}

static void test_descriptors(void **state)
{
	struct rlimit limit;
	uint64_t before = get().open_fds;
	int fd = open("/dev/null", O_RDONLY);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(get().open_fds, before + 1);
	close(fd);
	assert_int_equal(get().open_fds, before);
	getrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(get().max_fds, limit.rlim_cur);
}

static void test_memory(void **state)
{
	enum { BYTES = 32 << 20 };
	struct mb_process_info before = get(), after;
	void *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(p != MAP_FAILED);
	memset(p, 1, BYTES);
	after = get();
	assert_true(after.virtual_bytes >= before.virtual_bytes + BYTES);
	assert_true(after.resident_bytes >= before.resident_bytes + BYTES / 2);
	assert_true(after.resident_bytes <= after.virtual_bytes);
	munmap(p, BYTES);
}

static void test_time(void **state)
{
	uint64_t until = mb_cpu_ns() + 50000000, now_s = mb_unix_ns() / 1000000000;
	struct mb_process_info info;

	(void)state;
	while (mb_cpu_ns() < until)
		;
	info = get();
	assert_true(info.cpu_s >= .03);
	assert_true(info.cpu_s <= (double)mb_cpu_ns() / 1e9 + .03);
	/* This program lives for seconds, not for days; clocks may have been set a little. */
	assert_true(info.start_unix_s <= now_s + 5 && info.start_unix_s + 3600 >= now_s);
}

/* A command may look like the end of one. */
static void test_odd_command(void **state)
{
	uint64_t before = get().start_unix_s;

	(void)state;
	assert_int_equal(prctl(PR_SET_NAME, "a) R 1 ) 2 (", 0, 0, 0), 0);
	assert_true(get().start_unix_s - before + 1 <= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_odd_command),
	};

	return cmocka_run_group_tests_name("process_info", tests, NULL, NULL);
}
