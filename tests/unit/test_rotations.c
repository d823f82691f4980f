// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/rotations.h"

#include "server/api.h"
#include "server/store_key.h"
#include "tests/unit/util_server.h"

/* Two VMs with key 1. */
struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store;
	char key[4][MB_KEY_ID_TEXT]; /* ids of the keys 0 to 3 */
};

static void add_vm(struct mb_fleet *f, const char *name, uint8_t key)
{
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_vm vm;

	make_fingerprint_of(100, 1, 20, &fp);
	make_vm(name, 3, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	make_identity("d", key, &vm.identity);
	assert_ok(mb_fleet_add(f, &vm, &err), &err);
}

static void scene_open(struct scene *s)
{
	static int n;
	struct mb_err err = { 0 };
	char name[32], path[128];

	*s = (struct scene){ 0 };
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(path, &s->store, &err), &err);
	add_vm(s->fleet, "a", 1);
	add_vm(s->fleet, "b", 1);
	for (uint8_t i = 0; i < 4; i++) {
		struct mb_identity id;

		make_identity("d", i, &id);
		mb_key_id_format(mb_identity_key_id(&id), s->key[i]);
	}
}

static void scene_close(struct scene *s)
{
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
}

static void begin(struct scene *s, const char *to)
{
	struct mb_err err = { 0 };
	json_t *j = NULL;

	assert_ok(mb_rotations_begin(s->fleet, s->store, "d", to, &j, &err), &err);
	assert_non_null(json_object_get(j, "rotations"));
	json_decref(j);
}

static void refused(struct scene *s, const char *domain, const char *to, int code, const char *word)
{
	struct mb_err err = { 0 };
	json_t *j = NULL;

	assert_fails(mb_rotations_begin(s->fleet, s->store, domain, to, &j, &err), code, &err,
		     word);
	assert_null(j);
}

static int count(void *ctx, const struct mb_key_rotation *r, struct mb_err *err)
{
	(void)r;
	(void)err;
	++*(int *)ctx;
	return 0;
}

static void expect_rows(struct scene *s, int n)
{
	struct mb_err err = { 0 };
	int got = 0;

	assert_ok(mb_store_key_rotations(s->store, count, &got, &err), &err);
	assert_int_equal(got, n);
}

/* The VM's epoch with another key is durable. */
static void change_key(struct scene *s, uint32_t index, uint8_t key)
{
	struct mb_vm vm;

	mb_fleet_get(s->fleet, index, &vm);
	make_identity("d", key, &vm.identity);
	mb_fleet_publish(s->fleet, index, &vm);
}

static void expect_list(struct mb_fleet *f, const char *want)
{
	json_t *list = mb_rotations_list(f), *r = json_array_get(list, 0);
	char *text;

	if (r)
		assert_true(json_integer_value(json_object_get(r, "begun_unix_ms")) > 1e12);
	json_object_del(r, "begun_unix_ms");
	text = json_dumps(list, JSON_COMPACT);
	assert_string_equal(text, want);
	free(text);
	json_decref(list);
}

static void test_refused(void **state)
{
	char longer[MB_DOMAIN_MAX + 1];
	struct scene s;

	(void)state;
	scene_open(&s);
	memset(longer, 'd', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	refused(&s, NULL, s.key[2], EINVAL, "domain is missing");
	refused(&s, "d", NULL, EINVAL, "to is missing");
	refused(&s, "d", "1234567", EINVAL, "8 hex digits");
	refused(&s, "d", "1234567x", EINVAL, "8 hex digits");
	refused(&s, "d", "123456789", EINVAL, "8 hex digits");
	refused(&s, "e", s.key[2], ENOENT, "\"e\"");
	refused(&s, longer, s.key[2], ENOENT, "so long a name");
	refused(&s, "d", s.key[1], EALREADY, "already");
	expect_rows(&s, 0);
	expect_list(s.fleet, "[]");
	expect_list(NULL, "[]");
	scene_close(&s);
}

static void test_begin_to_end(void **state)
{
	struct mb_key_rotation over;
	char want[200];
	struct scene s;

	(void)state;
	scene_open(&s);
	begin(&s, s.key[2]);
	expect_rows(&s, 1);
	snprintf(want, sizeof(want),
		 "[{\"domain\":\"d\",\"from\":\"%s\",\"to\":\"%s\",\"vms\":2,\"moved\":0}]",
		 s.key[1], s.key[2]);
	expect_list(s.fleet, want);
	refused(&s, "d", s.key[3], EALREADY, "on its way");
	change_key(&s, 0, 2);
	assert_false(mb_fleet_end_rotation(s.fleet, &over));
	snprintf(want, sizeof(want),
		 "[{\"domain\":\"d\",\"from\":\"%s\",\"to\":\"%s\",\"vms\":2,\"moved\":1}]",
		 s.key[1], s.key[2]);
	expect_list(s.fleet, want);
	change_key(&s, 1, 2);
	assert_true(mb_fleet_end_rotation(s.fleet, &over));
	assert_string_equal(over.domain, "d");
	assert_int_equal(over.n_to, 2);
	assert_false(mb_fleet_end_rotation(s.fleet, &over));
	expect_list(s.fleet, "[]");
	scene_close(&s);
}

static void test_back(void **state)
{
	char want[200];
	struct scene s;

	(void)state;
	scene_open(&s);
	/* Before any VM has gone: it is over at once. */
	begin(&s, s.key[2]);
	begin(&s, s.key[1]);
	expect_list(s.fleet, "[]");
	expect_rows(&s, 0);
	/* After one has: it has to come back. */
	begin(&s, s.key[2]);
	change_key(&s, 1, 2);
	begin(&s, s.key[1]);
	snprintf(want, sizeof(want),
		 "[{\"domain\":\"d\",\"from\":\"%s\",\"to\":\"%s\",\"vms\":2,\"moved\":1}]",
		 s.key[2], s.key[1]);
	expect_list(s.fleet, want);
	expect_rows(&s, 1);
	scene_close(&s);
}

/* A server that starts again goes on with what is under way, and forgets what is over. */
static void test_resume(void **state)
{
	struct mb_err err = { 0 };
	struct mb_fleet *next;
	struct scene s;

	(void)state;
	scene_open(&s);
	begin(&s, s.key[2]);
	for (int over = 0; over < 2; over++) {
		struct mb_key_rotation r;

		assert_ok(mb_fleet_create(&next, &err), &err);
		add_vm(next, "a", 2);
		add_vm(next, "b", over ? 2 : 1);
		assert_ok(mb_rotations_resume(next, s.store, &err), &err);
		assert_int_equal(mb_fleet_rotation(next, 0, &r), !over);
		if (!over) {
			assert_int_equal(r.n_from, 1);
			assert_int_equal(r.n_to, 1);
		}
		expect_rows(&s, !over);
		mb_fleet_destroy(next);
	}
	scene_close(&s);
}

/* A VM whose digests nobody holds (any more) keeps nothing waiting. */
static void test_silent_vm(void **state)
{
	struct mb_vm silent = { .name = "silent" };
	struct mb_key_rotation r;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s);
	make_identity("d", 3, &silent.identity);
	assert_ok(mb_fleet_add(s.fleet, &silent, &err), &err);
	begin(&s, s.key[2]);
	change_key(&s, 0, 2);
	change_key(&s, 1, 2);
	assert_true(mb_fleet_end_rotation(s.fleet, &r));
	scene_close(&s);
}

static const char *on_query(void *ctx, const char *name)
{
	struct scene *s = ctx;

	return strcmp(name, "domain") == 0 ? "d" : strcmp(name, "to") == 0 ? s->key[2] : NULL;
}

static void test_api(void **state)
{
	struct mb_api api = { 0 };
	struct mb_err err = { 0 };
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s);
	api.store = s.store;
	assert_fails(mb_api_post(&api, "/v1/rotate", on_query, &s, &j, &err), EOPNOTSUPP, &err, "");
	api.fleet = s.fleet;
	assert_fails(mb_api_get(&api, "/v1/rotate", on_query, &s, &j, &err), ENOENT, &err, "");
	expect_rows(&s, 0);
	assert_ok(mb_api_post(&api, "/v1/rotate", on_query, &s, &j, &err), &err);
	json_decref(j);
	expect_rows(&s, 1);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_begin_to_end),
		cmocka_unit_test(test_back),	  cmocka_unit_test(test_resume),
		cmocka_unit_test(test_silent_vm), cmocka_unit_test(test_api),
	};

	return cmocka_run_group_tests_name("rotations", tests, NULL, NULL);
}
