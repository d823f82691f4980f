// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/contacts.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

static struct mb_contacts *make(void)
{
	struct mb_contacts *c = NULL;
	struct mb_err err = { 0 };

	assert_ok(mb_contacts_create(&c, &err), &err);
	return c;
}

static void test_last_word(void **state)
{
	struct mb_contacts *c = make();
	struct mb_contact x;

	(void)state;
	assert_false(mb_contacts_find(c, "web1", &x));
	mb_contacts_greeted(c, "web1", "tcp:192.0.2.1:9", 100);
	assert_true(mb_contacts_find(c, "web1", &x));
	assert_string_equal(x.from, "tcp:192.0.2.1:9");
	assert_int_equal(x.greeted_ns, 100);
	assert_int_equal(x.refusals, 0);
	mb_contacts_refused(c, "web1", "tcp:192.0.2.2:9", MB_REFUSED_BUSY, -1, "busy", 200);
	mb_contacts_refused(c, "web1", "tcp:192.0.2.3:9", 0, MB_FOR_OTHER_VM, "not yours", 300);
	assert_true(mb_contacts_find(c, "web1", &x));
	assert_string_equal(x.from, "tcp:192.0.2.1:9");
	assert_string_equal(x.refused_from, "tcp:192.0.2.3:9");
	assert_string_equal(x.reason, "not yours");
	assert_int_equal(x.code, 0);
	assert_int_equal(x.why, MB_FOR_OTHER_VM);
	assert_int_equal(x.refusals, 2);
	assert_int_equal(x.refused_ns, 300);
	mb_contacts_destroy(c);
}

static void test_refused_since(void **state)
{
	struct mb_contacts *c = make();
	mb_autofree struct mb_contact *list = NULL;
	struct mb_err err = { 0 };
	size_t n;

	(void)state;
	mb_contacts_greeted(c, "fine", "a", 500);
	mb_contacts_refused(c, "", "tcp:192.0.2.9", 0, MB_FOR_EXPIRED, "expired", 400);
	mb_contacts_refused(c, "", "tcp:192.0.2.8", 0, MB_FOR_EXPIRED, "expired", 399);
	mb_contacts_refused(c, "web2", "b", MB_REFUSED_IDENTITY, -1, "key", 410);
	mb_contacts_refused(c, "web1", "b", MB_REFUSED_IDENTITY, -1, "key", 420);
	assert_ok(mb_contacts_refused_since(c, 400, &list, &n, &err), &err);
	assert_int_equal(n, 3);
	assert_string_equal(list[0].vm, "web1");
	assert_string_equal(list[1].vm, "web2");
	assert_string_equal(list[2].vm, "");
	assert_string_equal(list[2].refused_from, "tcp:192.0.2.9");
	assert_int_equal(list[2].why, MB_FOR_EXPIRED);
	mb_contacts_destroy(c);
}

/* Whoever comes: what is new is there, strangers push out no VM, and a VM is no peer of its name.
 */
static void test_bounded(void **state)
{
	struct mb_contacts *c = make();
	mb_autofree struct mb_contact *list = NULL;
	struct mb_err err = { 0 };
	struct mb_contact x;
	char name[32];
	size_t n;

	(void)state;
	mb_contacts_greeted(c, "web1", "a", 1);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "tcp:%d", i);
		mb_contacts_refused(c, "", name, 0, MB_FOR_EXPIRED, "expired", (uint64_t)i + 10);
	}
	assert_true(mb_contacts_find(c, "web1", &x));
	assert_false(mb_contacts_find(c, "tcp:19999", &x));
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "vm%d", i);
		mb_contacts_refused(c, name, "a", MB_REFUSED_IDENTITY, -1, "key", (uint64_t)i + 10);
		assert_true(mb_contacts_find(c, name, &x));
	}
	assert_false(mb_contacts_find(c, "vm0", &x));
	assert_ok(mb_contacts_refused_since(c, 0, &list, &n, &err), &err);
	assert_true(n <= MB_CONTACT_VMS + MB_CONTACT_PEERS);
	assert_true(n > MB_CONTACT_VMS / 2);
	mb_contacts_destroy(c);
}

static void test_nobody_asks(void **state)
{
	struct mb_err err = { 0 };
	struct mb_contact x, *list;
	size_t n;

	(void)state;
	mb_contacts_greeted(NULL, "web1", "a", 1);
	mb_contacts_refused(NULL, "web1", "a", 0, -1, "", 1);
	assert_false(mb_contacts_find(NULL, "web1", &x));
	assert_ok(mb_contacts_refused_since(NULL, 0, &list, &n, &err), &err);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_word),
		cmocka_unit_test(test_refused_since),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_nobody_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
