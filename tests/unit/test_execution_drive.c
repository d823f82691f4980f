// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/execution_drive.h"

#include "tests/unit/util_execution.h"

/* What is durable, and whether the disk is full. */
struct disk {
	char *text;
	unsigned int saves;
	bool full;
};

static int save(void *ctx, const struct mb_execution *x, struct mb_err *err)
{
	struct disk *d = ctx;
	json_t *json;

	if (d->full)
		return mb_fail(err, ENOSPC, "the disk is full");
	json = mb_execution_to_json(x);
	free(d->text);
	d->text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	d->saves++;
	return 0;
}

static struct disk *disk_of_test;

/* At every begin the disk must know of it already. */
static void on_begin(void *ctx, uint32_t vm)
{
	char word[64];

	(void)ctx;
	snprintf(word, sizeof(word), "\"vm\":\"v%u\"", vm);
	assert_non_null(disk_of_test->text);
	assert_non_null(strstr(disk_of_test->text, word));
	assert_non_null(strstr(strstr(disk_of_test->text, word), "\"next\":\"poll\""));
}

static void set_up(struct plan_case *c, struct fake *f, struct mb_execution *x)
{
	case_init(c, 2, (const uint64_t[]){ 4, 3 }, (const uint32_t[]){ 0, MB_NOWHERE }, 3,
		  (const uint64_t[]){ 4, 4, 4 });
	case_move(c, 0, 1);
	case_move(c, 1, 0);
	case_create(c, NULL, x);
	fake_init(f, &c->fleet, 1);
}

static void test_written_down_before_it_begins(void **state)
{
	struct disk d = { 0 };
	struct mb_execution x;
	struct mb_err err = { 0 };
	struct plan_case c;
	struct fake f;
	uint64_t now = 1000;

	(void)state;
	disk_of_test = &d;
	set_up(&c, &f, &x);
	f.on_begin = on_begin;
	while (now != UINT64_MAX)
		assert_ok(mb_execution_drive(&x, &f.mover, save, &d, now, &now, &err), &err);
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_DONE);
	assert_int_equal(f.n_begun, 2);
	assert_non_null(strstr(d.text, "\"state\":\"done\""));
	assert_false(x.changed);
	/* Two begins, two ends: polls that say nothing new are not worth a write. */
	assert_true(d.saves >= 3 && d.saves <= 6);
	free(d.text);
	mb_execution_deinit(&x);
}

static void test_nothing_begins_on_a_full_disk(void **state)
{
	struct disk d = { .full = true };
	struct mb_execution x;
	struct mb_err err = { 0 };
	struct plan_case c;
	struct fake f;
	uint64_t now = 1000, wake;

	(void)state;
	set_up(&c, &f, &x);
	for (unsigned int i = 0; i < 10; i++) {
		assert_fails(mb_execution_drive(&x, &f.mover, save, &d, now, &wake, &err), ENOSPC,
			     &err, "full");
		assert_true(wake > now);
		now = wake;
	}
	assert_int_equal(f.n_begun, 0);
	assert_int_equal(x.moves[0].tries, 0);
	d.full = false;
	while (now != UINT64_MAX)
		assert_ok(mb_execution_drive(&x, &f.mover, save, &d, now, &now, &err), &err);
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_DONE);
	free(d.text);
	mb_execution_deinit(&x);
}

static void test_rush(void **state)
{
	struct mb_mover dry = { &mb_mover_dry };
	struct mb_execution x;
	struct mb_err err = { 0 };
	struct plan_case c;
	struct fake f;

	(void)state;
	set_up(&c, &f, &x);
	assert_ok(mb_execution_rush(&x, &dry, 5000, 1000, &err), &err);
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_DONE);
	/* As long as the plan expects, one after the other, though no time has passed. */
	assert_int_equal(x.moves[0].begun_ms, 5000);
	assert_int_equal(x.ended_ms, 25000);
	mb_execution_deinit(&x);
	/* Nothing to do. */
	c.plan.n_moves = 0;
	case_create(&c, NULL, &x);
	assert_ok(mb_execution_rush(&x, &dry, 5000, 1, &err), &err);
	mb_execution_deinit(&x);
	/* A mover that never ends is noticed. */
	set_up(&c, &f, &x);
	f.script = (const enum fake_fate[]){ FATE_HANGS, FATES };
	assert_fails(mb_execution_rush(&x, &f.mover, 1000, 5, &err), ELOOP, &err, "to an end");
	mb_execution_deinit(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_down_before_it_begins),
		cmocka_unit_test(test_nothing_begins_on_a_full_disk),
		cmocka_unit_test(test_rush),
	};

	return cmocka_run_group_tests_name("execution_drive", tests, NULL, NULL);
}
