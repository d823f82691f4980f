// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/lost_sharing.h"

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

static void had(int vm, const char *host, uint64_t here, uint64_t at_unix_ns)
{
	const struct mb_sharing_record rec = { .vm_id = ids[vm], .host = host, .here = here };
	struct mb_err err = { 0 };

	assert_ok(mb_store_put_sharing(store, &rec, 1, at_unix_ns, &err), &err);
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
	/* A clock that was set back. */
	assert_ok(mb_lost_sharing(store, &live, 5, &err), &err);
	assert_int_equal(f.vms[0].lost_pages, 8970);
	fleet_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_lost, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("lost_sharing", tests, NULL, NULL);
}
