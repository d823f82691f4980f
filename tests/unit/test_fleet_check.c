// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet_check.h"

#include "tests/unit/util_test.h"

/* Line 1 has the hosts, every VM and every rule a line of its own. */
#define THREE_HOSTS                                                                                \
	HOST("h0", "")                                                                             \
	"," HOST("h1", ", \"trust_domain\": \"red\"") "," HOST("pool", ", \"state\": \"pool\"")
#define FLEET(vms, rules)                                                                          \
	"{\"hosts\": [" THREE_HOSTS "], \"vms\": [\n" vms "],\n\"rules\": [\n" rules "]}"
#define HOST(name, more)      "{\"name\": \"" name "\", \"memory_mb\": 100" more "}"
#define HOSTS(host)	      "{\"vms\": [],\n\"hosts\": [" HOST("h", "") ",\n" host "]}"
#define VM(name, more)	      "{\"name\": \"" name "\", \"memory_mb\": 10" more "}"
#define ON(host)	      ", \"host\": \"" host "\""
#define PINNED(host)	      ON(host) ", \"pinned\": true"
#define RULE(name, kind, vms) "{\"name\": \"" name "\", \"kind\": \"" kind "\", \"vms\": [" vms "]}"
#define TWO_PINNED	      VM("a", PINNED("h0")) "," VM("b", PINNED("h1"))
#define ABCD		      TWO_PINNED "," VM("c", "") "," VM("d", "")

static void test_contradictions(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ HOSTS(HOST("g", ", \"reserve_mb\": 100")),
		  "line 3: hosts[1].reserve_mb: host \"g\" of 100 MB would have nothing left" },
		{ HOSTS(HOST("g", ", \"free_mb\": 101")),
		  "line 3: hosts[1].free_mb: more than the 100 MB of host \"g\"" },
		{ FLEET(VM("a", "") ",\n" VM("b", ",\n\"pinned\": true"), ""),
		  "line 4: vms[1].pinned: VM \"b\" has no host to stay on" },
		{ FLEET(VM("a", ON("pool")), ""),
		  "line 2: vms[0].host: host \"pool\" is in the pool" },
		{ FLEET(VM("a", PINNED("h1") ", \"trust_domain\": \"blue\""), ""),
		  "vms[0].pinned: host \"h1\" takes trust domain \"red\" only, VM \"a\" is of "
		  "\"blue\"" },
		{ FLEET(ABCD, RULE("r", "together", "\"a\", \"b\"")),
		  "line 4: rules[0]: rule \"r\" puts \"a\" and \"b\" together, which are pinned to "
		  "two hosts" },
		/* By way of others. */
		{ FLEET(ABCD, RULE("r", "together", "\"a\", \"c\"") ",\n" RULE(
				      "s", "together", "\"b\", \"d\"") ",\n" RULE("t", "together",
										  "\"d\", \"c\"")),
		  "line 6: rules[2]: rule \"t\" puts \"a\" and \"b\" together, which are pinned" },
		/* The first of a rule learns from the others where all are bound to. */
		{ FLEET(VM("e", "") "," TWO_PINNED,
			RULE("r", "together", "\"e\", \"a\"") ",\n" RULE("s", "together",
									 "\"e\", \"b\"")),
		  "line 5: rules[1]: rule \"s\" puts \"a\" and \"b\" together, which are pinned" },
		{ FLEET(ABCD, RULE("r", "apart", "\"d\", \"c\", \"a\"") ",\n" RULE("s", "together",
										   "\"c\", \"d\"")),
		  "line 4: rules[0]: rule \"r\" puts \"c\" and \"d\" apart, rule \"s\" puts them "
		  "together" },
		{ FLEET(VM("a", "") "," VM("b", "") "," VM("c", ""),
			RULE("r", "together", "\"a\", \"b\"") "," RULE(
				"s", "together", "\"c\", \"b\"") ",\n" RULE("t", "apart",
									    "\"a\", \"c\"")),
		  "line 5: rules[2]: rule \"t\" puts \"a\" and \"c\" apart, other rules put them "
		  "together" },
		{ FLEET(VM("a", PINNED("h0")) "," VM("b", PINNED("h0")),
			RULE("r", "apart", "\"a\", \"b\"")),
		  "line 4: rules[0]: rule \"r\" puts \"a\" and \"b\" apart, which are bound to "
		  "host \"h0\" both" },
		{ FLEET(VM("a", PINNED("h0")) "," VM("b", "") "," VM("c", PINNED("h0")),
			RULE("r", "apart", "\"b\", \"c\"") "," RULE("s", "together",
								    "\"a\", \"b\"")),
		  "puts \"b\" and \"c\" apart, which are bound to host \"h0\" both" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mb_err err = { 0 };
		struct mb_fleet_file f;

		assert_fails(
			mb_fleet_file_parse(cases[i].text, strlen(cases[i].text), "", &f, &err),
			EINVAL, &err, cases[i].words);
		assert_null(f.rules);
	}
}

static void test_what_can_be(void **state)
{
	static const char *const texts[] = {
		FLEET(ABCD, RULE("r", "together", "\"a\", \"c\"") "," RULE(
				    "s", "together", "\"b\", \"d\"") "," RULE("t", "apart",
									      "\"c\", \"d\"")),
		/* Not pinned: it may move to where the rule wants it. */
		FLEET(VM("a", ON("h0")) "," VM("b", ON("h0")), RULE("r", "apart", "\"a\", \"b\"")),
		FLEET(VM("a", PINNED("h0")) "," VM("b", ON("h1")),
		      RULE("r", "together", "\"b\", \"a\"")),
		FLEET(VM("a", PINNED("h1") ", \"trust_domain\": \"red\""), ""),
		HOSTS(HOST("g", ", \"reserve_mb\": 99, \"free_mb\": 100")),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct mb_err err = { 0 };
		struct mb_fleet_file f;

		assert_ok(mb_fleet_file_parse(texts[i], strlen(texts[i]), "", &f, &err), &err);
		mb_fleet_file_deinit(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_what_can_be),
	};

	return cmocka_run_group_tests_name("fleet_check", tests, NULL, NULL);
}
