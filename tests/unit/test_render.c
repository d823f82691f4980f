// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <time.h>

#include "server/ctl/render.h"

static json_t *parse(const char *text)
{
	json_error_t e;
	json_t *j = json_loads(text, 0, &e);

	if (!j)
		fail_msg("%d:%d: %s", e.line, e.column, e.text);
	return j;
}

/* Takes `root`; the text is the caller's. */
static char *render(mb_render_fn fn, json_t *root)
{
	struct mb_err err = { 0 };
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_ok(fn(root, to, &err), &err);
	fclose(to);
	json_decref(root);
	return text;
}

static void assert_renders(mb_render_fn fn, const char *json, const char *want)
{
	char *text = render(fn, parse(json));

	assert_string_equal(text, want);
	free(text);
}

static void test_plan(void **state)
{
	(void)state;
	assert_renders(
		mb_render_plan,
		"{\"planner\":\"seed\",\"strict\":true,\"note\":\"a flaw\",\"hosts\":["
		"{\"name\":\"h0\",\"memory_mb\":3072,\"before_mb\":15,\"after_mb\":7,"
		"\"vms_before\":[\"a\",\"b\"],\"vms_after\":[]},"
		"{\"name\":\"host1\",\"memory_mb\":64,\"before_mb\":0,\"after_mb\":3,"
		"\"vms_before\":[],\"vms_after\":[\"b\"]}],"
		"\"before_mb\":15,\"after_mb\":10,\"saved_mb\":5,\"placement\":{},"
		"\"saving\":{\"before_pages\":256,\"after_pages\":128,\"gain_pages\":-128},"
		"\"moves\":[{\"vm\":\"b\",\"from\":\"h0\",\"to\":\"host1\",\"memory_mb\":40,"
		"\"feasible\":true,\"detour\":true},{\"vm\":\"c\",\"from\":null,\"to\":\"h0\","
		"\"memory_mb\":4000,\"feasible\":false,\"detour\":false}],"
		"\"vms_on_unknown_hosts\":2}",
		"Plan by planner seed, strict (nothing has been moved)\n\n"
		"                 before   MB  after   MB  saved    MB\n"
		"memory used, MB           15          10            5\n"
		"saving, pages       256  1.0    128  0.5   -128  -0.5\n"
		"\nNote: a flaw\n"
		"\nNote: 2 VMs run on hosts that the server's fleet file does not name; "
		"the plan takes them as running nowhere.\n"
		"\nhost   memory MB  before MB  after MB  VMs before  VMs after\n"
		"h0          3072         15         7  a, b        -\n"
		"host1         64          0         3  -           b\n"
		"\nMoves, in this order:\n"
		"move  VM  from  to     full MB\n"
		"   1  b   h0    host1       40  detour, to make room\n"
		"   2  c   -     h0        4000  no room for its full size\n"
		"1 of 2 moves are not feasible.\n");
}

static const char two_vms[] =
	"{\"identities\":[{\"domain\":\"d\",\"algorithm\":\"xxh64\",\"bits\":64,"
	"\"page_bytes\":4096,\"vms\":["
	"{\"name\":\"a\",\"host\":\"h\",\"pages\":512,\"distinct\":256,\"zero\":200,"
	"\"self\":256,\"self_nonzero\":57,\"inter\":30},"
	"{\"name\":\"bb\",\"host\":null,\"pages\":512,\"distinct\":512,\"zero\":0,\"self\":0,"
	"\"self_nonzero\":0,\"inter\":30}],\"inter\":[[0,30],[30,0]]}],"
	"\"hosts\":[{\"name\":\"h\",\"vms\":[\"a\"],\"pages\":512,\"distinct_union\":256,"
	"\"saving_pages\":256,\"inter_saving_pages\":0}]}";

static void test_share(void **state)
{
	(void)state;
	assert_renders(
		mb_render_share, two_vms,
		"Trust domain d: xxh64, 64 bits, pages of 4096 bytes\n"
		"VM  host  pages   MB  distinct   MB  zero   MB  self   MB  self w/o zero   MB  "
		"inter   MB\n"
		"a   h       512  2.0       256  1.0   200  0.7   256  1.0             57  0.2     "
		"30  0.1\n"
		"bb  -       512  2.0       512  2.0     0  0.0     0  0.0              0  0.0     "
		"30  0.1\n"
		"\nInter-VM sharing of each two, pages:\n"
		"        1   2\n"
		"1  a    .  30\n"
		"2  bb  30   .\n"
		"\nHosts, as the VMs are placed now:\n"
		"host  pages   MB  distinct   MB  saving   MB  of it inter   MB  VMs\n"
		"h       512  2.0       256  1.0     256  1.0            0  0.0  a\n");
	assert_renders(mb_render_share, "{\"identities\":[],\"hosts\":[]}",
		       "No VM has sent a fingerprint yet.\n");
}

static void test_many_vms_give_pairs(void **state)
{
	json_t *root = parse(two_vms);
	json_t *identity = json_array_get(json_object_get(root, "identities"), 0);
	json_t *vms = json_object_get(identity, "vms"), *rows = json_array();
	char *text, name[16];

	(void)state;
	for (int i = 2; i <= MB_RENDER_MATRIX_MAX; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		json_array_append_new(vms, json_pack("{s:s}", "name", name));
	}
	for (int i = 0; i <= MB_RENDER_MATRIX_MAX; i++) {
		json_t *row = json_array();

		for (int j = 0; j <= MB_RENDER_MATRIX_MAX; j++)
			json_array_append_new(row, json_integer(i == j ? 0 : i + j));
		json_array_append_new(rows, row);
	}
	json_object_set_new(identity, "inter", rows);
	text = render(mb_render_share, root);
	assert_non_null(strstr(text, "the 20 strongest pairs of 21 VMs (--json has all):\n"
				     "VM   VM   inter   MB\n"
				     "v19  v20     39  0.1\n"));
	free(text);
}

static void test_status(void **state)
{
	char *text;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	text = render(
		mb_render_status,
		parse("{\"server\":{\"version\":\"v1\",\"uptime_s\":93784,\"db\":\"x.db\","
		      "\"generation\":7},\"hosts\":[{\"name\":\"h\",\"memory_mb\":null,"
		      "\"vms\":[\"a\"]}],\"vms\":[{\"name\":\"a\",\"host\":\"h\",\"online\":false,"
		      "\"domain\":\"d\",\"algorithm\":\"xxh64\",\"bits\":48,\"epoch\":12,"
		      "\"memory_mb\":64,\"pages\":512,\"distinct\":256,\"zero\":1,\"self\":256,"
		      "\"self_nonzero\":256,\"taken_unix_ms\":1700000000999,\"acked_unix_ms\":1,"
		      "\"source\":\"kmod\",\"tracker\":\"bpf\",\"last_wire_bytes\":99}]}"));
	assert_non_null(strstr(text, "mbserver v1, up 1d 02h 03m 04s, store x.db, generation 7\n"));
	assert_non_null(strstr(text, "\nh             -  a\n"));
	assert_non_null(
		strstr(text, "\na   h            64    512  2.0       256  1.0     1  0.0"));
	assert_non_null(strstr(text,
			       "\na   no         12  2023-11-14 22:13:20               99  d       "
			       "xxh64    48  bpf      kmod\n"));
	free(text);
	text = render(mb_render_status, parse("{\"hosts\":[],\"vms\":[]}"));
	assert_non_null(strstr(text, "No VM is known yet."));
	free(text);
}

static void test_history(void **state)
{
#define ROW(more)                                                                                  \
	"{\"at_unix_ms\":1700000000000,\"epoch\":3,\"pages\":1000,\"distinct\":900,\"zero\":10,"   \
	"\"self\":100,\"self_nonzero\":91,\"inter\":null,\"changed\":125,\"added\":130,"           \
	"\"removed\":120,\"wire_bytes\":754,\"duration_ms\":12.34,\"cpu_ms\":5.0,\"full\":false,"  \
	"\"tracker\":\"bpf\"," more "}"
	char *text;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	text = render(mb_render_history,
		      parse("{\"vm\":\"a\",\"rows\":[" ROW("\"unread\":0,\"epochs\":1") "]}"));
	assert_non_null(strstr(text, "History of VM a (sharing and churn in pages)\n"));
	assert_non_null(strstr(text, "2023-11-14 22:13:20      3   1000       900    10   100"));
	assert_non_null(strstr(text, "12.5 %  incremental  bpf\n"));
	assert_null(strstr(text, "unread"));
	free(text);
	text = render(mb_render_history,
		      parse("{\"vm\":\"a\",\"rows\":[" ROW("\"unread\":4,\"epochs\":7") "]}"));
	assert_non_null(strstr(text, "unread  epochs in one\n"));
	free(text);
	assert_renders(mb_render_history, "{\"vm\":\"a\",\"rows\":[]}",
		       "History of VM a: no epoch yet\n");
}

static void test_analyze(void **state)
{
	(void)state;
	assert_renders(
		mb_render_analyze,
		"{\"files\":[{\"file\":\"t/x/a\",\"page_bytes\":4096,\"pages\":256,\"distinct\":2,"
		"\"zero\":1,\"self\":254,\"self_nonzero\":254},{\"file\":\"t/y#4\",\"epoch\":4,"
		"\"pages\":1,\"distinct\":1,\"zero\":0,\"self\":0,\"self_nonzero\":0}],"
		"\"pairs\":[{\"a\":\"t/x/a\",\"b\":\"t/y#4\",\"inter\":null,\"overlap\":null,"
		"\"saving\":null,\"why\":\"hash a, but b there\"}],"
		"\"deltas\":[{\"from\":\"t/x/a\",\"to\":\"t/y#4\",\"bits\":64,\"added\":1,"
		"\"removed\":256,\"added_distinct\":1,\"removed_distinct\":2,\"wire_bytes\":40,"
		"\"bytes_per_added\":40.0}]}",
		"Traces below t/\n"
		"trace  pages   MB  distinct   MB  zero   MB  self   MB  self w/o zero   MB\n"
		"x/a      256  1.0         2  0.0     1  0.0   254  0.9            254  0.9\n"
		"y#4        1  0.0         1  0.0     0  0.0     0  0.0              0  0.0\n"
		"\nEach two traces:\n"
		"trace  trace  inter  MB  overlap  MB  saving  MB\n"
		"x/a    y#4        -   -        -   -       -   -  hash a, but b there\n"
		"\nDeltas from each trace to the next, in pages, as one frame on the wire:\n"
		"from  to   bits  added  removed  distinct added  distinct removed  wire bytes  "
		"bytes per added\n"
		"x/a   y#4    64      1      256               1                 2          40"
		"            40.00\n");
}

/* What a server of another version might answer must not bring us down. */
static void test_strange_answers(void **state)
{
	static const mb_render_fn all[] = { mb_render_analyze, mb_render_plan, mb_render_status,
					    mb_render_share, mb_render_history };
	static const char *const answers[] = {
		"{}",
		"{\"hosts\":3,\"vms\":3,\"files\":3,\"pairs\":{},\"rows\":\"\",\"identities\":"
		"null}",
		"{\"hosts\":[],\"vms\":[1],\"files\":[null],\"pairs\":[[]],\"rows\":[\"\"],"
		"\"identities\":[4],\"moves\":[[]]}",
		"{\"hosts\":[{\"name\":4,\"vms\":[5],\"vms_before\":7,\"vms_after\":[[]]},8],"
		"\"vms\":[{\"name\":{}}],\"files\":[{\"file\":null}],\"pairs\":[{\"a\":3}],"
		"\"rows\":[{\"pages\":-3,\"changed\":1}],\"moves\":[{\"vm\":[]}],\"deltas\":[2],"
		"\"identities\":[{\"vms\":[1,2,3],\"inter\":[[1],2,{}]}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		for (size_t k = 0; k < sizeof(answers) / sizeof(*answers); k++) {
			struct mb_err err = { 0 };
			json_t *root = parse(answers[k]);
			char *text = NULL;
			size_t n;
			FILE *to = open_memstream(&text, &n);
			int r = all[i](root, to, &err);

			assert_true(r == 0 || (r == -EBADMSG && strstr(err.text, "has no list")));
			assert_true(r < 0 || k >= 2);
			fclose(to);
			free(text);
			json_decref(root);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_many_vms_give_pairs),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_analyze),
		cmocka_unit_test(test_strange_answers),
	};

	return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
