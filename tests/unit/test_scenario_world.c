// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <unistd.h>

#include "server/ctl/scenario_world.h"

#define HOSTS "\"hosts\": [{\"count\": 2, \"memory_mb\": 1000}]"

static int make(const char *text, const char *folder, struct mb_scenario *s,
		struct mb_scenario_world *w, struct mb_err *err)
{
	assert_ok(mb_scenario_parse(text, strlen(text), folder, s, err), err);
	return mb_scenario_world_init(w, s, err);
}

static void test_types_share_what_they_say(void **state)
{
	struct mb_scenario s;
	struct mb_scenario_world w;
	struct mb_err err = { 0 };
	struct mb_groups g;
	uint64_t m[36];

	(void)state;
	assert_ok(make("{" HOSTS ", \"types\": [{\"name\": \"a\", \"memory_mb\": 10, "
		       "\"share_percent\": 40, \"self_percent\": 25}, {\"name\": \"b\", "
		       "\"memory_mb\": 30, "
		       "\"share_percent\": 20, \"data_percent\": 5, \"data_sets\": 2}], "
		       "\"common_percent\": 10, \"arrivals\": {\"count\": 6}}",
		       "", &s, &w, &err),
		  &err);
	assert_int_equal(w.world.n_vms, 6);
	assert_string_equal(w.vms[3].name, "b-3");
	assert_int_equal(w.vms[3].pages, 30 * 256);
	assert_int_equal(w.vms[3].distinct, 30 * 256);
	assert_int_equal(w.vms[2].pages, 10 * 256);
	assert_int_equal(w.vms[2].distinct, 10 * 256 * 3 / 4);
	/* Data sets are drawn: here VM 1 and VM 3 get the same one, VM 5 the other. */
	w.synth[1].images[2] = w.synth[3].images[2] = 3;
	w.synth[5].images[2] = 4;
	assert_int_equal(w.data[1].first_image, 3);
	assert_int_equal(w.data[1].n_images, 2);
	assert_int_equal(w.data[0].n_images, 0);
	assert_ok(mb_synth_groups(&g, 1, w.images, w.world.n_images, w.synth, 6, &err), &err);
	mb_groups_matrix(&g, 6, m);
	assert_int_equal(m[0 * 6 + 2], 1024);	    /* 40 % of 10 MB */
	assert_int_equal(m[1 * 6 + 3], 1536);	    /* 20 % of 30 MB */
	assert_int_equal(m[1 * 6 + 5], 1536 - 384); /* other data */
	assert_int_equal(m[0 * 6 + 1], 256);	    /* 10 % of the smaller */
	mb_groups_deinit(&g);
	mb_scenario_world_deinit(&w);
	mb_scenario_deinit(&s);
}

static void test_order(void **state)
{
	static const char text[] =
		"{" HOSTS ", \"types\": [{\"name\": \"a\", \"memory_mb\": 1, \"share_percent\": "
		"0}, {\"name\": \"b\", \"memory_mb\": 1, \"share_percent\": 0}], \"arrivals\": "
		"{\"count\": 200, \"start\": 50, \"order\": \"random\"}}";
	struct mb_scenario s;
	struct mb_scenario_world w, other;
	struct mb_err err = { 0 };
	uint32_t in_turn = 0, of_b = 0, differ = 0;

	(void)state;
	assert_ok(make(text, "", &s, &w, &err), &err);
	s.rules.seed = 2;
	assert_ok(mb_scenario_world_init(&other, &s, &err), &err);
	for (uint32_t v = 0; v < 50; v++)
		assert_int_equal(w.type_of[v], v % 2);
	for (uint32_t v = 50; v < 200; v++) {
		in_turn += w.type_of[v] == v % 2;
		of_b += w.type_of[v];
		differ += w.type_of[v] != other.type_of[v];
	}
	assert_true(in_turn > 40 && in_turn < 110);
	assert_true(of_b > 40 && of_b < 110);
	assert_true(differ > 40 && differ < 110);
	mb_scenario_world_deinit(&w);
	mb_scenario_world_deinit(&other);
	mb_scenario_deinit(&s);
}

static void write_trace(const char *folder, const char *name, unsigned int first, unsigned int n)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	for (unsigned int i = 0; i < n; i++)
		fprintf(f, "%u\n", 1000003 * (first + i));
	assert_int_equal(fclose(f), 0);
}

static void test_traces_and_their_clones(void **state)
{
	char folder[] = "/tmp/mb_scenario.XXXXXX", path[200];
	struct mb_scenario s;
	struct mb_scenario_world w;
	struct mb_err err = { 0 };
	uint64_t m[9];

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_trace(folder, "a", 0, 300);
	write_trace(folder, "b", 200, 300);
	assert_ok(make("{" HOSTS ", \"types\": [{\"name\": \"a\", \"trace\": \"a\"}, {\"name\": "
		       "\"b\", \"trace\": \"b\", \"memory_mb\": 5}], \"arrivals\": {\"count\": 3}}",
		       folder, &s, &w, &err),
		  &err);
	assert_int_equal(w.vms[0].memory_mb, 2);
	assert_int_equal(w.vms[1].memory_mb, 5);
	assert_int_equal(w.vms[0].distinct, 300);
	assert_ptr_equal(w.world.groups, &w.groups);
	mb_groups_matrix(&w.groups, 3, m);
	assert_int_equal(m[0 * 3 + 1], 100);
	assert_int_equal(m[1 * 3 + 2], 100);
	assert_int_equal(m[0 * 3 + 2], 300);
	mb_scenario_world_deinit(&w);
	mb_scenario_deinit(&s);
	assert_fails(make("{" HOSTS ", \"types\": [{\"name\": \"a\", \"trace\": \"a\", "
			  "\"memory_mb\": 1}]}",
			  folder, &s, &w, &err),
		     EINVAL, &err, "type \"a\" has 1 MB, but its trace takes 2");
	mb_scenario_deinit(&s);
	assert_fails(make("{" HOSTS ", \"types\": [{\"name\": \"a\", \"trace\": \"none\"}]}",
			  folder, &s, &w, &err),
		     ENOENT, &err, "type \"a\": ");
	mb_scenario_deinit(&s);
	for (const char *name = "ab"; *name; name++) {
		snprintf(path, sizeof(path), "%s/%c", folder, *name);
		unlink(path);
	}
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types_share_what_they_say),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_traces_and_their_clones),
	};

	return cmocka_run_group_tests_name("scenario_world", tests, NULL, NULL);
}
