// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/ksm_gap.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_server.h"

static const char share_text[] =
	"{\"hosts\":[{\"name\":\"h1\",\"pages\":90000,\"saving_pages\":10000},"
	"{\"name\":\"h2\",\"pages\":5,\"saving_pages\":0,\"error_pages\":3}]}";

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	return j;
}

static int compare(const char *host, const char *file, struct mb_findings *f, struct mb_err *err)
{
	json_t *share = parse(share_text), *theirs = parse(file);
	int r = mb_ctl_ksm_compare(share, host, theirs, 1000000, f, err);

	json_decref(share);
	json_decref(theirs);
	return r;
}

#define FILE_OF(sharing, zero, more)                                                               \
	"{\"at_unix_ms\":990000,\"ksm\":{\"pages_sharing\":" sharing ",\"ksm_zero_pages\":" zero   \
	"}," more "}"
#define NO_FINDINGS "\"findings\":[]"
#define FINDINGS                                                                                   \
	"\"predicted\":{},\"findings\":[{\"id\":\"ksm-off\",\"severity\":\"problem\","             \
	"\"lost_pages\":6000,\"at_most\":false},"                                                  \
	"{\"id\":\"ksm-volatile\",\"severity\":\"note\",\"lost_pages\":9000,\"at_most\":true},"    \
	"{\"id\":\"huge-pages\",\"severity\":\"note\",\"of\":\"pid 5 (qemu)\",\"lost_pages\":50}," \
	"{\"id\":\"thp\",\"severity\":\"ok\"}]"

static const struct mb_finding *find(const struct mb_findings *f, const char *id)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->list[i].id, id) == 0)
			return &f->list[i];
	return NULL;
}

static void test_gap(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	struct mb_err err = { 0 };
	const struct mb_finding *gap;

	(void)state;
	assert_ok(compare("h1", FILE_OF("3000", "100", FINDINGS), &f, &err), &err);
	gap = find(&f, "ksm-gap");
	assert_int_equal(gap->severity, MB_SEVERITY_PROBLEM);
	assert_string_equal(gap->of, "h1");
	assert_int_equal(gap->lost_pages, 6900);
	/* 6050 pages: what is at most so much explains nothing for sure. */
	assert_non_null(strstr(gap->text, "explain 23.6 MB of the gap of 27.0 MB"));
	assert_string_equal(find(&f, "ksm-off")->of, "h1");
	assert_string_equal(find(&f, "huge-pages")->of, "h1: pid 5 (qemu)");
	assert_non_null(find(&f, "ksm-volatile"));
	/* What is well there is not of interest here. */
	assert_null(find(&f, "thp"));
}

static void test_no_gap(void **state)
{
	static const char *const files[] = {
		FILE_OF("9500", "null", NO_FINDINGS), /* what comes and goes */
		FILE_OF("12000", "0", NO_FINDINGS),   /* more than agents see */
	};
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(files); i++) {
		mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };

		assert_ok(compare("h1", files[i], &f, &err), &err);
		assert_int_equal(find(&f, "ksm-gap")->severity, MB_SEVERITY_OK);
		assert_int_equal(f.n, 1);
	}
}

static void test_unread(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	/* No KSM at all, no memory read, and long ago. */
	assert_ok(compare("h1", "{\"at_unix_ms\":1,\"ksm\":null,\"findings\":[]}", &f, &err), &err);
	assert_int_equal(find(&f, "ksm-gap")->lost_pages, 10000);
	assert_non_null(strstr(find(&f, "ksm-gap")->fix, "--source process:PID"));
	assert_string_equal(find(&f, "ksm-gap")->seen[2].value, "16 min");
}

static void test_refused(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	struct mb_err err = { 0 };
	char path[128];
	json_t *j = NULL;
	FILE *file;

	(void)state;
	assert_fails(compare("h9", FILE_OF("1", "1", NO_FINDINGS), &f, &err), ENOENT, &err,
		     "\"h9\"");
	assert_fails(compare("h1", FILE_OF("1", "1", "\"findings\":[3]"), &f, &err), EBADMSG, &err,
		     "finding 0");
	scratch_path("doctor.json", path);
	assert_fails(mb_ctl_ksm_read(path, &j, &err), ENOENT, &err, "doctor.json");
	for (int i = 0; i < 3; i++) {
		static const char *const texts[] = { "{", "{\"doctor\":\"mbserver\"}", "[]" };

		file = fopen(path, "w");
		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
		assert_fails(mb_ctl_ksm_read(path, &j, &err), EBADMSG, &err,
			     i ? "not what `mbagent doctor --json` writes" : "line 1");
		assert_null(j);
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("{\"doctor\":\"mbagent\",\"findings\":[]}", file);
	fclose(file);
	assert_ok(mb_ctl_ksm_read(path, &j, &err), &err);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_no_gap),
		cmocka_unit_test(test_unread),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
