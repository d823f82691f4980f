// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/findings.h"

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "tests/unit/util_test.h"

static void print(const struct mb_findings *f, char *to, size_t size)
{
	FILE *out = fmemopen(to, size, "w");

	assert_non_null(out);
	mb_findings_print(f, out);
	fclose(out);
}

static void fill(struct mb_findings *f)
{
	struct mb_finding *x;

	mb_finding_say(mb_findings_add(f, MB_SEVERITY_OK, "well", ""), "all is well");
	mb_finding_cost(mb_findings_add(f, MB_SEVERITY_NOTE, "note", "vm1"), 5, true);
	mb_findings_add(f, MB_SEVERITY_PROBLEM, "first", "");
	x = mb_findings_add(f, MB_SEVERITY_PROBLEM, "small", "");
	mb_finding_cost(x, 256, false);
	x = mb_findings_add(f, MB_SEVERITY_PROBLEM, "large", "host1");
	mb_finding_say(x, "%d of %s", 3, "four");
	mb_finding_saw(x, "/a/file", "%d", 0);
	mb_finding_saw(x, "/b", "%s", "x\033[2J\n");
	mb_finding_cost(x, 512, false);
	mb_finding_fix(x, "echo %d > /a/file", 1);
	mb_findings_add(f, MB_SEVERITY_PROBLEM, "last", "");
}

static void test_order(void **state)
{
	static const char *const ids[] = { "large", "small", "first", "last", "note", "well" };
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };

	(void)state;
	fill(&f);
	mb_findings_sort(&f);
	assert_int_equal(f.n, MB_ARRAY_LEN(ids));
	for (size_t i = 0; i < f.n; i++)
		assert_string_equal(f.list[i].id, ids[i]);
	assert_int_equal(mb_findings_count(&f, MB_SEVERITY_PROBLEM), 4);
	assert_int_equal(mb_findings_count(&f, MB_SEVERITY_NOTE), 1);
	assert_int_equal(mb_findings_exit_code(&f), MB_EXIT_FAILED);
	f.n = 0;
	assert_int_equal(mb_findings_exit_code(&f), MB_EXIT_OK);
	mb_findings_add(&f, MB_SEVERITY_NOTE, "note", "");
	assert_int_equal(mb_findings_exit_code(&f), MB_EXIT_OK);
}

static void test_text(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	char text[4096] = "";
	struct mb_finding *x;

	(void)state;
	fill(&f);
	mb_findings_sort(&f);
	print(&f, text, sizeof(text));
	assert_non_null(strstr(text, "problem   large host1: 3 of four\n"
				     "  costs   512 pages (2.0 MB)\n"
				     "  seen    /a/file: 0; /b: x?[2J?\n"
				     "  fix     echo 1 > /a/file\n"
				     "problem   small:\n"));
	assert_non_null(strstr(text, "  costs   at most 5 pages (0.0 MB)\n"));
	assert_non_null(strstr(text, "\n\n4 problems, 1 notes, 1 checks are well\n"));
	/* No line but a fix is wider than a terminal, and no word is lost or glued to the next. */
	f.n = 0;
	x = mb_findings_add(&f, MB_SEVERITY_NOTE, "wide", "");
	for (int i = 0; i < 120; i++)
		snprintf(x->text + strlen(x->text), sizeof(x->text) - strlen(x->text), "%s%.*s",
			 i ? " " : "", 1 + i % 7, "abcdefg");
	memset(text, 0, sizeof(text));
	print(&f, text, sizeof(text));
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		assert_true(end - line <= 100);
	for (char *p = text; (p = strchr(p, '\n')); p++)
		assert_true(p[1] != 'a');
	assert_null(strstr(text, "gab"));
	assert_null(strstr(text, "aab"));
}

static void test_json_and_back(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 }, g = { 0 };
	struct mb_err err = { 0 };
	json_t *j;

	(void)state;
	fill(&f);
	j = mb_findings_to_json(&f);
	assert_non_null(j);
	assert_ok(mb_findings_from_json(j, &g, &err), &err);
	json_decref(j);
	assert_int_equal(g.n, f.n);
	for (size_t i = 0; i < f.n; i++) {
		assert_string_equal(g.list[i].id, f.list[i].id);
		assert_string_equal(g.list[i].of, f.list[i].of);
		assert_string_equal(g.list[i].text, f.list[i].text);
		assert_string_equal(g.list[i].fix, f.list[i].fix);
		assert_int_equal(g.list[i].severity, f.list[i].severity);
		assert_int_equal(g.list[i].has_lost, f.list[i].has_lost);
		assert_int_equal(g.list[i].at_most, f.list[i].at_most);
		assert_int_equal(g.list[i].lost_pages, f.list[i].lost_pages);
		assert_int_equal(g.list[i].n_seen, f.list[i].n_seen);
	}
	assert_string_equal(g.list[4].seen[1].value, "x?[2J?");
}

static void bad(const char *text, const char *word)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	struct mb_err err = { 0 };
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	assert_fails(mb_findings_from_json(j, &f, &err), EBADMSG, &err, word);
	json_decref(j);
}

static void test_foreign_json(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	struct mb_err err = { 0 };
	json_t *j = json_loads("[{\"id\":\"x\",\"severity\":\"note\",\"lost_pages\":-3,\"seen\":"
			       "[1,2,3,4,5,6,7,8,9,10],\"new\":{}}]",
			       0, NULL);

	(void)state;
	bad("{}", "no list");
	bad("[{\"id\":\"x\",\"severity\":\"note\"},{\"id\":\"x\",\"severity\":\"bad\"}]",
	    "finding 1");
	bad("[{\"severity\":\"note\"}]", "finding 0");
	bad("[3]", "finding 0");
	assert_ok(mb_findings_from_json(j, &f, &err), &err);
	json_decref(j);
	assert_int_equal(f.n, 1);
	assert_false(f.list[0].has_lost);
	assert_int_equal(f.list[0].n_seen, MB_SEEN_MAX);
}

static void test_what_does_not_fit_is_cut(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	char word[1000];
	struct mb_finding *x;

	(void)state;
	memset(word, 'w', sizeof(word) - 1);
	word[sizeof(word) - 1] = 0;
	x = mb_findings_add(&f, MB_SEVERITY_NOTE, word, word);
	mb_finding_say(x, "%s", word);
	mb_finding_fix(x, "%s", word);
	mb_finding_saw(x, word, "%s", word);
	assert_int_equal(strlen(x->id), sizeof(x->id) - 1);
	assert_int_equal(strlen(x->of), sizeof(x->of) - 1);
	assert_int_equal(strlen(x->text), sizeof(x->text) - 1);
	assert_int_equal(strlen(x->fix), sizeof(x->fix) - 1);
	assert_int_equal(strlen(x->seen[0].value), sizeof(x->seen[0].value) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json_and_back),
		cmocka_unit_test(test_foreign_json),
		cmocka_unit_test(test_what_does_not_fit_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
