// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config.h"

#include <unistd.h>

#include "agent/boot.h"
#include "proto/base/cleanup.h"
#include "tests/unit/util_source.h"

/* Parses as the commands do, but comes back instead of leaving the program. */
static int parse(struct mb_agent_config *c, const char *const *args)
{
	char *argv[12] = { (char[]){ "t" } }, text[12][64];
	int argc = 1;

	*c = mb_agent_config_default;
	for (; args[argc - 1]; argc++) {
		snprintf(text[argc], sizeof(text[argc]), "%s", args[argc - 1]);
		argv[argc] = text[argc];
	}
	return argp_parse(&mb_agent_argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP,
			  NULL, c);
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_options(void **state)
{
	struct mb_agent_config c;

	(void)state;
	assert_int_equal(parse(&c, ARGS("--source", "elf:x")), 0);
	assert_string_equal(c.domain, "default");
	assert_null(c.key_file);
	assert_int_equal(c.algorithm, MB_XXH64);
	assert_int_equal(c.bits, 64);
	assert_int_equal(parse(&c, ARGS("-s", "elf:x", "--bits=48", "--hash=superfasthash32",
					"--domain=d", "--key=k")),
			 0);
	assert_int_equal(c.bits, 48);
	assert_int_equal(c.algorithm, MB_SUPERFASTHASH32);
	assert_string_equal(c.domain, "d");
	assert_string_equal(c.key_file, "k");
}

static int open_agent(const char *key, const char *source, struct mb_agent *a, struct mb_err *err)
{
	struct mb_agent_config c = mb_agent_config_default;

	c.source = source;
	c.key_file = key;
	return mb_agent_open(a, &c, NULL, err);
}

static void test_keys(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "", "32 hex digits" },
		{ "0123456789abcdef0123456789abcde", "32 hex digits" },
		{ "0123456789abcdef0123456789abcdef0", "32 hex digits" },
		{ "0123456789abcdef0123456789abcdeg", "32 hex digits" },
	};
	struct mb_agent a;
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++) {
		const char *path = temp_file("key", bad[i].text, strlen(bad[i].text));

		assert_fails(open_agent(path, "elf:/nonexistent", &a, &err), EINVAL, &err,
			     bad[i].word);
		assert_non_null(strstr(err.text, "--key"));
		assert_non_null(strstr(err.text, path));
	}
	assert_fails(open_agent("/nonexistent/key", "elf:/nonexistent", &a, &err), ENOENT, &err,
		     "--key");
	/* The key is fine, the source is not: all is closed again. */
	assert_fails(open_agent(temp_file("key", " 0123456789abcdef0123456789abcdef\n", 34),
				"elf:/nonexistent", &a, &err),
		     ENOENT, &err, "source elf:/nonexistent");
	assert_null(a.source);
	mb_agent_close(&a);
}

static void test_open_and_close(void **state)
{
	char source[200];
	struct mb_agent a;
	struct mb_err err = { 0 };

	(void)state;
	snprintf(source, sizeof(source), "trace:%s", temp_file("seed", "1\n2\n3\n", 6));
	assert_ok(open_agent(NULL, source, &a, &err), &err);
	assert_int_equal(a.info.identity.algorithm, MB_SUPERFASTHASH32);
	assert_false(a.pass.digester.identity.keyed);
	assert_string_equal(a.tracker->ops->name, "none");
	mb_agent_close(&a);
	assert_null(a.source);
	mb_agent_close(&a);
	assert_ok(open_agent(temp_file("key", "0123456789abcdef0123456789abcdef", 32), source, &a,
			     &err),
		  &err);
	assert_true(a.pass.digester.identity.keyed);
	mb_agent_close(&a);
	/* No key stays behind. */
	for (size_t i = 0; i < MB_KEY_BYTES; i++)
		assert_int_equal(a.pass.digester.key[i], 0);
}

static void test_reload_key(void **state)
{
	struct mb_agent_config c = mb_agent_config_default;
	struct mb_identity first;
	char source[90], key[90];
	struct mb_agent a;
	struct mb_err err = { 0 };

	(void)state;
	snprintf(source, sizeof(source), "trace:%s", temp_file("seed2", "1\n2\n3\n", 6));
	snprintf(key, sizeof(key), "%s", temp_file("key2", "0123456789abcdef0123456789abcdef", 32));
	c.source = source;
	assert_ok(mb_agent_open(&a, &c, NULL, &err), &err);
	/* Without a key there is none to be read again. */
	assert_int_equal(mb_agent_reload_key(&a, &c, &err), 0);
	c.key_file = key;
	assert_int_equal(mb_agent_reload_key(&a, &c, &err), -EXDEV);
	mb_agent_close(&a);
	assert_ok(mb_agent_open(&a, &c, NULL, &err), &err);
	first = a.pass.digester.identity;
	assert_int_equal(mb_agent_reload_key(&a, &c, &err), 0);
	temp_file("key2", "no key", 6);
	assert_fails(mb_agent_reload_key(&a, &c, &err), EINVAL, &err, "32 hex digits");
	assert_int_equal(mb_identity_compare(&first, &a.pass.digester.identity, NULL), 0);
	temp_file("key2", "f123456789abcdef0123456789abcdef", 32);
	assert_int_equal(mb_agent_reload_key(&a, &c, &err), 1);
	assert_true(mb_identity_same_space(&first, &a.pass.digester.identity));
	assert_int_equal(mb_identity_compare(&first, &a.pass.digester.identity, NULL), -EXDEV);
	assert_int_equal(mb_agent_reload_key(&a, &c, &err), 0);
	mb_agent_close(&a);
}

static void test_boots_differ(void **state)
{
	struct mb_boot a, b, zero = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_boot_make(&a, &err), &err);
	assert_ok(mb_boot_make(&b, &err), &err);
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_memory_not_equal(&a, &zero, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),	       cmocka_unit_test(test_keys),
		cmocka_unit_test(test_open_and_close), cmocka_unit_test(test_reload_key),
		cmocka_unit_test(test_boots_differ),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
