// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/churn_reference.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_source.h"

static void identity_of(const struct mb_agent_config *c, const char *path, struct mb_identity *ret)
{
	struct mb_agent_config of = *c;
	struct mb_agent a;
	struct mb_err err = { 0 };
	char uri[200];

	snprintf(uri, sizeof(uri), "trace:%s", path);
	of.source = uri;
	assert_ok(mb_agent_open(&a, &of, NULL, &err), &err);
	*ret = a.pass.digester.identity;
	mb_agent_close(&a);
}

static void test_union(void **state)
{
	struct mb_agent_config c = mb_agent_config_default;
	const char *const paths[] = { temp_file("a", "5\n7\n7\n", 6), temp_file("b", "7\n9\n", 4) };
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	struct mb_identity id;
	struct mb_err err = { 0 };

	(void)state;
	c.domain = "";
	c.algorithm = MB_SUPERFASTHASH32;
	identity_of(&c, paths[0], &id);
	assert_ok(mb_churn_reference(&c, &id, paths, 2, &fp, &err), &err);
	/* Each once, however many copies there are. */
	assert_int_equal(fp.n_distinct, 3);
	assert_int_equal(fp.n_pages, 3);
	assert_true(fp.digests[0] == 5 && fp.digests[1] == 7 && fp.digests[2] == 9);
}

/* Raw digests are keyed as those that they are compared with are. */
static void test_keyed(void **state)
{
	static const char key[] = "000102030405060708090a0b0c0d0e0f";
	struct mb_agent_config c = mb_agent_config_default;
	const char *const paths[] = { temp_file("a", "5\n7\n", 4) };
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	uint8_t bytes[MB_KEY_BYTES];
	uint64_t expected[] = { 5, 7 };
	struct mb_digester d;
	struct mb_err err = { 0 };

	(void)state;
	c.key_file = temp_file("key", key, strlen(key));
	c.algorithm = MB_SUPERFASTHASH32;
	assert_ok(mb_key_parse(key, bytes, &err), &err);
	assert_ok(
		mb_digester_init(&d, MB_SUPERFASTHASH32, MB_PAGE_BYTES, 64, "default", bytes, &err),
		&err);
	mb_blind(&d, expected, 2);
	assert_ok(mb_churn_reference(&c, &d.identity, paths, 1, &fp, &err), &err);
	assert_int_equal(fp.n_distinct, 2);
	assert_int_equal(mb_fingerprint_find(&fp, expected[0]), 1);
	assert_int_equal(mb_fingerprint_find(&fp, expected[1]), 1);
}

static void test_refused(void **state)
{
	struct mb_agent_config c = mb_agent_config_default;
	const char *const paths[] = { temp_file("a", "5\n", 2) }, *const none[] = {
		"/nonexistent"
	};
	struct mb_fingerprint fp;
	struct mb_digester d;
	struct mb_err err = { 0 };

	(void)state;
	c.domain = "";
	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "", NULL, &err), &err);
	assert_fails(mb_churn_reference(&c, &d.identity, paths, 1, &fp, &err), EXDEV, &err,
		     "--reference ");
	assert_fails(mb_churn_reference(&c, &d.identity, none, 1, &fp, &err), ENOENT, &err,
		     "--reference /nonexistent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_union),
		cmocka_unit_test(test_keyed),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
