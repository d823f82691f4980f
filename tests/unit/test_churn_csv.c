// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_report.h"
#include "tests/unit/util_churn.h"

/* The cell of a column in a line of the file; fails if there is no such column. */
static void is_cell(const struct mb_buf *text, int line, const char *name, const char *expected)
{
	const char *head = (const char *)text->data, *row = head, *at = head;
	int column = 0;

	for (int i = 0; i < line; i++)
		row = strchr(row, '\n') + 1;
	for (;;) {
		size_t n = strcspn(at, ",\n");

		if (n == strlen(name) && strncmp(at, name, n) == 0)
			break;
		if (at[n] != ',')
			fail_msg("no column %s", name);
		at += n + 1;
		column++;
	}
	while (column--)
		row += strcspn(row, ",") + 1;
	if (strcspn(row, ",\n") != strlen(expected) ||
	    strncmp(row, expected, strlen(expected)) != 0)
		fail_msg("line %d, %s: %.20s, expected %s", line, name, row, expected);
}

static void test_report(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = churn_report();
	mb_cleanup(mb_buf_deinit) struct mb_buf text;
	int lines = 0, commas = -1;

	(void)state;
	churn_written(mb_churn_csv, root, &text);
	for (const char *p = (const char *)text.data; *p; p = strchr(p, '\n') + 1, lines++) {
		int n = 0;

		for (const char *q = p; *q != '\n'; q++)
			n += *q == ',';
		assert_true(commas < 0 || n == commas);
		commas = n;
	}
	assert_int_equal(lines, 7);
	is_cell(&text, 1, "run", "1");
	is_cell(&text, 4, "run", "2");
	is_cell(&text, 2, "epoch", "1");
	is_cell(&text, 2, "at_s", "1.5");
	is_cell(&text, 2, "dirtied", "32");
	is_cell(&text, 2, "self_kept", "7");
	is_cell(&text, 2, "self_durable_1s", "12");
	is_cell(&text, 2, "self_durable_300s", "");
	is_cell(&text, 3, "reference_survivors", "5");
	is_cell(&text, 2, "file_changed", "1");
	is_cell(&text, 3, "file_changed", ""); /* that class was not there */
	is_cell(&text, 1, "buffer_went", "");
	is_cell(&text, 2, "frames_copy_on_write", "2");
	is_cell(&text, 3, "frames_copy_on_write", "");
	is_cell(&text, 3, "frames_rewrite", "12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
