// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/svg.h"

#include <math.h>

#include "tests/unit/util_churn.h"

static struct mb_svg_plot plot;

static void make(const json_t *root, struct mb_buf *to)
{
	(void)root;
	mb_svg_put(to, &plot);
}

static void draw(struct mb_buf *ret)
{
	churn_written(make, NULL, ret);
	assert_markup(ret);
}

static void test_lines(void **state)
{
	const double at[] = { 0, 1, 2, 3 }, a[] = { 10, 20, NAN, 30 }, b[] = { NAN, 1, 2, 3 };
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	plot = (struct mb_svg_plot){ .title = "A & B",
				     .unit = "<pages>",
				     .at_s = at,
				     .n = 4,
				     .series = { { "a<", a }, { "b", b } },
				     .n_series = 2 };
	draw(&text);
	assert_has(&text, "<figcaption>A &amp; B <span class=\"unit\">&lt;pages&gt;");
	/* Up to 50: the left end is 0 s, the right end 3 s; a gap where nothing is known. */
	assert_has(&text, "d=\"M62.0 152.4L251.3 118.8M630.0 85.2\"");
	assert_has(&text, "<title>1 s, a&lt;: 20 &lt;pages&gt;</title>");
	assert_has(&text, ">50</text>");
}

static void test_bars(void **state)
{
	const double at[] = { 0, 60, 180 }, a[] = { 0, 3, 1 }, b[] = { 0, 1, NAN };
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	plot = (struct mb_svg_plot){ .title = "t",
				     .unit = "u",
				     .at_s = at,
				     .n = 3,
				     .series = { { "a", a }, { "b", b } },
				     .n_series = 2,
				     .stacked = true };
	draw(&text);
	/* Of 5, three and one more on top of it: 168 high. */
	assert_has(&text, "y=\"85.2\" height=\"100.8\"><title>60 s, a: 3 u");
	assert_has(&text, "y=\"51.6\" height=\"33.6\"><title>60 s, b: 1 u");
	assert_has(&text, ">3 min</text>");
	assert_has_not(&text, "nan");
}

/* As many points as there is room for, however long it was watched. */
static void test_long(void **state)
{
	enum { N = 10000 };
	mb_cleanup(mb_buf_deinit) struct mb_buf text;
	static double at[N], v[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		at[i] = i;
		v[i] = i % 2 ? 100 : 300;
	}
	plot = (struct mb_svg_plot){ .title = "t",
				     .unit = "u",
				     .at_s = at,
				     .n = N,
				     .series = { { "a", v } },
				     .n_series = 1 };
	draw(&text);
	assert_true(text.len < 40000);
	assert_has(&text, ": 200");
}

static void test_nothing(void **state)
{
	const double at[] = { 0, 0 }, v[] = { NAN, NAN };
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	plot = (struct mb_svg_plot){ .title = "t", .unit = "u" };
	draw(&text);
	mb_buf_deinit(&text);
	plot = (struct mb_svg_plot){ .title = "t",
				     .unit = "u",
				     .at_s = at,
				     .n = 2,
				     .series = { { "a", v } },
				     .n_series = 1 };
	draw(&text);
	assert_has_not(&text, "nan");
	assert_has_not(&text, "inf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bars),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
