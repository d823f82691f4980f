// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/live_fleet.h"

#include "tests/unit/util_server.h"

static void parse(const char *text, struct mb_fleet_file *ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_fleet_file_parse(text, strlen(text), "", ret, &err), &err);
}

/* What three agents said; the view borrows it. */
static struct mb_vm vms[3];

static void make_view(struct mb_sharing_view *ret)
{
	*ret = (struct mb_sharing_view){ .fleet = { .vms = vms, .n = 3 } };
	memset(vms, 0, sizeof(vms));
	for (int i = 0; i < 3; i++) {
		snprintf(vms[i].name, sizeof(vms[i].name), "v%d", i);
		vms[i].identity.page_bytes = MB_PAGE_BYTES;
		vms[i].memory_bytes = 512 << 20;
		vms[i].sharing = (struct mb_self_sharing){ .pages = 1000, .distinct = 900 };
	}
	strcpy(vms[0].host, "h1");
	strcpy(vms[1].host, "elsewhere");
}

static void test_the_file_wins(void **state)
{
	struct mb_sharing_view view;
	struct mb_fleet_file file;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	parse("{\"hosts\":[{\"name\":\"h0\",\"memory_mb\":4096},{\"name\":\"h1\",\"memory_mb\":"
	      "8192}],"
	      "\"vms\":[{\"name\":\"planned\",\"memory_mb\":77},"
	      "{\"name\":\"v0\",\"memory_mb\":1024,\"host\":\"h0\"},"
	      "{\"name\":\"v1\",\"memory_mb\":2048}]}",
	      &file);
	assert_ok(mb_live_fleet_init(&f, &view, &file, &err), &err);
	assert_int_equal(f.n_file_hosts, 2);
	assert_int_equal(f.view.n_hosts, 3);
	assert_string_equal(f.hosts[0].name, "h0");
	assert_int_equal(f.hosts[1].memory_mb, 8192);
	/* An agent named it, the file does not. */
	assert_string_equal(f.hosts[2].name, "elsewhere");
	assert_int_equal(f.hosts[2].memory_mb, 0);

	assert_int_equal(f.view.n_vms, 4);
	assert_int_equal(f.vms[0].memory_mb, 1024);
	assert_int_equal(f.vms[0].host, 0);
	assert_int_equal(f.vms[0].pages, 1000);
	assert_int_equal(f.vms[0].distinct, 900);
	/* The file gives a size, but no host: the agent's word counts. */
	assert_int_equal(f.vms[1].memory_mb, 2048);
	assert_int_equal(f.vms[1].host, 2);
	assert_int_equal(f.vms[2].memory_mb, 512);
	assert_int_equal(f.vms[2].host, MB_NOWHERE);
	/* Only the file knows it: it takes its place and shares nothing. */
	assert_string_equal(f.vms[3].name, "planned");
	assert_int_equal(f.vms[3].memory_mb, 77);
	assert_int_equal(f.vms[3].pages, 0);
	assert_int_equal(f.vms[3].host, MB_NOWHERE);
	mb_live_fleet_deinit(&f);
	mb_live_fleet_deinit(&f);
	mb_fleet_file_deinit(&file);
}

static void test_sizes(void **state)
{
	const struct mb_fleet_file none = { 0 };
	struct mb_sharing_view view;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	vms[0].memory_bytes = (512 << 20) + 1; /* rounded up: it must fit */
	vms[1].memory_bytes = 0;	       /* not known: what is in use */
	vms[1].sharing.pages = 300;
	vms[2].memory_bytes = INT64_MAX; /* the most that an agent may say */
	assert_ok(mb_live_fleet_init(&f, &view, &none, &err), &err);
	assert_int_equal(f.vms[0].memory_mb, 513);
	assert_int_equal(f.vms[1].memory_mb, 2);
	assert_int_equal(f.vms[2].memory_mb, 1ull << 43);
	mb_live_fleet_deinit(&f);
	vms[1].sharing.pages = 0;
	assert_ok(mb_live_fleet_init(&f, &view, &none, &err), &err);
	assert_int_equal(f.vms[1].memory_mb, 1);
	mb_live_fleet_deinit(&f);
}

static void test_nothing(void **state)
{
	const struct mb_sharing_view view = { 0 };
	const struct mb_fleet_file none = { 0 };
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_live_fleet_init(&f, &view, &none, &err), &err);
	assert_int_equal(f.view.n_vms, 0);
	assert_int_equal(f.view.n_hosts, 0);
	assert_ptr_equal(f.view.groups, &view.groups);
	mb_live_fleet_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_file_wins),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests_name("live_fleet", tests, NULL, NULL);
}
