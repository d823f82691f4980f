// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <time.h>

#include "server/ctl/cells.h"
#include "server/ctl/table.h"

static void assert_prints(struct mb_table *t, const char *want)
{
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	mb_table_print(t, to);
	fclose(to);
	assert_string_equal(text, want);
	free(text);
	mb_table_deinit(t);
}

static void test_aligns(void **state)
{
	struct mb_table t = { 0 };

	(void)state;
	mb_table_columns(&t, "<name|>pages|<");
	for (int i = 0; i < 3; i++) {
		mb_table_put(&t, "%s", i == 1 ? "a longer one" : "b");
		mb_table_put(&t, "%d", i == 2 ? 1234567 : 5);
		mb_table_put(&t, "%s", i == 0 ? "remark" : "");
	}
	/* No blanks at the end of a line. */
	assert_prints(&t, "name            pages\n"
			  "b                   5  remark\n"
			  "a longer one        5\n"
			  "b             1234567\n");
}

static void test_heads_alone(void **state)
{
	struct mb_table t = { 0 };

	(void)state;
	mb_table_columns(&t, "<a");
	mb_table_columns(&t, ">b");
	assert_prints(&t, "a  b\n");
	assert_prints(&t, "");
}

static void test_bytes_of_strangers(void **state)
{
	struct mb_table t = { 0 };

	(void)state;
	mb_table_columns(&t, "<x|<y");
	mb_table_put(&t, "\033[2J\n");
	mb_table_put(&t, "1");
	mb_table_put(&t, "\303\244\303\266");
	mb_table_put(&t, "2");
	assert_prints(&t, "x      y\n"
			  "?[2J?  1\n"
			  "\303\244\303\266     2\n");
}

static void test_times(void **state)
{
	json_t *o = json_pack("{s:I, s:I}", "t", (json_int_t)1700000000007, "z", (json_int_t)0);
	struct mb_table t = { 0 };

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	mb_table_columns(&t, "<a|<b|<c");
	mb_cell_time(&t, o, "t", false);
	mb_cell_time(&t, o, "t", true);
	mb_cell_time(&t, o, "z", true);
	assert_string_equal(t.cells[3], "2023-11-14 22:13:20");
	assert_string_equal(t.cells[4], "2023-11-14 22:13:20.007");
	assert_string_equal(t.cells[5], "-");
	mb_table_deinit(&t);
	json_decref(o);
}

static void test_cells(void **state)
{
	json_t *o = json_pack("{s:i, s:f, s:s, s:n, s:[s,s,s,s]}", "i", 257, "f", 1.25, "s", "",
			      "n", "l", "one", "two", "three", "four");
	struct mb_table t = { 0 };

	(void)state;
	mb_table_columns(&t, "<a|<b|<c|<d|<e|<f|<g|<h|<i");
	mb_cell_number(&t, o, "i");
	mb_cell_number(&t, o, "f");
	mb_cell_number(&t, o, "n");
	mb_cell_text(&t, o, "s");
	mb_cell_text(&t, o, "missing");
	mb_cell_names(&t, json_object_get(o, "l"), 9);
	mb_cell_names(&t, json_object_get(o, "l"), 90);
	mb_cell_mb(&t, o, "i", 4096);
	mb_cell_mb(&t, o, "n", 4096);
	mb_cell_mb_value(&t, -6 * 256 - 13, 4096);
	mb_cell_mb_value(&t, 1 << 20, 65536);
	mb_cell_mb_value(&t, 200, 4096);
	mb_cell_mb_value(&t, -1, 4096);
	mb_cell_bool(&t, o, "i");
	assert_string_equal(t.cells[9], "257");
	assert_string_equal(t.cells[10], "1.2");
	assert_string_equal(t.cells[11], "-");
	assert_string_equal(t.cells[12], "-");
	assert_string_equal(t.cells[13], "-");
	assert_string_equal(t.cells[14], "one, two and 2 more");
	assert_string_equal(t.cells[15], "one, two, three, four");
	assert_string_equal(t.cells[16], "1.0");
	assert_string_equal(t.cells[17], "-");
	assert_string_equal(t.cells[18], "-6.1");
	assert_string_equal(t.cells[19], "65536.0");
	assert_string_equal(t.cells[20], "0.8");
	assert_string_equal(t.cells[21], "0.0");
	assert_string_equal(t.cells[22], "-");
	mb_table_deinit(&t);
	json_decref(o);
}

static void test_strongest_pairs(void **state)
{
	struct mb_pairs_top top = { 0 };
	struct rng r = { 1 };

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		mb_pairs_top_offer(&top, (int64_t)rng_below(&r, 50), i, 0);
	assert_int_equal(top.n, MB_RENDER_PAIRS_MAX);
	assert_int_equal(top.items[0].value, 49);
	for (size_t i = 1; i < top.n; i++) {
		assert_true(top.items[i - 1].value >= top.items[i].value);
		if (top.items[i - 1].value == top.items[i].value)
			assert_true(top.items[i - 1].a < top.items[i].a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aligns),
		cmocka_unit_test(test_heads_alone),
		cmocka_unit_test(test_bytes_of_strangers),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_strongest_pairs),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
