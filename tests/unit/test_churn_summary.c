// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_summary.h"

#include <math.h>

#include "tests/unit/util_test.h"

static void test_nothing(void **state)
{
	struct mb_churn_sums s = { 0 };
	struct mb_churn_summary y;

	(void)state;
	mb_churn_summarize(&s, &y);
	assert_true(y.epochs == 0 && isnan(y.pages) && isnan(y.dirtied));
	/* One row has pages, but no epoch. */
	mb_churn_sums_add(&s, &(struct mb_churn_row){ .pages = 7 });
	mb_churn_summarize(&s, &y);
	assert_true(y.epochs == 0 && y.pages == 7 && isnan(y.dirtied) && isnan(y.dirtied_per_s));
	assert_true(isnan(y.kinds[MB_CHURN_SELF].kept));
	assert_int_equal(y.kinds[MB_CHURN_SELF].half_life.how, MB_HALF_LIFE_UNKNOWN);
}

static void test_means(void **state)
{
	const struct mb_churn_row rows[] = {
		{ .pages = 100,
		  .distinct = 90,
		  .zero = 4,
		  .classes[MB_CLASS_ANON].pages = 100,
		  .sharable[MB_CHURN_SELF] = { .digests = 10, .pages = 20, .survivors = 10 } },
		{ .epoch = 1,
		  .at_ns = 2000000000,
		  .pages = 110,
		  .distinct = 80,
		  .zero = 6,
		  .classes[MB_CLASS_ANON] = { 80, 12, 8, 0 },
		  .classes[MB_CLASS_FILE] = { 30, 0, 30, 2 },
		  .gained_pages = 40,
		  .lost_pages = 30,
		  .gained_digests = 5,
		  .lost_digests = 15,
		  .windows_known = 1,
		  .sharable[MB_CHURN_SELF] = { 8, 10, 10, 6, 6, { 9 } } },
		{ .epoch = 2,
		  .at_ns = 4000000000,
		  .pages = 120,
		  .distinct = 85,
		  .zero = 5,
		  .classes[MB_CLASS_ANON] = { 120, 10, 0, 0 },
		  .windows_known = 2,
		  .sharable[MB_CHURN_SELF] = { 6, 30, 8, 3, 4, { 5, 2 } } },
	};
	const struct mb_churn_kind_summary *self;
	struct mb_churn_sums s = { 0 };
	struct mb_churn_summary y;

	(void)state;
	for (int i = 0; i < 3; i++)
		mb_churn_sums_add(&s, &rows[i]);
	mb_churn_summarize(&s, &y);
	self = &y.kinds[MB_CHURN_SELF];
	assert_int_equal(y.epochs, 2);
	assert_int_equal(y.duration_ns, 4000000000);
	assert_true(y.pages == 110 && y.distinct == 85 && y.zero == 5);
	assert_true(y.changed == 11 && y.came == 19 && y.went == 1 && y.dirtied == 30);
	assert_true(y.dirtied_per_s == 15);
	assert_true(y.classes[MB_CLASS_ANON].pages == 100 && y.classes[MB_CLASS_FILE].pages == 10);
	assert_true(y.classes[MB_CLASS_FILE].came == 15);
	assert_true(y.gained == 20 && y.lost == 15);
	assert_true(y.gained_digests == 2.5 && y.lost_digests == 7.5);
	assert_true(self->digests == 8 && self->pages == 20);
	assert_true(self->kept == .5); /* 6 + 3 of 10 + 8 */
	assert_int_equal(self->half_life.how, MB_HALF_LIFE_OBSERVED);
	assert_true(self->half_life.ns == 3e9); /* 10, 6, 4: five at half the way */
	/* Each window over the rows that know it. */
	assert_true(self->durable_pages[0] == 7 && self->of_pages[0] == 20);
	assert_true(self->durable_pages[1] == 2 && self->of_pages[1] == 30);
	assert_true(isnan(self->durable_pages[2]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_means),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
