// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows and VMs that are taken out. */
#include "tests/unit/util_store.h"

static void test_forget_vm(void **state)
{
	static const struct mb_who_row sh = { "sh", "/", { [MB_WHO_EXEC] = 100 } };
	struct mb_who who = { 0 };

	struct mb_store *s = open_store();
	struct mb_err err = { 0 };
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	vm.pass.audit = (struct mb_audit){ .audits = 1, .changed = { 1 } };
	commit_delta(s, &vm, 120, 50);
	assert_int_equal(store_count("SELECT count(*) FROM audit"), 1);
	mb_who_put(&who, &sh);
	commit_who(s, &vm, 121, &who);
	assert_int_equal(store_count("SELECT count(*) FROM who"), 2);
	assert_fails(mb_store_forget_vm(s, "nobody", &err), ENOENT, &err, "nobody");
	assert_ok(mb_store_forget_vm(s, vm.name, &err), &err);
	for (size_t i = 0; i < 6; i++) {
		static const char *const tables[] = { "vm",	 "fingerprint", "history",
						      "sharing", "audit",	"who" };
		char query[64];

		snprintf(query, sizeof(query), "SELECT count(*) FROM %s", tables[i]);
		assert_int_equal(store_count(query), 0);
	}
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

static void test_forget(void **state)
{
	struct mb_store *s = open_store();
	struct mb_sharing_record rec = { .inter = 1 };
	struct mb_err err = { 0 };
	struct loaded l;
	struct rows h;
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	rec.vm_id = vm.id;
	for (uint64_t i = 0; i < 3; i++)
		commit_delta(s, &vm, 100 + i, 50);
	assert_ok(mb_store_put_sharing(s, &rec, 1, 10, &err), &err);
	assert_ok(mb_store_put_sharing(s, &rec, 1, 20, &err), &err);
	assert_ok(mb_store_forget(s, 20, &err), &err);
	assert_int_equal(store_count("SELECT count(*) FROM sharing"), 1);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 4);
	assert_ok(mb_store_forget(s, vm.acked_unix_ns - 1, &err), &err);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 2);
	/* With all of it gone a VM still has its fingerprint. */
	assert_ok(mb_store_forget(s, INT64_MAX, &err), &err);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 0);
	load_store(s, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.vms[0].epoch, 6);
	assert_string_equal(l.damage[0], "");
	unload_store(&l);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_forget, fresh_store),
		cmocka_unit_test_setup(test_forget_vm, fresh_store),
	};

	return cmocka_run_group_tests_name("store_forget", tests, NULL, NULL);
}
