// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_audit.h"

#include <math.h>

#include "tests/unit/util_server.h"

static struct mb_store *open_store(const char *name)
{
	struct mb_store *s;
	struct mb_err err = { 0 };
	char path[128];

	scratch_path(name, path);
	assert_ok(mb_store_open(path, &s, &err), &err);
	return s;
}

/* One more epoch of web1, with that audit or without. */
static void put(struct mb_store *s, struct mb_vm *vm, const struct mb_audit *audit)
{
	vm->epoch++;
	vm->acked_unix_ns += 1000;
	vm->pass.taken_unix_ns = vm->acked_unix_ns - 500;
	vm->pass.audit = audit ? *audit : (struct mb_audit){ 0 };
	store_vm(s, vm);
}

static void test_last_one(void **state)
{
	struct mb_audit first = { .audits = 1, .follows = 1u << MB_CLASS_ANON };
	struct mb_audit last = { .audits = 2,
				 .doubted = 1,
				 .follows = 1u << MB_CLASS_ANON | 1u << MB_CLASS_FILE,
				 .flagged = 50,
				 .flagged_changed = 40 };
	struct mb_store *s = open_store("last.db");
	struct mb_fingerprint fp;
	struct mb_last_audit got;
	struct mb_err err = { 0 };
	struct mb_vm vm, other;

	(void)state;
	last.changed[MB_CLASS_ANON] = 30;
	last.stale[MB_CLASS_ANON] = 6;
	last.changed[MB_CLASS_SLAB] = 10;
	last.stale[MB_CLASS_SLAB] = 10;
	make_fingerprint_of(100, 1, 50, &fp);
	make_vm("web1", 1, &fp, &vm);
	make_vm("web2", 1, &fp, &other);
	put(s, &vm, NULL);
	assert_ok(mb_store_last_audit(s, "web1", &got, &err), &err);
	assert_int_equal(got.audit.audits, 0);
	assert_true(isnan(got.recall) && isnan(got.recall_all) && isnan(got.precision));
	put(s, &vm, &first);
	put(s, &vm, &last);
	put(s, &vm, NULL);
	/* Another's later one is another's. */
	other.acked_unix_ns = vm.acked_unix_ns;
	put(s, &other, &first);
	assert_ok(mb_store_last_audit(s, "web1", &got, &err), &err);
	assert_int_equal(got.epoch, vm.epoch - 1);
	assert_int_equal(got.at_unix_ns, vm.acked_unix_ns - 1500);
	assert_memory_equal(&got.audit, &last, sizeof(last));
	assert_true(fabs(got.recall - 0.8) < 1e-9);
	assert_true(fabs(got.recall_all - 0.6) < 1e-9);
	assert_true(fabs(got.precision - 0.8) < 1e-9);
	assert_fails(mb_store_last_audit(s, "web3", &got, &err), ENOENT, &err, "web3");
	mb_vm_deinit(&vm);
	mb_vm_deinit(&other);
	mb_fingerprint_deinit(&fp);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
