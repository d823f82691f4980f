// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/metrics_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "tests/unit/util_server.h"

static const struct mb_pace pace = { .interval_ns = 60000000000, .wait_ns = 90000000000 };
static char path[128];
static struct mb_buf text;

static int set_up(void **state)
{
	(void)state;
	scratch_path("agent.prom", path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_buf_deinit(&text);
	text = (struct mb_buf){ 0 };
	unlink(path);
	return 0;
}

static const char *written(const struct mb_metrics_file *f)
{
	struct mb_err err = { 0 };
	char new[140];

	assert_ok(mb_metrics_file_write(f, &pace, &err), &err);
	snprintf(new, sizeof(new), "%s.new", path);
	assert_int_equal(access(new, F_OK), -1);
	mb_buf_clear(&text);
	assert_ok(mb_file_read(path, 1 << 20, &text, &err), &err);
	return (const char *)text.data;
}

static void expect(const char *in, const char *line)
{
	if (!strstr(in, line))
		fail_msg("no \"%s\" in\n%s", line, in);
}

static void test_counts(void **state)
{
	struct mb_metrics_file f = { .path = path, .vm = "web\"1", .tracker = "bpf" };
	struct mb_epoch e = { .info = { .full = true,
					.pages_read = 100,
					.pages_changed = 100,
					.duration_ns = 500000000,
					.taken_unix_ns = 5000000000 } };
	const char *t = written(&f);

	(void)state;
	/* What has not been measured yet is not there. */
	assert_null(strstr(t, "memory_buddies_agent_pages"));
	assert_null(strstr(t, "acked_timestamp"));
	e.fingerprint.n_pages = 100;
	e.fingerprint.n_distinct = 80;
	mb_metrics_file_epoch(&f, &e);
	e.info = (struct mb_pass_info){ .pages_read = 7, .pages_changed = 3, .pages_unread = 2 };
	e.info.audit = (struct mb_audit){ .audits = 1, .follows = 1 << MB_CLASS_ANON };
	e.info.audit.changed[MB_CLASS_ANON] = 5;
	e.info.audit.stale[MB_CLASS_ANON] = 1;
	e.info.audit.changed[MB_CLASS_SLAB] = 4;
	mb_metrics_file_epoch(&f, &e);
	mb_metrics_file_epoch(&f, &e);
	mb_metrics_file_acked(&f, 1, 1000, 2000000000);
	mb_metrics_file_acked(&f, 3, 50, 9500000000);
	t = written(&f);
	expect(t, "{version=\"");
	expect(t, ",vm=\"web\\\"1\",tracker=\"bpf\"} 1\n");
	expect(t, "\nmemory_buddies_agent_epochs_total 3\n");
	expect(t, "\nmemory_buddies_agent_full_walks_total 1\n");
	expect(t, "\nmemory_buddies_agent_read_pages_total 114\n");
	expect(t, "\nmemory_buddies_agent_changed_pages_total 106\n");
	expect(t, "\nmemory_buddies_agent_pages 100\n");
	expect(t, "\nmemory_buddies_agent_distinct_pages 80\n");
	expect(t, "\nmemory_buddies_agent_unread_pages 2\n");
	expect(t, "\nmemory_buddies_agent_audits_total 2\n");
	expect(t, "_audit_changed_pages_total{class=\"anon\",followed=\"1\"} 10\n");
	expect(t, "_audit_stale_pages_total{class=\"anon\",followed=\"1\"} 2\n");
	expect(t, "_audit_changed_pages_total{class=\"slab\",followed=\"0\"} 8\n");
	expect(t, "\nmemory_buddies_agent_sent_bytes_total 1050\n");
	expect(t, "\nmemory_buddies_agent_acked_timestamp_seconds 9.5\n");
	expect(t, "\nmemory_buddies_agent_interval_seconds 60\n");
	expect(t, "\nmemory_buddies_agent_wait_seconds 90\n");
}

/* The collector runs as another user. */
static void test_others_may_read(void **state)
{
	struct mb_metrics_file f = { .path = path, .vm = "v", .tracker = "none" };
	struct stat st;

	(void)state;
	written(&f);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static void test_where_it_cannot_be(void **state)
{
	struct mb_metrics_file f = { .path = "/nowhere/x.prom", .vm = "v", .tracker = "none" };
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_metrics_file_write(&f, &pace, &err), ENOENT, &err, "/nowhere/x.prom");
	f.path = NULL;
	assert_ok(mb_metrics_file_write(&f, &pace, &err), &err);
	/* A link there leads nowhere. */
	f.path = path;
	{
		char new[140];

		snprintf(new, sizeof(new), "%s.new", path);
		assert_int_equal(symlink("/dev/null", new), 0);
		assert_fails(mb_metrics_file_write(&f, &pace, &err), ELOOP, &err, path);
		unlink(new);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others_may_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_where_it_cannot_be, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("metrics_file", tests, NULL, NULL);
}
