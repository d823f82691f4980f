// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/lost_sharing.h"

#include "proto/base/cleanup.h"
#include "server/plan/error.h"
#include "tests/unit/util_fleet.h"
#include "tests/unit/util_server.h"

#define NOW ((uint64_t)1000 * 3600000000000)

static struct mb_store *store;
static int64_t ids[3];

static int set_up(void **state)
{
	static int n;
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	char name[32], path[128];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	assert_ok(mb_store_open(path, &store, &err), &err);
	make_fingerprint_of(1, 1, 9, &fp);
	for (int i = 0; i < 3; i++) {
		struct mb_vm vm;

		snprintf(name, sizeof(name), "v%d", i);
		make_vm(name, 1, &fp, &vm);
		store_vm(store, &vm);
		ids[i] = vm.id;
		mb_vm_deinit(&vm);
	}
	mb_fingerprint_deinit(&fp);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_store_close(store);
	return 0;
}

static void had_about(int vm, const char *host, uint64_t here, uint64_t error, uint64_t at_unix_ns)
{
	const struct mb_sharing_record rec = {
		.vm_id = ids[vm], .host = host, .here = here, .here_error = error
	};
	struct mb_err err = { 0 };

	assert_ok(mb_store_put_sharing(store, &rec, 1, at_unix_ns, &err), &err);
}

static void had(int vm, const char *host, uint64_t here, uint64_t at_unix_ns)
{
	had_about(vm, host, here, 0, at_unix_ns);
}

/* v0 and v1 on h0 have 30 pages in common, v2 is on h1, "new" nowhere. */
static void test_what_is_lost(void **state)
{
	const uint64_t vm_mb[] = { 4, 4, 4, 4 }, host_mb[] = { 9, 9 };
	struct mb_live_fleet live = { 0 };
	struct mb_err err = { 0 };
	struct fleet f;

	(void)state;
	fleet_init(&f, 4, vm_mb, 2, host_mb);
	fleet_share(&f, 0x3, 30);
	fleet_share(&f, 0x5, 500);
	f.vms[0].host = f.vms[1].host = 0;
	f.vms[2].host = 1;
	f.vms[3].name = "new";
	f.vms[3].lost_pages = f.vms[1].lost_pages = 5;
	f.vms[3].lost_error_pages = f.vms[1].lost_error_pages = 5;
	live.view = f.view;
	live.vms = f.vms;
	live.hosts = f.hosts;

	/* The most of late counts, not the last, and not what was before. */
	had(0, "h0", 9000, NOW - MB_LOST_WITHIN_NS - 1);
	had(0, "h0", 100, NOW - MB_LOST_WITHIN_NS);
	had(0, "h0", 70, NOW - 5);
	/* Nothing more than now, and what it had elsewhere. */
	had(1, "h0", 30, NOW - 5);
	had(1, "h1", 800, NOW - 5);
	/* Nobody knew where. */
	had(2, NULL, 700, NOW - 5);
	assert_ok(mb_lost_sharing(store, &live, NOW, &err), &err);
	assert_int_equal(f.vms[0].lost_pages, 70);
	assert_int_equal(f.vms[1].lost_pages, 0);
	assert_int_equal(f.vms[2].lost_pages, 0);
	assert_int_equal(f.vms[3].lost_pages, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(f.vms[i].lost_error_pages, 0);
	/* A clock that was set back. */
	assert_ok(mb_lost_sharing(store, &live, 5, &err), &err);
	assert_int_equal(f.vms[0].lost_pages, 8970);
	fleet_deinit(&f);
}

/* The worst figure of then, on this host, and that of now; the VM next to it is exact. */
static void test_errors_of_then_and_now(void **state)
{
	const uint64_t vm_mb[] = { 4, 4, 4 }, host_mb[] = { 9, 9 };
	struct mb_live_fleet live = { 0 };
	struct mb_err err = { 0 };
	uint64_t now_error;
	struct fleet f;

	(void)state;
	fleet_init(&f, 3, vm_mb, 2, host_mb);
	fleet_share(&f, 0x3, 640);
	f.vms[0].host = f.vms[1].host = 0;
	f.vms[0].sample_shift = 4;
	live = (struct mb_live_fleet){ .view = f.view, .vms = f.vms, .hosts = f.hosts };
	had_about(0, "h0", 900, 30, NOW - 9);
	had_about(0, "h0", 800, 400, NOW - 5);
	had_about(0, "h1", 900, 999, NOW - 5);
	had(1, "h0", 700, NOW - 5);
	assert_ok(mb_lost_sharing(store, &live, NOW, &err), &err);
	now_error = mb_plan_count_error(640, 4);
	assert_in_range(now_error, 150, 300);
	assert_int_equal(f.vms[0].lost_pages, 260);
	assert_in_range(f.vms[0].lost_error_pages, 400 + 1, 400 + now_error - 1);
	assert_int_equal(f.vms[0].lost_error_pages * f.vms[0].lost_error_pages /
				 (400 * 400 + now_error * now_error),
			 1);
	assert_int_equal(f.vms[1].lost_pages, 60);
	assert_int_equal(f.vms[1].lost_error_pages, 0);
	assert_int_equal(f.vms[2].lost_error_pages, 0);
	fleet_deinit(&f);
}

/*
 * What two samples of the same contents, one within the other, say of a loss is off by more than
 * the error in no more than one case of 20.
 */
static void test_error_holds(void **state)
{
	enum { RUNS = 400, DIGESTS = 6000 };
	const uint64_t vm_mb[] = { 40, 40 }, host_mb[] = { 90 };
	unsigned int outside = 0, useful = 0;
	struct rng r = { 7 };

	(void)state;
	for (unsigned int i = 0; i < RUNS; i++) {
		unsigned int then_shift = (unsigned int)rng_below(&r, 5), now_shift = 4;
		uint64_t stay = rng_below(&r, DIGESTS), then = 0, now = 0, at = NOW * (i + 2);
		uint64_t lost = DIGESTS - stay, off;
		struct mb_live_fleet live;
		struct mb_err err = { 0 };
		struct fleet f;

		for (uint64_t d = 0; d < DIGESTS; d++) {
			uint64_t digest = rng_next(&r);

			then += digest <= UINT64_MAX >> then_shift;
			now += d < stay && digest <= UINT64_MAX >> now_shift;
		}
		then <<= then_shift;
		now <<= now_shift;
		fleet_init(&f, 2, vm_mb, 1, host_mb);
		fleet_share(&f, 0x3, now);
		f.vms[0].host = f.vms[1].host = 0;
		f.vms[0].sample_shift = f.vms[1].sample_shift = now_shift;
		live = (struct mb_live_fleet){ .view = f.view, .vms = f.vms, .hosts = f.hosts };
		had_about(0, "h0", then, mb_plan_count_error(then, then_shift), at);
		assert_ok(mb_lost_sharing(store, &live, at, &err), &err);
		off = MB_MAX(f.vms[0].lost_pages, lost) - MB_MIN(f.vms[0].lost_pages, lost);
		outside += off > f.vms[0].lost_error_pages;
		useful += f.vms[0].lost_error_pages < f.vms[0].lost_pages;
		fleet_deinit(&f);
	}
	print_message("%u of %u losses are off by more than their error\n", outside, RUNS);
	assert_in_range(outside, 1, RUNS / 20);
	assert_true(useful > RUNS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors_of_then_and_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_error_holds, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("lost_sharing", tests, NULL, NULL);
}
