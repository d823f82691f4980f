// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/executor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "server/executions.h"
#include "server/store_wish.h"
#include "tests/unit/util_execution.h"
#include "tests/unit/util_server.h"

static char path[128];
static struct mb_store *store; /* this thread's */

static int set_up(void **state)
{
	static int n;
	struct mb_err err = { 0 };
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	assert_ok(mb_store_open(path, &store, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_store_close(store);
	return 0;
}

/* --- a mover that waits for the test ---------------------------------------------------------- */

struct slow {
	struct mb_mover mover; /* first */
	pthread_mutex_t gate;  /* held by the test: poll() does not return */
	atomic_int begun, polled, cancelled, closed;
	atomic_bool arrived;
	atomic_bool lost; /* what became of v0 */
};

static void slow_close(struct mb_mover *m)
{
	((struct slow *)(void *)m)->closed++;
}

static enum mb_begun slow_begin(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
				struct mb_err *err)
{
	(void)g;
	(void)now_ms;
	(void)err;
	((struct slow *)(void *)m)->begun++;
	return MB_BEGUN_OK;
}

static enum mb_polled slow_poll(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
				struct mb_copied *ret_progress, struct mb_err *err)
{
	struct slow *s = (struct slow *)(void *)m;

	(void)now_ms;
	(void)ret_progress;
	s->polled++;
	pthread_mutex_lock(&s->gate);
	pthread_mutex_unlock(&s->gate);
	if (s->lost && strcmp(g->vm, "v0") == 0) {
		mb_fail(err, EIO, "not reached");
		return MB_POLLED_LOST;
	}
	if (g->cancelled_ms) {
		mb_fail(err, ECANCELED, "cancelled");
		return MB_POLLED_FAILED;
	}
	return s->arrived ? MB_POLLED_DONE : MB_POLLED_RUNNING;
}

static enum mb_cancelled slow_cancel(struct mb_mover *m, const struct mb_migration *g,
				     uint64_t now_ms, struct mb_err *err)
{
	(void)g;
	(void)now_ms;
	(void)err;
	((struct slow *)(void *)m)->cancelled++;
	return MB_CANCELLED_ASKED;
}

static enum mb_located slow_locate(struct mb_mover *m, const struct mb_migration *g,
				   uint64_t now_ms, const char **ret_host, struct mb_err *err)
{
	struct slow *s = (struct slow *)(void *)m;

	(void)now_ms;
	if (s->lost && strcmp(g->vm, "v0") == 0) {
		mb_fail(err, EIO, "not reached");
		return MB_LOCATED_UNKNOWN;
	}
	*ret_host = s->arrived && g->begun_ms ? g->to : g->from;
	return MB_LOCATED_HOST;
}

static const struct mb_mover_ops slow_ops = { "slow",	 slow_close,  slow_begin,
					      slow_poll, slow_cancel, slow_locate };

static void slow_init(struct slow *s)
{
	memset(s, 0, sizeof(*s));
	s->mover.ops = &slow_ops;
	pthread_mutex_init(&s->gate, NULL);
}

/* --- what the tests do ------------------------------------------------------------------------ */

static atomic_int warnings;
static char last_warning[512];

static void on_warning(void *ctx, const char *text)
{
	(void)ctx;
	snprintf(last_warning, sizeof(last_warning), "%s", text);
	warnings++;
}

static struct mb_executor *start(struct slow *s)
{
	const struct mb_executor_config c = { .warn = on_warning };
	struct mb_store *own = NULL;
	struct mb_executor *e = NULL;
	struct mb_err err = { 0 };

	assert_ok(mb_store_open(path, &own, &err), &err);
	assert_ok(mb_executor_start(own, &s->mover, &c, &e, &err), &err);
	assert_string_equal(mb_executor_mover(e), "slow");
	return e;
}

/* Two VMs go from h0 to h1, one after the other. */
static void put_execution(const char *mover)
{
	struct mb_execution_options o = mb_execution_options_default;
	struct mb_executions_keeper keeper = { .store = store };
	json_t *report = json_pack("{s:s, s:s}", "planner", "best", "question", "drain"), *json;
	struct mb_err err = { 0 };
	struct mb_execution x;
	struct plan_case c;

	o.poll_ms = o.backoff_ms = o.backoff_max_ms = 2;
	case_init(&c, 2, (const uint64_t[]){ 4, 4 }, (const uint32_t[]){ 0, 0 }, 2,
		  (const uint64_t[]){ 8, 8 });
	case_move(&c, 0, 1);
	case_move(&c, 1, 1);
	case_create(&c, &o, &x);
	json = mb_execution_to_json(&x);
	json_object_set_new(json, "mover", json_string(mover));
	assert_ok(mb_executions_keep(&keeper, &x, report, json, &err), &err);
	json_decref(json);
	json_decref(report);
	mb_execution_deinit(&x);
	fleet_deinit(&c.fleet);
}

/* "running 1: running, waiting": the state, the restarts, the moves. */
static void look(int64_t id, char ret[200])
{
	json_t *answer = NULL, *x, *m;
	struct mb_err err = { 0 };
	size_t i;

	assert_ok(mb_executions_get(store, id, &answer, &err), &err);
	x = json_object_get(answer, "execution");
	snprintf(ret, 200, "%s %lld:", json_string_value(json_object_get(x, "state")),
		 (long long)json_integer_value(json_object_get(x, "restarts")));
	json_array_foreach(json_object_get(x, "moves"), i, m)
	{
		size_t n = strlen(ret);

		snprintf(ret + n, 200 - n, " %s", json_string_value(json_object_get(m, "state")));
	}
	json_decref(answer);
}

static void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

/* Within 20 s, however slow the machine. */
static void becomes(int64_t id, const char *expected)
{
	char text[200] = "";

	for (int i = 0; i < 20000; i++) {
		look(id, text);
		if (strcmp(text, expected) == 0)
			return;
		nap();
	}
	fail_msg("execution %lld: \"%s\", expected \"%s\"", (long long)id, text, expected);
}

static void reaches(const atomic_int *n, int least)
{
	for (int i = 0; i < 20000 && *n < least; i++)
		nap();
	assert_true(*n >= least);
}

static void wish(struct mb_executor *e, int64_t id, enum mb_wish_kind kind, uint32_t move)
{
	struct mb_wish w = { .execution = id, .kind = kind, .move = move };
	struct mb_err err = { 0 };

	assert_ok(mb_store_put_wish(store, &w, 1, &err), &err);
	mb_executor_kick(e);
}

static int no_wish(void *ctx, const struct mb_wish *w)
{
	(void)ctx;
	(void)w;
	return -EEXIST;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_to_the_end(void **state)
{
	struct mb_executor *e;
	struct slow s;

	(void)state;
	slow_init(&s);
	e = start(&s);
	put_execution("slow");
	put_execution("another");
	mb_executor_kick(e);
	becomes(1, "running 0: running waiting");
	reaches(&s.polled, 3);
	s.arrived = true;
	becomes(1, "done 0: done done");
	mb_executor_stop(e);
	assert_int_equal(s.begun, 2);
	assert_int_equal(s.closed, 1);
	/* Not ours. */
	becomes(2, "running 0: waiting waiting");
}

/* While a hook does not return the wish is taken all the same, and granted once it does. */
static void test_cancel_while_the_mover_is_busy(void **state)
{
	struct mb_executor *e;
	struct mb_err err = { 0 };
	struct slow s;

	(void)state;
	slow_init(&s);
	put_execution("slow");
	pthread_mutex_lock(&s.gate);
	e = start(&s);
	reaches(&s.polled, 1);
	wish(e, 1, MB_WISH_CANCEL, 0);
	assert_int_equal(mb_store_wishes(store, 1, no_wish, NULL, &err), -EEXIST);
	becomes(1, "running 1: running waiting");
	pthread_mutex_unlock(&s.gate);
	becomes(1, "cancelled 1: cancelled skipped");
	mb_executor_stop(e);
	assert_int_equal(s.begun, 1);
	assert_int_equal(s.cancelled, 1);
	assert_ok(mb_store_wishes(store, 1, no_wish, NULL, &err), &err);
}

static void test_a_restart_begins_nothing_again(void **state)
{
	struct mb_executor *e;
	struct slow s, next;

	(void)state;
	slow_init(&s);
	slow_init(&next);
	e = start(&s);
	put_execution("slow");
	mb_executor_kick(e);
	reaches(&s.polled, 1);
	mb_executor_stop(e);
	becomes(1, "running 0: running waiting");
	/* Told to nobody but the database, while no server ran. */
	e = start(&next);
	becomes(1, "running 1: running waiting");
	reaches(&next.polled, 2);
	assert_int_equal(next.begun, 0);
	next.arrived = true;
	becomes(1, "done 1: done done");
	mb_executor_stop(e);
	/* The second move only. */
	assert_int_equal(s.begun, 1);
	assert_int_equal(next.begun, 1);
}

static void test_a_wish_outlives_the_server(void **state)
{
	struct mb_wish w = { .execution = 1, .kind = MB_WISH_CANCEL };
	struct mb_err err = { 0 };
	struct mb_executor *e;
	struct slow s;

	(void)state;
	slow_init(&s);
	e = start(&s);
	put_execution("slow");
	mb_executor_kick(e);
	reaches(&s.polled, 1);
	mb_executor_stop(e);
	assert_ok(mb_store_put_wish(store, &w, 1, &err), &err);
	e = start(&s);
	becomes(1, "cancelled 1: cancelled skipped");
	mb_executor_stop(e);
}

static void test_decide(void **state)
{
	struct mb_executor *e;
	struct slow s;

	(void)state;
	slow_init(&s);
	e = start(&s);
	put_execution("slow");
	mb_executor_kick(e);
	reaches(&s.polled, 1);
	s.lost = true;
	becomes(1, "running 0: lost waiting");
	wish(e, 1, MB_WISH_STAYED, 1); /* which is not lost: nothing */
	wish(e, 1, MB_WISH_ARRIVED, 0);
	becomes(1, "running 0: done running");
	s.arrived = true;
	becomes(1, "done 0: done done");
	mb_executor_stop(e);
}

static void test_unreadable(void **state)
{
	struct mb_execution_record rec = { .created_unix_ms = 1000,
					   .mover = "slow",
					   .question = "plan",
					   .planner = "best",
					   .state = "running",
					   .moves = 1,
					   .plan = "{}",
					   .execution = "{\"moves\":7}" };
	struct mb_executor *e;
	struct mb_err err = { 0 };
	struct slow s;
	json_t *list = NULL;

	(void)state;
	slow_init(&s);
	warnings = 0;
	assert_ok(mb_store_put_execution(store, &rec, &err), &err);
	e = start(&s);
	mb_executor_stop(e);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(last_warning, "execution 1: "));
	assert_ok(mb_executions_list(store, 9, &list, &err), &err);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(list, "executions"), 0), "state")),
		"unreadable");
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel_while_the_mover_is_busy, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_restart_begins_nothing_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_wish_outlives_the_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_decide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
