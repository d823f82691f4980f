// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/key_rotation.h"

#include "tests/unit/util_server.h"

static uint32_t id_of(uint8_t key)
{
	struct mb_identity id;

	make_identity("d", key, &id);
	return mb_identity_key_id(&id);
}

/* Of VMs with key 1. */
static struct mb_key_rotation sample(void)
{
	return (struct mb_key_rotation){ .domain = "d", .from = id_of(1), .n_from = 3 };
}

static void test_plan(void **state)
{
	struct mb_key_rotation r = sample(), now, back;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_key_rotation_plan(&r, NULL, id_of(1), &err), EALREADY, &err, "already");
	r.n_other = 1;
	assert_fails(mb_key_rotation_plan(&r, NULL, id_of(2), &err), EXDEV, &err, "more than one");
	r = (struct mb_key_rotation){ .domain = "d" };
	assert_fails(mb_key_rotation_plan(&r, NULL, id_of(2), &err), ENOENT, &err, "\"d\"");
	r = sample();
	assert_ok(mb_key_rotation_plan(&r, NULL, id_of(2), &err), &err);
	assert_int_equal(r.from, id_of(1));
	assert_int_equal(r.to, id_of(2));
	/* On the way there is the way back, and nothing else. */
	now = r;
	assert_fails(mb_key_rotation_plan(&r, &now, id_of(2), &err), EALREADY, &err, "on its way");
	assert_fails(mb_key_rotation_plan(&r, &now, id_of(3), &err), EALREADY, &err,
		     "key rotate --to");
	for (uint8_t key = 1; key <= 2; key++) {
		back = sample();
		back.from = id_of(key); /* of whichever VM was seen first */
		assert_ok(mb_key_rotation_plan(&back, &now, id_of(1), &err), &err);
		assert_int_equal(back.from, id_of(2));
		assert_int_equal(back.to, id_of(1));
	}
}

static void test_check(void **state)
{
	struct mb_key_rotation r = sample();
	struct mb_identity id;
	struct mb_err err = { 0 };

	(void)state;
	r.to = id_of(2);
	for (uint8_t key = 1; key <= 2; key++) {
		make_identity("d", key, &id);
		assert_ok(mb_key_rotation_check(&r, &id, &err), &err);
		/* Cut digests of the same key. */
		id.bits = 48;
		id.zero_digest >>= 16;
		assert_ok(mb_key_rotation_check(&r, &id, &err), &err);
	}
	make_identity("d", 3, &id);
	assert_fails(mb_key_rotation_check(&r, &id, &err), EXDEV, &err, "another key");
}

static void test_count(void **state)
{
	struct mb_key_rotation r = sample();
	struct mb_identity id;

	(void)state;
	r.to = id_of(2);
	make_identity("d", 1, &id);
	mb_key_rotation_count(&r, &id, -1);
	make_identity("d", 2, &id);
	mb_key_rotation_count(&r, &id, 1);
	make_identity("d", 3, &id);
	mb_key_rotation_count(&r, &id, 1);
	make_identity("e", 1, &id);
	mb_key_rotation_count(&r, &id, 1);
	assert_int_equal(r.n_from, 2);
	assert_int_equal(r.n_to, 1);
	assert_int_equal(r.n_other, 1);
}

static void test_list(void **state)
{
	struct mb_key_rotations all = { 0 };
	struct mb_key_rotation r = sample();
	struct mb_err err = { 0 };

	(void)state;
	assert_null(mb_key_rotations_find(&all, "d"));
	for (uint32_t i = 0; i < MB_KEY_ROTATIONS_MAX; i++) {
		snprintf(r.domain, sizeof(r.domain), "d%u", i);
		r.to = i;
		assert_ok(mb_key_rotations_put(&all, &r, &err), &err);
	}
	strcpy(r.domain, "one more");
	assert_fails(mb_key_rotations_put(&all, &r, &err), E2BIG, &err, "1000");
	/* A domain's next takes the place of its last. */
	strcpy(r.domain, "d7");
	r.to = 4711;
	assert_ok(mb_key_rotations_put(&all, &r, &err), &err);
	assert_int_equal(all.n, MB_KEY_ROTATIONS_MAX);
	assert_int_equal(mb_key_rotations_find(&all, "d7")->to, 4711);
	mb_key_rotations_remove(&all, mb_key_rotations_find(&all, "d7"));
	assert_null(mb_key_rotations_find(&all, "d7"));
	assert_int_equal(all.n, MB_KEY_ROTATIONS_MAX - 1);
	assert_int_equal(mb_key_rotations_find(&all, "d999")->to, 999);
	mb_key_rotations_remove(&all, mb_key_rotations_find(&all, "d998"));
	assert_null(mb_key_rotations_find(&all, "d998"));
	mb_key_rotations_deinit(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests_name("key_rotation", tests, NULL, NULL);
}
