// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/json_line.h"

#include <jansson.h>

#include "tests/unit/util_test.h"

/* A text whose every number is the line that it stands in, between all that JSON can put there. */
struct writer {
	struct rng rng;
	FILE *to;
	unsigned int line;
};

static void blanks(struct writer *w)
{
	for (uint64_t n = rng_below(&w->rng, 3); n; n--) {
		bool end = rng_below(&w->rng, 2);

		fputs(end ? "\r\n" : " \t", w->to);
		w->line += end;
	}
}

static void write_value(struct writer *w, int depth)
{
	static const char *const odd[] = { "\"\"",  "\"\\\"\"", "\"]},\\\\\"", "\"{[,:\\\\\\\"x\"",
					   "false", "null",	"-1.5e+3",     "\"\\u005d\"" };
	uint64_t n = rng_below(&w->rng, 5), kind = rng_below(&w->rng, depth ? 5 : 3);

	blanks(w);
	if (kind == 0) {
		fputs(odd[rng_below(&w->rng, 8)], w->to);
	} else if (kind < 3) {
		fprintf(w->to, "%u", w->line);
	} else {
		fputc(kind == 3 ? '[' : '{', w->to);
		for (uint64_t i = 0; i < n; i++) {
			blanks(w);
			if (kind == 4)
				fprintf(w->to, "\"k%d\"", (int)i);
			if (kind == 4)
				blanks(w);
			fputs(kind == 4 ? ":" : "", w->to);
			write_value(w, depth - 1);
			blanks(w);
			fputs(i + 1 < n ? "," : "", w->to);
		}
		blanks(w);
		fputc(kind == 3 ? ']' : '}', w->to);
	}
}

static size_t check_all(const char *text, const json_t *v, const char *path)
{
	json_t *object = (json_t *)(uintptr_t)v, *child;
	char below[200];
	const char *key;
	size_t i, n = 0;

	if (json_is_integer(v)) {
		assert_int_equal(mb_json_line(text, strlen(text), path, NULL),
				 json_integer_value(v));
		return 1;
	}
	json_array_foreach(v, i, child)
	{
		snprintf(below, sizeof(below), "%s[%zu]", path, i);
		n += check_all(text, child, below);
	}
	json_object_foreach(object, key, child)
	{
		snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", key);
		n += check_all(text, child, below);
	}
	return n;
}

static void test_every_place_of_any_text(void **state)
{
	struct writer w = { .rng = { 1 } };
	size_t places = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		json_error_t e;
		json_t *root;
		char *text;
		size_t n;

		w.line = 1;
		w.to = open_memstream(&text, &n);
		write_value(&w, 5);
		fclose(w.to);
		root = json_loads(text, JSON_DECODE_ANY, &e);
		if (!root)
			fail_msg("%s in %s", e.text, text);
		places += check_all(text, root, "");
		json_decref(root);
		free(text);
	}
	assert_true(places > 2000);
}

static void test_what_is_not_there(void **state)
{
	static const char text[] = "\n{\n\"a\": [\n1,\n2\n],\n\"b\": {\n\"c\":\n3}}";
	static const struct {
		const char *path, *key;
		uint32_t line;
	} cases[] = {
		{ "", NULL, 2 },      { "a", NULL, 3 },	  { "", "a", 3 },      { "a[1]", NULL, 5 },
		{ "a[2]", NULL, 3 },  { "a.b", NULL, 3 }, { "b", "c", 8 },     { "b.c", NULL, 9 },
		{ "b", "nope", 7 },   { "x.y", "z", 2 },  { "b[0]", NULL, 7 }, { "a[0]", "k", 4 },
		{ "b.c.d", NULL, 9 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(mb_json_line(text, strlen(text), cases[i].path, cases[i].key),
				 cases[i].line);
	assert_int_equal(mb_json_line("", 0, "a[3].b", "c"), 1);
	/* Cut anywhere, it ends within the text. */
	for (size_t n = 0; n < sizeof(text); n++)
		assert_true(mb_json_line(text, n, "b", "c") <= 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_place_of_any_text),
		cmocka_unit_test(test_what_is_not_there),
	};

	return cmocka_run_group_tests_name("json_line", tests, NULL, NULL);
}
