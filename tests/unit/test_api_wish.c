// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/api_wish.h"

#include <time.h>

#include "server/executions.h"
#include "server/store_wish.h"
#include "tests/unit/util_execution.h"
#include "tests/unit/util_server.h"

static struct mb_api api;

/* A mover that never can tell: what is lost stays lost until somebody decides. */
static void on_close(struct mb_mover *m)
{
	(void)m;
}

static enum mb_begun never_begin(struct mb_mover *m, const struct mb_migration *g, uint64_t now_ms,
				 struct mb_err *err)
{
	(void)m;
	(void)g;
	(void)now_ms;
	(void)err;
	fail_msg("nothing is to be begun here");
	return MB_BEGUN_NEVER;
}

static enum mb_polled poll_in_vain(struct mb_mover *m, const struct mb_migration *g,
				   uint64_t now_ms, struct mb_copied *ret_progress,
				   struct mb_err *err)
{
	(void)m;
	(void)g;
	(void)now_ms;
	(void)ret_progress;
	mb_fail(err, EIO, "not reached");
	return MB_POLLED_LOST;
}

static enum mb_cancelled cancel_in_vain(struct mb_mover *m, const struct mb_migration *g,
					uint64_t now_ms, struct mb_err *err)
{
	(void)m;
	(void)g;
	(void)now_ms;
	mb_fail(err, EIO, "not reached");
	return MB_CANCELLED_LOST;
}

static enum mb_located locate_in_vain(struct mb_mover *m, const struct mb_migration *g,
				      uint64_t now_ms, const char **ret_host, struct mb_err *err)
{
	(void)m;
	(void)g;
	(void)now_ms;
	(void)ret_host;
	mb_fail(err, EIO, "not reached");
	return MB_LOCATED_UNKNOWN;
}

static const struct mb_mover_ops unsure_ops = { "unsure",     on_close,	      never_begin,
						poll_in_vain, cancel_in_vain, locate_in_vain };
static struct mb_mover mover = { &unsure_ops };

static void on_warning(void *ctx, const char *text)
{
	(void)ctx;
	fail_msg("%s", text);
}

static int set_up(void **state)
{
	static int n;
	const struct mb_executor_config c = { .warn = on_warning };
	struct mb_store *own = NULL;
	struct mb_err err = { 0 };
	char name[32], path[128];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	api = (struct mb_api){ 0 };
	assert_ok(mb_store_open(path, &api.store, &err), &err);
	assert_ok(mb_store_open(path, &own, &err), &err);
	assert_ok(mb_executor_start(own, &mover, &c, &api.executor, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_executor_stop(api.executor);
	mb_store_close(api.store);
	return 0;
}

/* One move, waiting, or lost. */
static void put_execution(const char *by, bool lost)
{
	struct mb_executions_keeper keeper = { .store = api.store };
	json_t *report = json_pack("{s:s, s:s}", "planner", "best", "question", "plan"), *json;
	struct mb_err err = { 0 };
	struct mb_execution x;
	struct plan_case c;

	case_init(&c, 1, (const uint64_t[]){ 4 }, (const uint32_t[]){ 0 }, 2,
		  (const uint64_t[]){ 4, 4 });
	case_move(&c, 0, 1);
	case_create(&c, NULL, &x);
	if (lost) {
		mb_execution_step(&x, 1000);
		mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 1000);
		mb_execution_step(&x, 1000);
		mb_execution_begun(&x, 0, MB_BEGUN_OK, "", 1000);
		mb_execution_step(&x, 99000);
		mb_execution_polled(&x, 0, MB_POLLED_LOST, NULL, "not reached", 99000);
		assert_int_equal(x.moves[0].state, MB_MOVE_LOST);
	}
	json = mb_execution_to_json(&x);
	json_object_set_new(json, "mover", json_string(by));
	assert_ok(mb_executions_keep(&keeper, &x, report, json, &err), &err);
	json_decref(json);
	json_decref(report);
	mb_execution_deinit(&x);
	fleet_deinit(&c.fleet);
}

static const char *on_query(void *ctx, const char *name)
{
	const char *const *pairs = ctx;

	for (; pairs && *pairs; pairs += 2)
		if (strcmp(pairs[0], name) == 0)
			return pairs[1];
	return NULL;
}

static void refused(const char *rest, const char *const *query, int code, const char *word)
{
	struct mb_err err = { 0 };
	json_t *json = NULL;

	assert_fails(mb_api_wish(&api, rest, on_query, (void *)(uintptr_t)query, &json, &err), code,
		     &err, word);
	assert_null(json);
}

static int count_wish(void *ctx, const struct mb_wish *w)
{
	++((unsigned int *)ctx)[w->kind];
	return 0;
}

static unsigned int wishes(int64_t id, enum mb_wish_kind kind)
{
	unsigned int n[MB_WISH_KINDS] = { 0 };
	struct mb_err err = { 0 };

	assert_ok(mb_store_wishes(api.store, id, count_wish, n, &err), &err);
	return n[kind];
}

static void test_refusals(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const where[] = { "move", "1", "vm_has", "gone", NULL };
	static const char *const far[] = { "move", "2", "vm_has", "stayed", NULL };
	static const char *const first[] = { "move", "1", "vm_has", "stayed", NULL };
	static const char *const zero[] = { "move", "0", "vm_has", "stayed", NULL };

	(void)state;
	put_execution("unsure", true);
	put_execution("another", false);
	put_execution("another", true);
	refused("", none, EOPNOTSUPP, "nothing can be changed");
	refused("1", none, EOPNOTSUPP, "nothing can be changed");
	refused("1/pause", none, EOPNOTSUPP, "nothing can be changed");
	refused("1/cancel/2", none, EOPNOTSUPP, "nothing can be changed");
	refused("123456789012345678901234567890/cancel", none, EOPNOTSUPP, "nothing");
	refused("x/cancel", none, EINVAL, "execution");
	refused("0/cancel", none, EINVAL, "execution");
	refused("9/cancel", none, ENOENT, "no execution 9");
	refused("2/cancel", none, EBUSY, "execution 2 is interrupted: its mover \"another\"");
	refused("1/decide", none, EINVAL, "move and vm_has");
	refused("1/decide", where, EINVAL, "neither arrived nor stayed");
	refused("1/decide", zero, EINVAL, "move");
	refused("1/decide", far, EINVAL, "move 2: there are 1");
	refused("3/decide", first, EBUSY, "interrupted");
	refused("9/decide", first, ENOENT, "no execution 9");
	for (int k = 0; k < MB_WISH_KINDS; k++)
		assert_int_equal(wishes(1, (enum mb_wish_kind)k), 0);
}

static void test_decided(void **state)
{
	static const char *const stayed[] = { "move", "1", "vm_has", "stayed", NULL };
	struct mb_executor *executor = api.executor;
	struct mb_err err = { 0 };
	json_t *json = NULL;

	(void)state;
	put_execution("unsure", true);
	put_execution("another", false); /* which hinders nobody */
	api.executor = NULL;
	refused("1/cancel", NULL, EBUSY, "its mover \"unsure\" is not here");
	assert_ok(mb_api_check_idle(&api, &err), &err);
	api.executor = executor;
	assert_fails(mb_api_check_idle(&api, &err), EBUSY, &err, "execution 1 is under way");
	assert_ok(mb_api_wish(&api, "1/decide", on_query, (void *)(uintptr_t)stayed, &json, &err),
		  &err);
	assert_int_equal(json_integer_value(json_object_get(json, "id")), 1);
	assert_string_equal(json_string_value(json_object_get(json, "wish")), "stayed");
	json_decref(json);
	/* The thread was kicked, and ends it. */
	for (int i = 0; mb_api_check_idle(&api, &err) < 0; i++) {
		const struct timespec ms = { .tv_nsec = 1000000 };

		assert_true(i < 20000);
		nanosleep(&ms, NULL);
	}
	refused("1/cancel", NULL, EALREADY, "execution 1 has ended");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_decided, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("api_wish", tests, NULL, NULL);
}
