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

static const char plan[] =
	"{\"planner\":\"seed\",\"strict\":true,\"note\":\"a flaw\",\"hosts\":["
	"{\"name\":\"h0\",\"memory_mb\":3072,\"before_mb\":15,\"after_mb\":7,"
	"\"full_before_mb\":140,\"full_after_mb\":4100,"
	"\"vms_before\":[\"a\",\"b\"],\"vms_after\":[\"a\",\"c\"]},"
	"{\"name\":\"host1\",\"memory_mb\":64,\"before_mb\":0,\"after_mb\":3,"
	"\"full_before_mb\":0,\"full_after_mb\":40,"
	"\"vms_before\":[],\"vms_after\":[\"b\"]}],"
	"\"before_mb\":15,\"after_mb\":10,\"saved_mb\":5,\"placement\":{},"
	"\"saving\":{\"before_pages\":512,\"after_pages\":768,\"gain_pages\":256,"
	"\"inter_before_pages\":256,\"inter_after_pages\":512},"
	"\"moves\":[{\"vm\":\"b\",\"from\":\"h0\",\"to\":\"host1\",\"memory_mb\":40,"
	"\"feasible\":true,\"detour\":true,\"gain_pages\":-128,\"start_s\":3725,"
	"\"reason\":\"steps aside\"},{\"vm\":\"c\",\"from\":null,\"to\":\"h0\","
	"\"memory_mb\":4000,\"feasible\":false,\"detour\":false,\"gain_pages\":512,"
	"\"reason\":\"cannot be made\"}],"
	"\"copy_mb\":41,\"time_s\":7,\"vms_on_unknown_hosts\":2}";

static void test_plan(void **state)
{
	(void)state;
	assert_renders(mb_render_plan, plan,
		       "Plan by planner seed, strict (nothing has been moved)\n\n"
		       "memory used: 15 MB -> 10 MB, 5 MB saved\n"
		       "inter-VM sharing: 1.0 MB -> 2.0 MB\n"
		       "to copy: 41 MB, about 7 s\n"
		       "\nNote: a flaw\n"
		       "\nNote: 2 VMs run on hosts that the server's fleet file does not name; "
		       "the plan takes them as running nowhere.\n"
		       "\nhost   memory MB  before MB  after MB  full MB  VMs before  VMs after\n"
		       "h0          3072         15         7     4100  a, b        a, c\n"
		       "host1         64          0         3       40  -           b\n"
		       "full: the VMs after at full, unshared size, for which a host needs room\n"
		       "\nMoves, in this order:\n"
		       "move  VM  from  to     full MB  gain MB\n"
		       "   1  b   h0    host1       40     -0.5  detour, to make room\n"
		       "   2  c   -     h0        4000      2.0  no room, or a rule forbids it\n"
		       "1 of 2 moves are not feasible.\n");
}

static void test_explain(void **state)
{
	(void)state;
	assert_renders(mb_render_explain, plan,
		       "Plan by planner seed, move by move (nothing has been moved)\n\n"
		       "Note: a flaw\n\n"
		       "1. b: h0 -> host1, at 1:02:05\n   It steps aside.\n\n"
		       "2. c: first placement on h0\n   It cannot be made.\n\n"
		       "In all: 41 MB to copy, about 7 s\n");
	assert_renders(mb_render_explain, "{\"planner\":\"best\",\"note\":\"\",\"moves\":[]}",
		       "Plan by planner best, move by move (nothing has been moved)\n\n"
		       "No moves: every VM stays where it is.\n");
}

/* What was asked for stands first. */
static void test_plans_of_other_questions(void **state)
{
#define ASKED(more)                                                                                \
	"{\"planner\":\"best\",\"before_mb\":7,\"after_mb\":7,\"hosts\":[],\"moves\":[]," more "}"
	static const struct {
		const char *json, *words;
	} cases[] = {
		{ ASKED("\"drained\":\"h1\""), "moved)\n\nHost h1 is drained\nmemory used" },
		{ ASKED("\"emptied\":[\"h1\",\"h2\"]"),
		  "\n\nHosts that can be switched off: h1, h2\nmemory used" },
		{ ASKED("\"emptied\":[]"), "\n\nNo host can be emptied\nmemory used" },
		{ ASKED("\"hotspots\":[]"), "\n\nNo host is a hotspot\nmemory used" },
		{ ASKED("\"hotspots\":[{\"host\":\"h1\",\"reason\":\"it swaps\",\"woken\":\"p\","
			"\"relieved\":true},{\"host\":\"h2\",\"reason\":\"full\",\"woken\":null,"
			"\"relieved\":false}]"),
		  "\n\nHotspot h1: it swaps; relieved by switching on p\n"
		  "Hotspot h2: full; not relieved\nmemory used" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = render(mb_render_plan, parse(cases[i].json));

		if (!strstr(text, cases[i].words))
			fail_msg("no \"%s\" in \"%s\"", cases[i].words, text);
		free(text);
	}
}

static void test_place(void **state)
{
#define RANK(name, fits, wakes, reason)                                                            \
	"{\"name\":\"" name "\",\"fits\":" fits ",\"wakes\":" wakes ",\"gain_pages\":384,"         \
	"\"used_after_mb\":9,\"memory_mb\":64,\"reason\":\"" reason "\"}"
	char *text;

	(void)state;
	assert_renders(mb_render_place,
		       "{\"planner\":\"best\",\"vm\":\"a\",\"host\":\"h9\",\"memory_mb\":5,"
		       "\"hosts\":[" RANK("h1", "true", "false", "good") "," RANK(
			       "h2", "true", "true", "fine") "," RANK("h3", "false", "false",
								      "no room") "]}",
		       "Hosts for VM a of 5 MB by planner best, the best first (it runs on h9)\n\n"
		       "   host  shared MB  used after MB  memory MB  why\n"
		       "1  h1          1.5              9         64  good\n"
		       "2  h2          1.5              9         64  would be switched on; fine\n"
		       "-  h3          1.5              9         64  cannot: no room\n"
		       "shared: of the VM's distinct pages, those that are there already\n");
	text = render(mb_render_place, parse("{\"vm\":\"a\",\"host\":null,\"hosts\":[" RANK(
					       "h3", "false", "false", "no room") "]}"));
	assert_non_null(strstr(text, "best first\n\n"));
	assert_non_null(strstr(text, "\nVM a cannot be placed on any host.\n"));
	free(text);
}

static void test_whatif(void **state)
{
#define SIDE(vms, fits, pages)                                                                     \
	"{\"vms\":[" vms "],\"fits\":" fits ",\"reason\":\"no room\",\"full_mb\":7,"               \
	"\"pages\":9,\"zero_pages\":256,\"self_pages\":512,\"inter_pages\":" pages                 \
	",\"distinct_pages\":1024}"
	(void)state;
	assert_renders(mb_render_whatif,
		       "{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":64,\"before\":" SIDE(
			       "\"a\"", "true", "0") ",\"after\":" SIDE("\"a\",\"b\"", "false",
									"384") "}]}",
		       "What if (nothing has been moved)\n\n"
		       "inter-VM sharing: 0.0 MB -> 1.5 MB\n"
		       "memory used: 4.0 MB -> 4.0 MB\n\n"
		       "host          full MB  zero MB  self MB  inter MB  distinct MB  VMs\n"
		       "h1    before        7      1.0      2.0       0.0          4.0  a\n"
		       "h1    after         7      1.0      2.0       1.5          4.0  a, b\n"
		       "zero, self: saved on any host; inter: because these VMs share this one; "
		       "distinct: what is used\n"
		       "\nNot allowed on h1: no room\n");
}

/* More memory than before, no moves, and an older server that does not tell of inter-VM sharing. */
static void test_plan_of_an_older_server(void **state)
{
	char *text;

	(void)state;
	text = render(
		mb_render_plan,
		parse("{\"planner\":\"best\",\"before_mb\":7,\"after_mb\":9,\"saved_mb\":-2,"
		      "\"hosts\":[{\"name\":\"h\",\"vms_before\":[\"a\"],\"vms_after\":[\"a\"]}],"
		      "\"saving\":{\"before_pages\":1024,\"after_pages\":640},\"moves\":[]}"));
	assert_non_null(strstr(text, "memory used: 7 MB -> 9 MB, 2 MB more\n"
				     "inter-VM sharing: -\n"));
	assert_non_null(strstr(text, "\nNo moves: every VM stays where it is.\n"));
	free(text);
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

#define NO_VMS                                                                                     \
	"VM  host  pages  MB  zero MB  self MB  inter any MB  distinct MB\n"                       \
	"zero: copies of the zero page; self: further copies of other pages than the zero page\n"  \
	"inter any: distinct pages that at least one other VM has, too\n\n"

static void test_share(void **state)
{
	(void)state;
	assert_renders(
		mb_render_share, two_vms,
		"Trust domain d: xxh64, 64 bits, pages of 4096 bytes\n"
		"VM  host  pages   MB  zero MB  self MB  inter any MB  distinct MB\n"
		"a   h       512  2.0      0.8      0.2           0.1          1.0\n"
		"bb  -       512  2.0      0.0      0.0           0.1          2.0\n"
		"zero: copies of the zero page; self: further copies of other pages than the zero "
		"page\n"
		"inter any: distinct pages that at least one other VM has, too\n"
		"\nInter-VM sharing of each two, MB:\n"
		"      a   bb\n"
		"a     .  0.1\n"
		"bb  0.1    .\n"
		"\nHosts, as the VMs are placed now:\n"
		"host  pages   MB  saving MB  of it inter MB  distinct MB  VMs\n"
		"h       512  2.0        1.0             0.0          1.0  a\n"
		"saving: zero, self and inter of its VMs; of it inter: because they share this "
		"host\n");
	assert_renders(mb_render_share, "{\"identities\":[],\"hosts\":[]}",
		       "No VM has sent a fingerprint yet.\n");
	/* A domain on its way to another key: which set has which. */
	assert_renders(
		mb_render_share,
		"{\"identities\":["
		"{\"domain\":\"d\",\"key\":\"0000beef\",\"algorithm\":\"xxh64\",\"bits\":64,"
		"\"vms\":[],\"inter\":[]},"
		"{\"domain\":\"d\",\"key\":\"deadbeef\",\"algorithm\":\"xxh64\",\"bits\":64,"
		"\"vms\":[],\"inter\":[]},"
		"{\"domain\":\"e\",\"key\":\"deadbeef\",\"algorithm\":\"xxh64\",\"bits\":64,"
		"\"vms\":[],\"inter\":[]}],\"hosts\":[],\"rotations\":["
		"{\"domain\":\"d\",\"from\":\"0000beef\",\"to\":\"deadbeef\",\"vms\":40,"
		"\"moved\":12}]}",
		"Trust domain d: rotation from key 0000beef to key deadbeef under way: 12 of "
		"40 VMs have the new key\n"
		"VMs of differing keys are not compared.\n\n"
		"Trust domain d: xxh64, 64 bits, old key 0000beef, pages of 4096 bytes\n" NO_VMS
		"Trust domain d: xxh64, 64 bits, new key deadbeef, pages of 4096 bytes\n" NO_VMS
		"Trust domain e: xxh64, 64 bits, pages of 4096 bytes\n" NO_VMS);
}

/* n VMs called prefix0 to prefix<n - 1>; two of them share 40 pages times the sum of both numbers.
 */
static char *render_vms(int n, const char *prefix)
{
	json_t *root = parse(two_vms);
	json_t *identity = json_array_get(json_object_get(root, "identities"), 0);
	json_t *vms = json_array(), *rows = json_array();
	char name[64];

	for (int i = 0; i < n; i++) {
		json_t *row = json_array();

		snprintf(name, sizeof(name), "%s%d", prefix, i);
		json_array_append_new(vms, json_pack("{s:s}", "name", name));
		for (int j = 0; j < n; j++)
			json_array_append_new(row, json_integer(i == j ? 0 : 40 * (i + j)));
		json_array_append_new(rows, row);
	}
	json_object_set_new(identity, "vms", vms);
	json_object_set_new(identity, "inter", rows);
	return render(mb_render_share, root);
}

static void assert_vms_render(int n, const char *prefix, const char *want)
{
	char *text = render_vms(n, prefix);

	if (!strstr(text, want))
		fail_msg("not in \"%s\": \"%s\"", text, want);
	free(text);
}

static void test_matrix(void **state)
{
	char *text = render_vms(MB_RENDER_MATRIX_MAX, "some-vm-");
	char *matrix = strstr(text, "of each two, MB:\n");

	(void)state;
	assert_non_null(matrix);
	for (char *line = strtok(matrix, "\n"); line && strncmp(line, "Hosts", 5) != 0;
	     line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= MB_RENDER_WIDTH);
	free(text);
	/* The heads are names of any characters. */
	assert_vms_render(3, "a|", "MB:\n     a|0  a|1  a|2\na|0    .  0.2  0.3\n");
	assert_vms_render(8, "v", "MB:\n     v0   v1   v2   v3   v4   v5   v6   v7\nv0    .  0.2");
	/* Too many, too long. */
	assert_vms_render(9, "v",
			  "MB:\n         1    2    3    4    5    6    7    8    9\n1  v0    .");
	assert_vms_render(7, "some-longer-name", "MB:\n                        1    2    3");
}

static void test_many_vms_give_pairs(void **state)
{
	(void)state;
	assert_vms_render(MB_RENDER_MATRIX_MAX + 1, "v",
			  "the 20 strongest pairs of 13 VMs (--json has all):\n"
			  "VM   VM   inter MB\n"
			  "v11  v12       3.6\n"
			  "v10  v12       3.4\n");
}

#define STATUS_VM(name, domain)                                                                    \
	"{\"name\":\"" name "\",\"host\":\"h\",\"online\":false,\"domain\":\"" domain "\","        \
	"\"algorithm\":\"xxh64\",\"bits\":48,\"epoch\":12,\"memory_mb\":64,\"pages\":512,"         \
	"\"distinct\":256,\"zero\":1,\"self\":256,\"self_nonzero\":256,"                           \
	"\"taken_unix_ms\":1700000000999,\"acked_unix_ms\":1,\"source\":\"kmod\","                 \
	"\"tracker\":\"bpf\",\"last_wire_bytes\":99}"
#define STATUS(vms)                                                                                \
	"{\"server\":{\"version\":\"v1\",\"uptime_s\":93784,\"db\":\"x.db\",\"generation\":7},"    \
	"\"hosts\":[{\"name\":\"h\",\"memory_mb\":null,\"vms\":[\"a\"]}],\"vms\":[" vms "]}"

static void test_status(void **state)
{
	char *text;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	assert_renders(mb_render_status, STATUS(STATUS_VM("a", "d") "," STATUS_VM("b", "d")),
		       "mbserver v1, up 1d 02h 03m 04s, store x.db, generation 7\n\n"
		       "host  memory MB  VMs\n"
		       "h             -  a\n\n"
		       "VM  host  full MB  pages   MB  zero MB  self MB  distinct MB\n"
		       "a   h          64    512  2.0      0.0      1.0          1.0\n"
		       "b   h          64    512  2.0      0.0      1.0          1.0\n"
		       "zero: copies of the zero page; self: further copies of other pages than "
		       "the zero page\n\n"
		       "VM  online  epoch  taken                wire bytes  tracker  source\n"
		       "a   no         12  2023-11-14 22:13:20          99  bpf      kmod\n"
		       "b   no         12  2023-11-14 22:13:20          99  bpf      kmod\n"
		       "Trust domain d: xxh64, 48 bits in all VMs\n");
	text = render(mb_render_status, parse(STATUS(STATUS_VM("a", "d") "," STATUS_VM("b", "e"))));
	assert_null(strstr(text, "Trust domain"));
	assert_non_null(
		strstr(text, "tracker  domain  hash   bits  source\n"
			     "a   no         12  2023-11-14 22:13:20          99  bpf      d       "
			     "xxh64    48  kmod\n"));
	free(text);
	text = render(mb_render_status, parse("{\"hosts\":[],\"vms\":[]}"));
	assert_non_null(strstr(text, "No VM is known yet."));
	free(text);
}

#define HISTORY_ROW(at, numbers, more)                                                             \
	"{\"at_unix_ms\":170000000" at "," numbers ",\"pages\":1000,\"distinct\":900,"             \
	"\"zero\":10,\"self\":100,\"self_nonzero\":91,\"inter\":null,"                             \
	"\"wire_bytes\":754,\"duration_ms\":12.34,\"cpu_ms\":5.0,\"full\":false,"                  \
	"\"read\":77,\"tracker\":\"bpf\"," more "}"
#define FIRST_ROW                                                                                  \
	HISTORY_ROW("0999", "\"epoch\":1,\"changed\":1000,\"added\":1000,\"removed\":0",           \
		    "\"unread\":0,\"epochs\":1")
#define NEXT_ROW(at)                                                                               \
	HISTORY_ROW(at, "\"epoch\":3,\"changed\":125,\"added\":130,\"removed\":120",               \
		    "\"unread\":0,\"epochs\":1")

static char *render_history(const char *rows)
{
	char *json, *text;

	assert_true(asprintf(&json, "{\"vm\":\"a\",\"rows\":[%s]}", rows) > 0);
	text = render(mb_render_history, parse(json));
	free(json);
	return text;
}

static void test_history(void **state)
{
	char *text;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	text = render_history(FIRST_ROW "," NEXT_ROW("1999"));
	assert_string_equal(
		text, "History of VM a\n"
		      "time                 epoch  pages   MB  zero MB  self MB  inter any MB  "
		      "distinct MB\n"
		      "2023-11-14 22:13:20      1   1000  3.9      0.0      0.4             -      "
		      "    3.5\n"
		      "2023-11-14 22:13:21      3   1000  3.9      0.0      0.4             -      "
		      "    3.5\n"
		      "zero: copies of the zero page; self: further copies of other pages than the "
		      "zero page\n"
		      "inter any: distinct pages that at least one other VM has, too\n"
		      "\n"
		      "epoch  changed   churn  added  removed  wire bytes\n"
		      "    1        -       -   1000        0         754\n"
		      "    3      125  12.5 %    130      120         754\n"
		      "changed, added, removed: pages; churn: changed of all pages\n"
		      "\n"
		      "epoch  pass         tracker  read    ms  cpu ms\n"
		      "    1  incremental  bpf        77  12.3     5.0\n"
		      "    3  incremental  bpf        77  12.3     5.0\n"
		      "full: every page was read; incremental: those that may have changed; read: "
		      "pages hashed\n");
	free(text);
	assert_renders(mb_render_history, "{\"vm\":\"a\",\"rows\":[]}",
		       "History of VM a: no epoch yet\n");
}

static void test_history_within_a_second(void **state)
{
	char *text;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	text = render_history(FIRST_ROW "," NEXT_ROW("1998"));
	assert_non_null(strstr(text, "2023-11-14 22:13:20.999      1"));
	assert_non_null(strstr(text, "2023-11-14 22:13:21.998      3"));
	free(text);
}

static void test_history_of_another_boot(void **state)
{
	char *text;

	(void)state;
	/* Five passes while the server was away, and it holds what was before them. */
	text = render_history(
		HISTORY_ROW("0999", "\"epoch\":5,\"changed\":1400,\"added\":130,\"removed\":120",
			    "\"unread\":4,\"epochs\":5"));
	assert_non_null(strstr(text, "unread  epochs in one\n"));
	assert_non_null(strstr(text, "\n    5        -      -    130      120"));
	assert_non_null(
		strstr(text, "\n    5  incremental  bpf        77  12.3     5.0       4   "));
	free(text);
	/* A server that lost all. */
	text = render_history(HISTORY_ROW("0999",
					  "\"epoch\":7,\"changed\":12,\"added\":1000,\"removed\":0",
					  "\"unread\":0,\"epochs\":1"));
	assert_non_null(strstr(text, "\n    7        -      -   1000        0"));
	free(text);
}

#define AUDITED_ROW(at, epoch, audits, shares, classes)                                            \
	HISTORY_ROW(at, "\"epoch\":" epoch ",\"changed\":1,\"added\":1,\"removed\":1",             \
		    "\"unread\":0,\"epochs\":1,\"audit\":{\"audits\":" audits "," shares           \
		    ",\"flagged\":9,\"flagged_changed\":4,\"classes\":{" classes "}}")
#define SHARES(recall, all, precision)                                                             \
	"\"recall\":" recall ",\"recall_all\":" all ",\"precision\":" precision
#define FOLLOWED(name, stale) "\"" name "\":{\"followed\":true,\"changed\":9,\"stale\":" stale "}"
#define OTHER(name, stale)    "\"" name "\":{\"followed\":false,\"changed\":9,\"stale\":" stale "}"

static void test_history_of_audits(void **state)
{
	static const char rows[] = FIRST_ROW "," AUDITED_ROW(
		"1999", "3", "1", SHARES("1.0", "0.99996", "0.0512"),
		FOLLOWED("anon", "0") "," OTHER("slab", "2") "," OTHER(
			"kernel", "11")) "," AUDITED_ROW("2999", "4", "1",
							 SHARES("null", "null", "null"), "");
	static const char sums[] =
		AUDITED_ROW("1999", "3", "2", SHARES("0", "0.5", "0.29"),
			    FOLLOWED("anon", "5") "," FOLLOWED("file", "0") "," OTHER("slab", "0"));
	char *text;

	(void)state;
	text = render_history(rows);
	assert_non_null(strstr(
		text,
		"\nAudits, full walks that show what incremental passes miss:\n"
		"epoch   recall  recall all  precision  stale  by class\n"
		"    3  100.0 %      99.9 %      5.1 %     13  kernel 11, slab 2\n"
		"    4        -           -          -      0  -\n"
		"recall: of the pages that changed, those that an incremental pass would have "
		"read, among the\n"
		"classes that the tracker follows; recall all: among all classes\n"
		"precision: of the pages that the tracker flagged, those that had changed\n"
		"stale: pages that changed and that it would have missed: with them the "
		"fingerprint is wrong\n"));
	free(text);
	text = render_history(sums);
	assert_non_null(strstr(text,
			       "  by class  audits\n"
			       "    3   0.0 %      50.0 %     29.0 %      5  anon 5         2\n"));
	assert_non_null(strstr(text, "\nthe tracker follows: anon, file\n"));
	assert_null(strstr(text, "doubted"));
	free(text);
}

/* What is stale there is no wrong fingerprint: it must not look like one. */
static void test_history_of_doubts(void **state)
{
	static const char rows[] = FIRST_ROW "," AUDITED_ROW(
		"1999", "3", "1,\"doubted\":1", SHARES("0.9", "0.9", "0.5"),
		FOLLOWED("anon", "7")) "," AUDITED_ROW("2999", "4", "1,\"doubted\":0",
						       SHARES("1", "1", "1"), "");
	static const char sums[] = AUDITED_ROW(
		"1999", "3", "3,\"doubted\":2", SHARES("0", "0.5", "0.29"),
		FOLLOWED("anon", "5")) "," AUDITED_ROW("2999", "6", "2", SHARES("1", "1", "1"), "");
	char *text;

	(void)state;
	text = render_history(rows);
	assert_non_null(strstr(text,
			       "epoch   recall  recall all  precision  stale  by class  doubted\n"
			       "    3   90.0 %      90.0 %     50.0 %      7  anon 7    yes\n"
			       "    4  100.0 %     100.0 %    100.0 %      0  -         -\n"
			       "recall: "));
	assert_non_null(strstr(
		text, " is wrong\n"
		      "doubted: the tracker said itself that it may have missed some, so a full "
		      "walk was made and\n"
		      "nothing stale was relied on; of several audits, how many were\n"));
	free(text);
	text = render_history(sums);
	assert_non_null(strstr(text, "  by class  doubted\n"
				     "    3    0.0 %      50.0 %     29.0 %      5  anon 5    2 of "
				     "3\n"
				     "    6  100.0 %     100.0 %    100.0 %      0  -         0 of "
				     "2\n"));
	free(text);
}

/* As wide as it gets: many classes of many pages, and every column. */
static void test_history_width(void **state)
{
	static const char wide[] = AUDITED_ROW(
		"1999", "999999", "12,\"doubted\":12", SHARES("1.0", "0.5", "0.29"),
		FOLLOWED("unknown", "999999999998") "," FOLLOWED(
			"page_table", "999999999999") "," FOLLOWED("reserved",
								   "3") "," OTHER("hugetlb", "1"));
	char *text = render_history(wide);

	(void)state;
	assert_non_null(strstr(text, "page_table 999999999999 and 3 more"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= MB_RENDER_WIDTH);
	free(text);
	text = render_history(HISTORY_ROW("0999",
					  "\"epoch\":123456,\"changed\":16777216,\"added\":16777216"
					  ",\"removed\":16777216",
					  "\"unread\":16777216,\"epochs\":99999"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= MB_RENDER_WIDTH);
	free(text);
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
		"trace  pages   MB  zero MB  self MB  distinct MB\n"
		"x/a      256  1.0      0.0      1.0          0.0\n"
		"y#4        1  0.0      0.0      0.0          0.0\n"
		"zero: copies of the zero page; self: further copies of other pages than the zero "
		"page\n"
		"\nEach two traces:\n"
		"trace  trace  inter MB  overlap MB  saving MB\n"
		"x/a    y#4           -           -          -  hash a, but b there\n"
		"inter: distinct pages that both have; overlap: the same with copies, the smaller "
		"number of each;\n"
		"saving: zero, self and inter of both on one host\n"
		"\nDeltas from each trace to the next: pages added and removed, bytes on the "
		"wire:\n"
		"from  to   bits  added  removed  wire bytes  per added\n"
		"x/a   y#4    64      1      256          40      40.00\n");
}

static void test_executions(void **state)
{
	static const char list[] =
		"{\"executions\":[{\"id\":12,\"mover\":\"dry\",\"question\":\"drain\","
		"\"planner\":\"best\",\"state\":\"incomplete\",\"created_unix_ms\":null,"
		"\"ended_unix_ms\":null,\"moves\":2,\"done\":1}]}";
	static const char one[] =
		"{\"hosts\":[],\"moves\":[],\"execution\":{\"id\":12,\"mover\":\"dry\","
		"\"state\":\"incomplete\",\"created_unix_ms\":5000,\"moves\":[{\"vm\":\"a\","
		"\"from\":null,\"to\":\"h1\",\"begun_unix_ms\":5000,\"ended_unix_ms\":7500,"
		"\"tries\":1,\"state\":\"done\",\"reason\":\"\"},{\"vm\":\"b\",\"from\":\"h1\","
		"\"to\":\"h2\",\"begun_unix_ms\":null,\"ended_unix_ms\":7500,\"tries\":0,"
		"\"state\":\"skipped\",\"reason\":\"no room\"}]}}";
	char *text;

	(void)state;
	assert_renders(mb_render_executions, "{\"executions\":[]}",
		       "No plan was carried out yet (mbctl plan --apply)\n");
	assert_renders(
		mb_render_executions, list,
		"execution  begun  ended  question  planner  mover  moves  done\n"
		"       12  -      -      drain     best     dry        2     1  incomplete\n");
	text = render(mb_render_plan, parse(one));
	assert_non_null(strstr(text,
			       "\nExecution 12 by mover dry: incomplete (a dry run: nothing "
			       "has been moved; times are those expected)\n"
			       "move  VM  from  to  begin s  end s  tries  state\n"
			       "   1  a   -     h1      0.0    2.5      1  done\n"
			       "   2  b   h1    h2        -    2.5      0  skipped  no room\n"));
	free(text);
}

static void test_who(void **state)
{
	(void)state;
	assert_renders(
		mb_render_who,
		"{\"vm\":\"a\",\"rows\":[{\"epoch\":3},{\"epoch\":4},{\"epoch\":6}],\"who\":{"
		"\"rows\":2,\"by\":["
		"{\"process\":\"cc1\",\"cgroup\":\"/ci\",\"frames\":2560,\"kinds\":{\"freed\":10,"
		"\"first write\":2500,\"copy on write\":50}},"
		"{\"process\":\"a\\u001b[m\",\"cgroup\":\"\",\"frames\":1,\"kinds\":{\"exec\":1}},"
		"{\"process\":null,\"cgroup\":null,\"frames\":77,\"kinds\":{\"allocated\":77}}]}}",
		"Who dirtied memory of VM a, epochs 3 to 6 (counted in 2 of 3)\n"
		"process   cgroup  frames    MB  by what, first\n"
		"cc1       /ci       2560  10.0  first write 2500, copy on write 50, freed 10\n"
		"a?[m      -            1   0.0  exec 1\n"
		"(others)  -           77   0.3  allocated 77\n"
		"frames: of any kind of memory, each once an epoch, for who was first\n");
	assert_renders(mb_render_who,
		       "{\"vm\":\"a\",\"rows\":[{\"epoch\":3}],\"who\":{\"rows\":0,\"by\":[]}}",
		       "Who dirtied memory of VM a: not counted in these epochs (mbagent run "
		       "--tracker bpf --who N)\n");
	assert_renders(mb_render_who, "{\"vm\":\"a\",\"rows\":[],\"who\":{\"rows\":0,\"by\":[]}}",
		       "Who dirtied memory of VM a: no epoch yet\n");
}

/* What a server of another version might answer must not bring us down. */
static void test_strange_answers(void **state)
{
	static const mb_render_fn all[] = { mb_render_analyze, mb_render_plan,
					    mb_render_status,  mb_render_share,
					    mb_render_history, mb_render_executions,
					    mb_render_who };
	static const char *const answers[] = {
		"{}",
		"{\"hosts\":3,\"vms\":3,\"files\":3,\"pairs\":{},\"rows\":\"\",\"identities\":"
		"null}",
		"{\"hosts\":[],\"vms\":[1],\"files\":[null],\"pairs\":[[]],\"rows\":[\"\"],"
		"\"identities\":[4],\"moves\":[[]],\"who\":{\"rows\":7,\"by\":[]}}",
		"{\"hosts\":[{\"name\":4,\"vms\":[5],\"vms_before\":7,\"vms_after\":[[]]},8],"
		"\"vms\":[{\"name\":{}}],\"files\":[{\"file\":null}],\"pairs\":[{\"a\":3}],"
		"\"rows\":[{\"pages\":-3,\"changed\":1},{\"audit\":4},{\"audit\":{\"audits\":-7,"
		"\"doubted\":9223372036854775807}},{\"audit\":{\"recall\":-1,"
		"\"precision\":1e300,\"audits\":\"\",\"doubted\":[],\"classes\":[]}},{\"audit\":{"
		"\"classes\":"
		"{\"anon\":7,\"\\u001b\":{\"stale\":9223372036854775807},\"x\":{\"stale\":"
		"9223372036854775807},\"y\":{\"stale\":-5}}}}],\"moves\":[{\"vm\":[]}],\"deltas\":["
		"2],"
		"\"identities\":[{\"vms\":[1,2,3],\"inter\":[[1],2,{}]}]}",
		"{\"hosts\":[],\"moves\":[],\"execution\":{\"id\":\"\",\"mover\":[],"
		"\"created_unix_ms\":-9223372036854775807,\"moves\":[1,{\"vm\":{},"
		"\"begun_unix_ms\":9223372036854775807,\"ended_unix_ms\":\"\"}]},"
		"\"executions\":[1,{\"id\":[],\"created_unix_ms\":9223372036854775807}]}",
		"{\"rows\":[1],\"who\":{\"rows\":-1,\"by\":[1,{\"process\":4,"
		"\"kinds\":[]},{\"kinds\":{"
		"\"x\":\"y\",\"z\":-1,\"u\":9223372036854775807},\"frames\":-9223372036854775808}]}"
		"}",
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
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_executions),
		cmocka_unit_test(test_plans_of_other_questions),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_whatif),
		cmocka_unit_test(test_plan_of_an_older_server),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_many_vms_give_pairs),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_history_within_a_second),
		cmocka_unit_test(test_history_of_another_boot),
		cmocka_unit_test(test_history_of_audits),
		cmocka_unit_test(test_history_of_doubts),
		cmocka_unit_test(test_history_width),
		cmocka_unit_test(test_analyze),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_strange_answers),
	};

	return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
