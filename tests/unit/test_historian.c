// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/historian.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/unit/util_server.h"

#define MS 1000000ull

static struct mb_fleet *fleet;
static struct mb_store *store;
static struct mb_sharing *sharing;
static char path[128];
static atomic_int n_warnings;
static const char *fleet_path;

static void on_warning(void *ctx, const char *text)
{
	(void)ctx;
	n_warnings++;
	assert_non_null(strstr(text, "no room"));
}

static int set_up(void **state)
{
	static int n;
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_vm vm;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	n_warnings = 0;
	fleet_path = NULL;
	assert_ok(mb_fleet_create(&fleet, &err), &err);
	assert_ok(mb_store_open(path, &store, &err), &err);
	assert_ok(mb_sharing_create(fleet, &sharing, &err), &err);
	make_fingerprint_of(1, 1, 9, &fp);
	make_vm("web1", 1, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	store_vm(store, &vm);
	vm.epoch = 2;
	store_vm(store, &vm);
	assert_ok(mb_fleet_add(fleet, &vm, &err), &err);
	/* Five digests are web1's too. */
	make_fingerprint_of(5, 1, 9, &fp);
	make_vm("web2", 1, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	store_vm(store, &vm);
	assert_ok(mb_fleet_add(fleet, &vm, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_sharing_destroy(sharing);
	mb_store_close(store);
	mb_fleet_destroy(fleet);
	return 0;
}

static sqlite3 *open_db(void)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	return db;
}

static int count(const char *query)
{
	sqlite3 *db = open_db();
	sqlite3_stmt *st;
	int n;

	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void wait_for_count(const char *query, int n)
{
	uint64_t end = mb_now_ns() + 5000 * MS;

	while (count(query) != n) {
		assert_true(mb_now_ns() < end);
		usleep(2000);
	}
}

static struct mb_historian *start(uint64_t interval_ns, uint64_t keep_ns)
{
	const struct mb_historian_config c = { interval_ns, keep_ns, fleet_path, on_warning, NULL };
	struct mb_store *own;
	struct mb_historian *h;
	struct mb_err err = { 0 };

	assert_ok(mb_store_open(path, &own, &err), &err);
	assert_ok(mb_historian_start(sharing, own, &c, &h, &err), &err);
	return h;
}

/* An epoch that was acked just now. */
static void put_row_of_now(void)
{
	struct mb_fingerprint fp;
	struct mb_vm vm;

	make_fingerprint_of(1, 1, 9, &fp);
	make_vm("web3", 1, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	vm.acked_unix_ns = mb_unix_ns();
	store_vm(store, &vm);
	mb_vm_deinit(&vm);
}

static void test_keeps_and_forgets(void **state)
{
	struct mb_historian *h = start(5 * MS, 0);

	(void)state;
	/* Once: nothing changes in the fleet. */
	wait_for_count("SELECT count(*) FROM sharing", 2);
	usleep(30000);
	assert_int_equal(count("SELECT count(*) FROM sharing"), 2);
	assert_int_equal(count("SELECT inter FROM sharing WHERE partner = 'web1'"), 5);
	assert_int_equal(count("SELECT partner_inter FROM sharing WHERE partner = 'web2'"), 5);
	assert_int_equal(count("SELECT count(*) FROM history"), 3);
	/* Nobody says where they run. */
	assert_int_equal(count("SELECT count(host) + count(here) FROM sharing"), 0);
	mb_historian_stop(h);
	/* By the clock they are from 1970: it has jumped, or nobody ran for long. They stay ... */
	h = start(5 * MS, 60000 * MS);
	wait_for_count("SELECT count(*) FROM sharing", 4);
	usleep(30000);
	assert_int_equal(count("SELECT count(*) FROM history"), 3);
	mb_historian_stop(h);
	/* ... until it is known to be right. */
	put_row_of_now();
	h = start(5 * MS, 60000 * MS);
	wait_for_count("SELECT count(*) FROM history", 1);
	assert_int_equal(count("SELECT count(*) FROM sharing"), 6);
	mb_historian_stop(h);
	assert_int_equal(n_warnings, 0);
}

/* The fleet file says where they run; one that is damaged costs the places only. */
static void test_knows_where(void **state)
{
	struct mb_historian *h;
	char file[128];
	FILE *f;

	(void)state;
	scratch_path("fleet.json", file);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs("{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":64}],\"vms\":["
	      "{\"name\":\"web1\",\"memory_mb\":8,\"host\":\"h1\"},"
	      "{\"name\":\"web2\",\"memory_mb\":8,\"host\":\"h1\"}]}",
	      f);
	fclose(f);
	fleet_path = file;
	h = start(5 * MS, 0);
	wait_for_count("SELECT count(*) FROM sharing WHERE host = 'h1' AND here = 5", 2);
	mb_historian_stop(h);
	f = fopen(file, "w");
	assert_non_null(f);
	fclose(f);
	h = start(5 * MS, 0);
	wait_for_count("SELECT count(*) FROM sharing WHERE host IS NULL", 2);
	mb_historian_stop(h);
	assert_int_equal(n_warnings, 0);
}

static void test_warns_and_goes_on(void **state)
{
	uint64_t end = mb_now_ns() + 5000 * MS;
	struct mb_historian *h;
	sqlite3 *db = open_db();

	(void)state;
	assert_int_equal(sqlite3_exec(db,
				      "CREATE TRIGGER no BEFORE INSERT ON sharing BEGIN"
				      " SELECT RAISE(ABORT, 'no room'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	h = start(5 * MS, 1);
	while (!n_warnings) {
		assert_true(mb_now_ns() < end);
		usleep(2000);
	}
	mb_historian_stop(h);
	sqlite3_close(db);
}

/* A database that keeps it waiting does not keep questions waiting. */
static void test_waits_alone(void **state)
{
	const struct mb_sharing_view *view;
	sqlite3 *db = open_db();
	struct mb_historian *h;
	struct mb_err err = { 0 };

	(void)state;
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	h = start(MS, 0);
	usleep(100000);
	/* Else this waits until the historian has given up, which is a warning. */
	assert_ok(mb_sharing_lock(sharing, &view, &err), &err);
	mb_sharing_unlock(sharing);
	assert_int_equal(n_warnings, 0);
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	wait_for_count("SELECT count(*) FROM sharing", 2);
	mb_historian_stop(h);
}

static void test_stops_at_once(void **state)
{
	uint64_t start_ns = mb_now_ns();

	(void)state;
	mb_historian_stop(start(3600000 * MS, 0));
	mb_historian_stop(NULL);
	assert_true(mb_now_ns() - start_ns < 5000 * MS);
	assert_int_equal(count("SELECT count(*) FROM sharing"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keeps_and_forgets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_knows_where, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_warns_and_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waits_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stops_at_once, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("historian", tests, NULL, NULL);
}
