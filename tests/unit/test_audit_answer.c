// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/audit_answer.h"

#include "tests/unit/util_server.h"

enum { N = 6 };

static const char *vm_at(const json_t *answer, size_t i)
{
	return json_string_value(json_object_get(
		json_array_get(json_object_get(answer, "vms"), i), "vm"));
}

/* Stale where it follows, doubts, stale where it does not, a clean one, no change, no audit. */
static void test_worst_first(void **state)
{
	static const char *const names[N] = { "none", "clean", "idle", "slab", "doubt", "stale" };
	static const char *const order[N] = { "stale", "doubt", "slab", "clean", "idle", "none" };
	static const char *const hosts[N] = { "h1", NULL, "h1", "h1", "h1", "h2" };
	struct mb_fingerprint fp;
	struct mb_vm vms[N];
	struct mb_store *s;
	struct mb_err err = { 0 };
	json_t *answer, *worst;
	char path[128];

	(void)state;
	scratch_path("audits.db", path);
	assert_ok(mb_store_open(path, &s, &err), &err);
	make_fingerprint_of(100, 1, 50, &fp);
	for (int i = 0; i < N; i++) {
		struct mb_audit *a = &vms[i].pass.audit;

		make_vm(names[i], 60, &fp, &vms[i]);
		if (i == 0)
			continue;
		a->audits = 1;
		a->follows = 1u << MB_CLASS_ANON;
		a->changed[MB_CLASS_ANON] = i == 2 ? 0 : 10;
		a->changed[MB_CLASS_SLAB] = i == 2 ? 0 : 10;
		a->stale[MB_CLASS_SLAB] = i == 3 ? 10 : 0;
		a->stale[MB_CLASS_ANON] = i == 5 ? 2 : 0;
		vms[i].totals.audit = *a;
		vms[i].totals.audit.audits = 7;
		vms[i].totals.audit.doubted = i == 4;
		store_vm(s, &vms[i]);
	}
	assert_ok(mb_audit_answer(s, vms, hosts, N, &answer, &err), &err);
	assert_int_equal(json_array_size(json_object_get(answer, "vms")), N);
	for (size_t i = 0; i < N; i++)
		assert_string_equal(vm_at(answer, i), order[i]);
	worst = json_array_get(json_object_get(answer, "vms"), 0);
	assert_string_equal(json_string_value(json_object_get(worst, "host")), "h2");
	assert_int_equal(json_integer_value(json_object_get(worst, "epoch")), 60);
	assert_true(json_real_value(json_object_get(json_object_get(worst, "audit"), "recall")) ==
		    0.8);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(worst, "since_start"),
							    "audits")),
			 7);
	worst = json_array_get(json_object_get(answer, "vms"), N - 1);
	assert_true(json_is_null(json_object_get(worst, "audit")));
	assert_true(json_is_null(json_object_get(worst, "epoch")));
	json_decref(answer);
	for (int i = 0; i < N; i++)
		mb_vm_deinit(&vms[i]);
	mb_fingerprint_deinit(&fp);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worst_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
