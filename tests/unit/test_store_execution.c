// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_execution.h"

#include <sqlite3.h>

#include "tests/unit/util_server.h"

static char path[128];

static struct mb_store *open_store(void)
{
	struct mb_store *s = NULL;
	struct mb_err err = { 0 };

	assert_ok(mb_store_open(path, &s, &err), &err);
	return s;
}

static int fresh(void **state)
{
	static int n;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	return 0;
}

static void query(const char *sql, char *ret, size_t size)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	snprintf(ret, size, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
}

struct seen {
	int64_t ids[300];
	struct mb_execution_record last;
	char state[20], plan[100], execution[300];
	size_t n;
	int result;
};

static int see(void *ctx, const struct mb_execution_record *rec)
{
	struct seen *s = ctx;

	s->ids[s->n++] = rec->id;
	s->last = *rec;
	snprintf(s->state, sizeof(s->state), "%s", rec->state);
	snprintf(s->plan, sizeof(s->plan), "%s", rec->plan ? rec->plan : "none");
	snprintf(s->execution, sizeof(s->execution), "%s",
		 rec->execution ? rec->execution : "none");
	return s->result;
}

static struct mb_execution_record sample(uint64_t at_ms)
{
	return (struct mb_execution_record){
		.created_unix_ms = at_ms,
		.mover = "dry",
		.question = "plan",
		.planner = "best",
		.state = "running",
		.moves = 2,
		.plan = "{\"planner\":\"best\"}",
		.execution = "{\"moves\":[]}",
	};
}

static void test_put_and_get(void **state)
{
	struct mb_execution_record rec = sample(5000);
	struct mb_store *s = open_store();
	struct seen seen = { 0 };
	struct mb_err err = { 0 };
	char text[100];

	(void)state;
	assert_fails(mb_store_execution(s, 1, see, &seen, &err), ENOENT, &err, "no execution 1");
	assert_ok(mb_store_put_execution(s, &rec, &err), &err);
	assert_int_equal(rec.id, 1);
	assert_ok(mb_store_execution(s, 1, see, &seen, &err), &err);
	assert_int_equal(seen.last.created_unix_ms, 5000);
	assert_int_equal(seen.last.ended_unix_ms, 0);
	assert_string_equal(seen.plan, rec.plan);
	assert_string_equal(seen.state, "running");
	/* The end. */
	rec.ended_unix_ms = 9000;
	rec.state = "incomplete";
	rec.done = 1;
	rec.execution = "{\"moves\":[{\"vm\":\"a\",\"from\":null,\"to\":\"h1\",\"state\":\"done\","
			"\"reason\":\"\",\"tries\":1,\"begun_unix_ms\":5000,"
			"\"ended_unix_ms\":6000},{\"vm\":\"b\",\"from\":\"h1\"}]}";
	rec.plan = NULL;
	assert_ok(mb_store_put_execution(s, &rec, &err), &err);
	assert_int_equal(rec.id, 1);
	mb_store_close(s);
	s = open_store();
	assert_ok(mb_store_execution(s, 1, see, &seen, &err), &err);
	assert_int_equal(seen.last.ended_unix_ms, 9000);
	assert_int_equal(seen.last.moves, 2);
	assert_int_equal(seen.last.done, 1);
	assert_string_equal(seen.plan, "{\"planner\":\"best\"}");
	assert_string_equal(seen.execution, rec.execution);
	/* What a person asks for. */
	query("SELECT group_concat(vm || ' ' || coalesce(from_host, '-') || ' ' || move)"
	      " FROM execution_move WHERE execution = 1",
	      text, sizeof(text));
	assert_string_equal(text, "a - 1,b h1 2");
	query("SELECT ended_unix_ns - begun_unix_ns FROM execution_move WHERE vm = 'a'", text,
	      sizeof(text));
	assert_string_equal(text, "1000000000");
	mb_store_close(s);
}

static void test_the_newest_are_kept(void **state)
{
	struct mb_store *s = open_store();
	struct seen seen = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= MB_EXECUTIONS_KEPT + 20; i++) {
		struct mb_execution_record rec = sample(i);

		/* The third is under way: it stays, however old. */
		rec.ended_unix_ms = i == 3 ? 0 : i;
		assert_ok(mb_store_put_execution(s, &rec, &err), &err);
		assert_int_equal(rec.id, i);
	}
	assert_ok(mb_store_executions(s, 1000, see, &seen, &err), &err);
	assert_int_equal(seen.n, MB_EXECUTIONS_KEPT + 1);
	assert_int_equal(seen.ids[0], MB_EXECUTIONS_KEPT + 20);
	assert_int_equal(seen.ids[MB_EXECUTIONS_KEPT - 1], 21);
	assert_int_equal(seen.ids[MB_EXECUTIONS_KEPT], 3);
	assert_string_equal(seen.plan, "none");
	seen.n = 0;
	assert_ok(mb_store_executions(s, 2, see, &seen, &err), &err);
	assert_int_equal(seen.n, 2);
	seen = (struct seen){ .result = -ECANCELED };
	assert_int_equal(mb_store_executions(s, 9, see, &seen, &err), -ECANCELED);
	assert_int_equal(seen.n, 1);
	mb_store_close(s);
}

static void test_a_put_that_fails_changes_nothing(void **state)
{
	struct mb_execution_record rec = sample(5000);
	struct mb_store *s = open_store();
	struct seen seen = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	rec.plan = NULL;
	assert_fails(mb_store_put_execution(s, &rec, &err), EIO, &err, "NOT NULL");
	assert_int_equal(rec.id, 0);
	assert_ok(mb_store_executions(s, 9, see, &seen, &err), &err);
	assert_int_equal(seen.n, 0);
	/* And the next one is free to begin. */
	rec.plan = "{}";
	assert_ok(mb_store_put_execution(s, &rec, &err), &err);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_put_and_get, fresh),
		cmocka_unit_test_setup(test_the_newest_are_kept, fresh),
		cmocka_unit_test_setup(test_a_put_that_fails_changes_nothing, fresh),
	};

	return cmocka_run_group_tests_name("store_execution", tests, NULL, NULL);
}
