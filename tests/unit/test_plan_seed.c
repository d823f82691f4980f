// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

static const struct mb_plan_options plain, mended = { .strict = true };

/* The seed's placement of a fleet whose VMs share pairwise; returns as mb_plan_make(). */
static int run(struct fleet *f, const struct mb_plan_options *o, uint32_t *host, char *note,
	       struct mb_err *err)
{
	struct mb_plan plan;
	int r = mb_plan_make(&plan, &mb_planner_seed, &f->view, o, err);

	if (r < 0)
		return r;
	memcpy(host, plan.host, f->view.n_vms * sizeof(*host));
	memcpy(note, plan.note, sizeof(plan.note));
	mb_plan_deinit(&plan);
	return 0;
}

static void pair(struct fleet *f, uint32_t i, uint32_t j, uint64_t share)
{
	fleet_share(f, (uint64_t)1 << i | (uint64_t)1 << j, share);
}

#define assert_placed(...)                                                                         \
	do {                                                                                       \
		const uint32_t want_[] = { __VA_ARGS__ };                                          \
                                                                                                   \
		assert_memory_equal(host, want_, sizeof(want_));                                   \
	} while (0)

static void test_report_without_its_lost_vm(void **state)
{
	const uint64_t vm_mb[] = { 1024, 2048, 1024, 1024 }, host_mb[] = { 3072, 3072, 3072 };
	char note[MB_PLAN_NOTE_BYTES];
	struct mb_err err = { 0 };
	uint32_t host[4];
	struct fleet f;

	(void)state;
	fleet_init(&f, 4, vm_mb, 3, host_mb);
	pair(&f, 0, 1, 65205);
	pair(&f, 0, 2, 60380);
	pair(&f, 0, 3, 53039);
	pair(&f, 1, 2, 31173);
	pair(&f, 1, 3, 29352);
	pair(&f, 2, 3, 86944);
	assert_ok(run(&f, &plain, host, note, &err), &err);
	assert_placed(1, 1, 0, 0);
	assert_string_equal(note, "");
	fleet_deinit(&f);
}

static void test_the_triangle_and_the_last_on_a_tie(void **state)
{
	const uint64_t vm_mb[] = { 1, 1, 1, 1 }, host_mb[] = { 4, 9 };
	char note[MB_PLAN_NOTE_BYTES];
	struct mb_err err = { 0 };
	uint32_t host[4];
	struct fleet f;

	(void)state;
	/*
	 * After {2, 3}: v0 reads share[0][2] = 5, v1 nothing; in the full matrix, too. With {0, 1}
	 * first, v2 and v3 read the empty lower triangle, so that v3 is taken, though v2 shares.
	 */
	fleet_init(&f, 4, vm_mb, 2, host_mb);
	f.hosts[0].memory_mb = 4;
	f.vms[3].memory_mb = 2;
	pair(&f, 0, 1, 9);
	pair(&f, 0, 2, 5);
	assert_ok(run(&f, &plain, host, note, &err), &err);
	/* v3 of 2 MB is not smaller than the 2 MB left; nothing unplaced shares: all to host 1. */
	assert_placed(0, 0, 1, 1);
	/* Mended: v2 shares with v0 and comes along. */
	assert_ok(run(&f, &mended, host, note, &err), &err);
	assert_placed(0, 0, 0, 1);
	fleet_deinit(&f);
}

static void test_over_filled_host_is_noted(void **state)
{
	const uint64_t vm_mb[] = { 1000, 1000, 900, 900, 900 }, host_mb[] = { 3000, 3000 };
	char note[MB_PLAN_NOTE_BYTES];
	struct mb_err err = { 0 };
	uint32_t host[5];
	struct fleet f;

	(void)state;
	fleet_init(&f, 5, vm_mb, 2, host_mb);
	pair(&f, 0, 1, 10);
	assert_ok(run(&f, &plain, host, note, &err), &err);
	assert_placed(0, 0, 0, 0, 0);
	assert_non_null(strstr(note, "over-fills host \"h0\" by 1700 MB"));
	assert_ok(run(&f, &mended, host, note, &err), &err);
	assert_true(fleet_fits(&f, &mended, host));
	assert_placed(0, 0, 1, 1, 0);
	assert_string_equal(note, "");
	fleet_deinit(&f);
}

static void test_index_minus_one_places_again(void **state)
{
	/* Two pairs of large ones; the third round finds nobody and takes v4 off host 0. */
	const uint64_t vm_mb[] = { 10, 10, 10, 10, 1 }, host_mb[] = { 22, 30 };
	char note[MB_PLAN_NOTE_BYTES];
	struct mb_err err = { 0 };
	uint32_t host[5];
	struct fleet f;

	(void)state;
	fleet_init(&f, 5, vm_mb, 2, host_mb);
	pair(&f, 0, 1, 50);
	pair(&f, 2, 3, 40);
	/* Round 1: v4 is the last of the zeros and fits; round 2: the pair; round 3: nobody. */
	assert_ok(run(&f, &plain, host, note, &err), &err);
	assert_placed(0, 0, 1, 1, 1);
	assert_non_null(strstr(note, "VM \"v4\" again (index -1): host \"h0\", then \"h1\""));
	assert_ok(run(&f, &mended, host, note, &err), &err);
	assert_placed(0, 0, 1, 1, 0);
	assert_string_equal(note, "");
	fleet_deinit(&f);
}

static void test_past_the_last_host(void **state)
{
	const uint64_t vm_mb[] = { 10, 10, 10, 10 }, host_mb[] = { 20, 20 };
	char note[MB_PLAN_NOTE_BYTES];
	struct mb_err err = { 0 };
	uint32_t host[4];
	struct fleet f;

	(void)state;
	/* Where a next pair shares, the original crashes; */
	fleet_init(&f, 4, vm_mb, 1, host_mb);
	pair(&f, 0, 1, 50);
	pair(&f, 2, 3, 40);
	assert_fails(run(&f, &plain, host, note, &err), ERANGE, &err, "past the last host");
	assert_non_null(strstr(err.text, "\"v2\" and others would go to host 2 of 1"));
	assert_fails(run(&f, &mended, host, note, &err), ENOSPC, &err, "VM \"v2\" (10 MB)");
	fleet_deinit(&f);
	/* where none does, it names a host that is not there; */
	fleet_init(&f, 4, vm_mb, 1, host_mb);
	pair(&f, 0, 1, 50);
	assert_fails(run(&f, &plain, host, note, &err), ERANGE, &err, "not there");
	fleet_deinit(&f);
	/* and if nobody is left, that is no harm. */
	fleet_init(&f, 4, vm_mb, 2, host_mb);
	pair(&f, 0, 1, 50);
	pair(&f, 2, 3, 40);
	assert_ok(run(&f, &plain, host, note, &err), &err);
	assert_placed(0, 0, 1, 1);
	assert_string_equal(note, "");
	fleet_deinit(&f);
}

static void test_strict_skips_small_hosts(void **state)
{
	const uint64_t vm_mb[] = { 10, 10, 10 }, host_mb[] = { 5, 20, 10 };
	char note[MB_PLAN_NOTE_BYTES];
	struct mb_err err = { 0 };
	uint32_t host[3];
	struct fleet f;

	(void)state;
	fleet_init(&f, 3, vm_mb, 3, host_mb);
	pair(&f, 0, 2, 50);
	assert_ok(run(&f, &mended, host, note, &err), &err);
	assert_placed(1, 2, 1);
	f.vms[1].memory_mb = 11;
	assert_fails(run(&f, &mended, host, note, &err), ENOSPC, &err, "VM \"v1\" (11 MB)");
	assert_non_null(strstr(err.text, "10 MB on \"h2\""));
	fleet_deinit(&f);
}

static void test_fewer_than_two_vms(void **state)
{
	const uint64_t vm_mb[] = { 10, 10, 10 }, host_mb[] = { 20, 20 };
	char note[MB_PLAN_NOTE_BYTES];
	struct mb_err err = { 0 };
	uint32_t host[3];
	struct fleet f;

	(void)state;
	fleet_init(&f, 0, vm_mb, 2, host_mb);
	assert_ok(run(&f, &plain, host, note, &err), &err);
	assert_ok(run(&f, &mended, host, note, &err), &err);
	fleet_init(&f, 1, vm_mb, 2, host_mb);
	assert_ok(run(&f, &plain, host, note, &err), &err);
	assert_placed(0);
	assert_ok(run(&f, &mended, host, note, &err), &err);
	assert_placed(0);
	fleet_init(&f, 1, vm_mb, 0, host_mb);
	assert_fails(run(&f, &plain, host, note, &err), ERANGE, &err, "there is no host");
	assert_fails(run(&f, &mended, host, note, &err), ENOSPC, &err, "there is none");
	/* Nothing shared: the first "pair" is v0 with itself, and one VM is left over. */
	fleet_init(&f, 2, vm_mb, 2, host_mb);
	assert_ok(run(&f, &plain, host, note, &err), &err);
	assert_placed(0, MB_NOWHERE);
	assert_non_null(strstr(note, "leaves out VM \"v1\""));
	assert_ok(run(&f, &mended, host, note, &err), &err);
	assert_placed(0, 0);
}

static void test_strict_never_over_fills(void **state)
{
	struct rng r = { 7 };
	unsigned int placed = 0;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		char note[MB_PLAN_NOTE_BYTES];
		struct mb_err err = { 0 };
		uint32_t host[FLEET_VMS_MAX];
		struct fleet f;
		int ret;

		fleet_random(&r, &f, 1 + (uint32_t)rng_below(&r, 12),
			     1 + (uint32_t)rng_below(&r, 6), i & 1);
		ret = run(&f, &mended, host, note, &err);
		if (ret < 0)
			assert_fails(ret, ENOSPC, &err, "fits on no host");
		else
			assert_true(fleet_fits(&f, &mended, host));
		placed += ret == 0;
		/* The plain one says so whenever it does. */
		if (run(&f, &plain, host, note, &err) == 0 && !fleet_fits(&f, &plain, host))
			assert_true(strstr(note, "over-fills") || strstr(note, "leaves out"));
		fleet_deinit(&f);
	}
	assert_true(placed > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_without_its_lost_vm),
		cmocka_unit_test(test_the_triangle_and_the_last_on_a_tie),
		cmocka_unit_test(test_over_filled_host_is_noted),
		cmocka_unit_test(test_index_minus_one_places_again),
		cmocka_unit_test(test_past_the_last_host),
		cmocka_unit_test(test_strict_skips_small_hosts),
		cmocka_unit_test(test_fewer_than_two_vms),
		cmocka_unit_test(test_strict_never_over_fills),
	};

	return cmocka_run_group_tests_name("plan_seed", tests, NULL, NULL);
}
