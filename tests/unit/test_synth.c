// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/synth.h"
#include "tests/unit/util_test.h"

#define N	MB_SYNTH_NONE
#define VMS_MAX 64

static void make(struct mb_groups *g, uint64_t *matrix, uint64_t seed,
		 const struct mb_synth_image *images, uint32_t n_images,
		 const struct mb_synth_vm *vms, uint32_t n)
{
	struct mb_err err = { 0 };

	assert_true(n <= VMS_MAX);
	assert_ok(mb_synth_groups(g, seed, images, n_images, vms, n, &err), &err);
	mb_groups_matrix(g, n, matrix);
}

static void test_whole_images_are_shared_whole(void **state)
{
	const struct mb_synth_image images[] = { { 1000, 7, 100 }, { 300, 1, 100 } };
	const struct mb_synth_vm vms[] = {
		{ 1300, 1, { 0, 1, N, N, N, N } },
		{ 1500, 2, { N, 0, N, N, N, N } },
		{ 300, 3, { N, N, 1, N, N, N } },
		{ 0, 4, { N, N, N, N, N, N } },
	};
	uint64_t m[16];
	struct mb_groups g;

	(void)state;
	make(&g, m, 1, images, 2, vms, 4);
	/* The seven parts are one group again: no page is lost between them. */
	assert_int_equal(g.n_groups, 2);
	assert_int_equal(m[0 * 4 + 1], 1000);
	assert_int_equal(m[0 * 4 + 2], 300);
	assert_int_equal(m[1 * 4 + 2], 0);
	assert_int_equal(m[0 * 4 + 3], 0);
	mb_groups_deinit(&g);
}

static void test_parts_are_kept_by_chance(void **state)
{
	const struct mb_synth_image image = { 10000, 40, 60 };
	struct mb_synth_vm vms[VMS_MAX];
	uint64_t m[VMS_MAX * VMS_MAX], sum = 0;
	struct mb_groups g;
	double mean;

	(void)state;
	for (uint32_t v = 0; v < VMS_MAX; v++)
		vms[v] = (struct mb_synth_vm){ 10000, v, { 0, N, N, N, N, N } };
	make(&g, m, 2, &image, 1, vms, VMS_MAX);
	assert_true(g.n_groups > 30 && g.n_groups <= 40);
	for (uint32_t i = 0; i < VMS_MAX * VMS_MAX; i++)
		sum += m[i];
	mean = (double)sum / (VMS_MAX * (VMS_MAX - 1));
	/* 60 % of 60 % of the image; the standard error of the mean is some 100 pages. */
	if (mean < 3300 || mean > 3900)
		fail_msg("two VMs share %.0f pages of 10000", mean);
	mb_groups_deinit(&g);
}

static void test_a_vm_is_the_same_in_any_fleet(void **state)
{
	const struct mb_synth_image images[] = { { 5000, 20, 70 }, { 3000, 10, 50 } };
	struct mb_synth_vm vms[10], two[2];
	uint64_t m[100], again[100], of_two[4], other[100];
	struct mb_groups g;

	(void)state;
	for (uint32_t v = 0; v < 10; v++)
		vms[v] = (struct mb_synth_vm){ 9000, 100 + v, { 0, 1, N, N, N, N } };
	make(&g, m, 3, images, 2, vms, 10);
	mb_groups_deinit(&g);
	make(&g, again, 3, images, 2, vms, 10);
	mb_groups_deinit(&g);
	assert_memory_equal(m, again, sizeof(m));
	two[0] = vms[4];
	two[1] = vms[9];
	make(&g, of_two, 3, images, 2, two, 2);
	mb_groups_deinit(&g);
	assert_int_equal(of_two[1], m[4 * 10 + 9]);
	/* Another seed, or another salt, is other memory. */
	make(&g, other, 4, images, 2, vms, 10);
	mb_groups_deinit(&g);
	assert_memory_not_equal(m, other, sizeof(m));
	vms[4].salt = 999;
	make(&g, other, 3, images, 2, vms, 10);
	mb_groups_deinit(&g);
	assert_int_equal(m[1], other[1]);
	assert_memory_not_equal(m + 40, other + 40, 10 * sizeof(*m));
}

static void test_what_cannot_be(void **state)
{
	struct mb_synth_image images[] = { { 100, 1, 100 }, { 100, 1, 100 } };
	struct mb_synth_vm vm = { 150, 0, { 0, 1, N, N, N, N } };
	struct mb_err err = { 0 };
	struct mb_groups g;

	(void)state;
	assert_fails(mb_synth_groups(&g, 0, images, 2, &vm, 1, &err), EINVAL, &err,
		     "VM 0 has 150 pages, its images 200");
	assert_fails(mb_synth_groups(&g, 0, images, 1, &vm, 1, &err), EINVAL, &err,
		     "VM 0 has image 1 of 1");
	images[1].parts = 0;
	assert_fails(mb_synth_groups(&g, 0, images, 2, &vm, 1, &err), EINVAL, &err,
		     "image 1: 0 parts");
	images[1] = (struct mb_synth_image){ 1, 1, 101 };
	assert_fails(mb_synth_groups(&g, 0, images, 2, &vm, 1, &err), EINVAL, &err, "101 %");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_images_are_shared_whole),
		cmocka_unit_test(test_parts_are_kept_by_chance),
		cmocka_unit_test(test_a_vm_is_the_same_in_any_fleet),
		cmocka_unit_test(test_what_cannot_be),
	};

	return cmocka_run_group_tests_name("synth", tests, NULL, NULL);
}
