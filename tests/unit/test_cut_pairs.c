// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/cut_pairs.h"

#include <math.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

/* More than the rows that are in memory at a time. */
enum { VMS = 70, CONTENTS = 3000, KEPT = 4242 };

struct scene {
	struct mb_fingerprint fp[VMS];
	struct mb_cut_vm vms[VMS];
	uint64_t inter[VMS * VMS], error[VMS * VMS];
};

/* VM i of every kind there is, contents [37 i, 37 i + CONTENTS) of a stream. */
static void make(struct scene *s)
{
	for (uint32_t i = 0; i < VMS; i++) {
		static uint64_t digests[CONTENTS];
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint whole = { 0 };
		struct mb_err err = { 0 };
		uint32_t cut = i % 5 == 0 ? 16 : i % 5 == 1 ? 17 : i % 5 == 2 ? 20 : 0;
		uint32_t shift = i % 5 == 3 ? 2 : 0;

		for (uint64_t k = 0; k < CONTENTS; k++)
			digests[k] = mb_mix64(37 * i + k + 1);
		assert_ok(mb_fingerprint_from_digests(&whole, digests, CONTENTS, &err), &err);
		if (cut)
			assert_ok(mb_cut_make(&whole, 64, cut, &s->fp[i], &err), &err);
		else
			assert_ok(mb_sample_make(&whole, 64, shift, &s->fp[i], &err), &err);
		s->vms[i].side = (struct mb_cut_side){ &s->fp[i], cut ? cut : 64, shift, CONTENTS };
		s->vms[i].list = (struct mb_digest_list){ s->fp[i].digests, s->fp[i].n_distinct };
		s->vms[i].is_cut = cut;
	}
	for (size_t i = 0; i < VMS * VMS; i++)
		s->inter[i] = s->error[i] = KEPT;
}

static void test_as_one_by_one(void **state)
{
	static struct scene s;
	struct mb_err err = { 0 };

	(void)state;
	make(&s);
	assert_ok(mb_cut_pairs(s.vms, VMS, s.inter, s.error, &err), &err);
	for (uint32_t i = 0; i < VMS; i++) {
		for (uint32_t j = 0; j < VMS; j++) {
			const struct mb_cut_vm *a = &s.vms[MB_MIN(i, j)], *b = &s.vms[MB_MAX(i, j)];
			uint32_t bits = MB_MIN(a->side.bits, b->side.bits);
			struct mb_estimate e;

			if (i == j || (!a->is_cut && !b->is_cut)) {
				assert_int_equal(s.inter[i * VMS + j], KEPT);
				assert_int_equal(s.error[i * VMS + j], KEPT);
				continue;
			}
			assert_ok(mb_cut_pair(&a->side, &b->side, bits, &e, &err), &err);
			assert_int_equal(s.inter[i * VMS + j], (uint64_t)(e.pages + 0.5));
			assert_int_equal(s.error[i * VMS + j], (uint64_t)(e.error_pages + 0.5));
		}
	}
	for (uint32_t i = 0; i < VMS; i++)
		mb_fingerprint_deinit(&s.fp[i]);
}

/* A filter without a zero bit; one too small for what a sample leaves of it. */
static void test_not_known(void **state)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint full = { 0 }, few = { 0 };
	struct mb_digest_list full_list, few_list;
	uint64_t inter[4] = { 0 }, error[4] = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_fingerprint_init(&full, 1 << 16, 0, &err), &err);
	for (uint32_t i = 0; i < 1 << 16; i++)
		mb_fingerprint_push(&full, i, 1);
	assert_ok(mb_fingerprint_init(&few, 1, 0, &err), &err);
	mb_fingerprint_push(&few, 5, 1);
	full_list = (struct mb_digest_list){ full.digests, full.n_distinct };
	few_list = (struct mb_digest_list){ few.digests, few.n_distinct };
	{
		const struct mb_cut_vm vms[2] = { { { &full, 16, 0, 100000 }, full_list, true },
						  { { &few, 64, 0, 77 }, few_list, false } };

		assert_ok(mb_cut_pairs(vms, 2, inter, error, &err), &err);
		assert_int_equal(inter[1], 0);
		assert_int_equal(error[1], 77);
	}
	{
		const struct mb_cut_vm vms[2] = { { { &few, 16, 0, 900 }, few_list, true },
						  { { &few, 64, 12, 800 }, few_list, false } };

		assert_ok(mb_cut_pairs(vms, 2, inter, error, &err), &err);
		assert_int_equal(inter[2], 0);
		assert_int_equal(error[2], 800);
	}
}

#ifdef __SANITIZE_ADDRESS__
enum { LIMITS_WORK = false };
#else
enum { LIMITS_WORK = true };
#endif

/* Two VMs, one of which has sent the largest filter there is, in so much memory. */
static int compare_large(size_t bytes)
{
	const uint64_t digest = 5ull << 32;
	const struct mb_digest_list one = { &digest, 1 };
	const struct mb_cut_vm vms[2] = { { { NULL, 64, 0, 1 }, one, false },
					  { { NULL, MB_CUT_BITS_MAX, 0, 1 }, { 0 }, true } };
	uint64_t inter[4] = { 0, KEPT, KEPT, 0 }, error[4] = { 0 };
	const struct rlimit limit = { bytes, bytes };
	struct mb_err err = { 0 };
	int r;

	if (setrlimit(RLIMIT_DATA, &limit) < 0)
		return 99;
	r = mb_cut_pairs(vms, 2, inter, error, &err);
	if (r == 0 && (inter[1] || inter[2]))
		return 98;
	return -r;
}

static int compare_large_apart(size_t bytes)
{
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (!pid)
		_exit(compare_large(bytes));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Filters are as large as an agent says: of 256 MiB each, one row and one column are enough. */
static void test_memory_is_bounded(void **state)
{
	(void)state;
	if (!LIMITS_WORK)
		skip();
	assert_int_equal(compare_large_apart((size_t)600 << 20), 0);
	/* Where that is too much, it says so. */
	assert_int_equal(compare_large_apart((size_t)400 << 20), ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_one_by_one),
		cmocka_unit_test(test_not_known),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests_name("cut_pairs", tests, NULL, NULL);
}
