// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <unistd.h>

#include "server/fleet_file.h"

#define HOSTS                                                                                      \
	"\"hosts\": [{\"name\": \"h0\", \"memory_mb\": 10}, {\"name\": \"h1\", \"memory_mb\": "    \
	"20}]"

static int parse(const char *text, struct mb_fleet_file *ret, struct mb_err *err)
{
	return mb_fleet_file_parse(text, strlen(text), "dir", ret, err);
}

static void test_reads_what_it_names(void **state)
{
	struct mb_fleet_file f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(parse("{" HOSTS ", \"vms\": ["
			"{\"name\": \"a\", \"memory_mb\": 1, \"trace\": \"t/a.mbt\", \"host\": "
			"\"h1\"},"
			"{\"name\": \"b\", \"memory_mb\": 1099511627776, \"trace\": \"/abs\"},"
			"{\"memory_mb\": 3, \"name\": \"c\", \"host\": \"h0\"}]}",
			&f, &err),
		  &err);
	assert_int_equal(f.n_hosts, 2);
	assert_string_equal(f.hosts[0].name, "h0");
	assert_int_equal(f.hosts[1].memory_mb, 20);
	assert_int_equal(f.n_vms, 3);
	assert_string_equal(f.vms[0].name, "a");
	assert_string_equal(f.vms[0].trace, "dir/t/a.mbt");
	assert_int_equal(f.vms[0].host, 1);
	assert_int_equal(f.vms[1].memory_mb, MB_FLEET_MEMORY_MB_MAX);
	assert_string_equal(f.vms[1].trace, "/abs");
	assert_int_equal(f.vms[1].host, MB_NOWHERE);
	assert_null(f.vms[2].trace);
	assert_int_equal(f.vms[2].host, 0);
	mb_fleet_file_deinit(&f);
	assert_ok(parse("{\"hosts\": [], \"vms\": []}", &f, &err), &err);
	assert_int_equal(f.n_hosts + f.n_vms, 0);
	mb_fleet_file_deinit(&f);
}

static void test_reads_all_there_is(void **state)
{
	static const char text[] =
		"{\"hosts\": [{\"name\": \"h0\", \"memory_mb\": 100, \"reserve_mb\": 5,"
		" \"cpu_millicores\": 8000, \"network_mbit_s\": 2.5, \"disk_mb_s\": 0.5,"
		" \"state\": \"maintenance\", \"trust_domain\": \"red\", \"free_mb\": 0},"
		" {\"name\": \"h1\", \"memory_mb\": 1, \"state\": \"pool\"}],"
		"\"vms\": [{\"name\": \"a\", \"memory_mb\": 1, \"host\": \"h0\", \"pinned\": true,"
		" \"tenant\": \"t\", \"trust_domain\": \"red\", \"cpu_millicores\": 3,"
		" \"network_mbit_s\": {\"mean\": 1, \"peak\": 2}, \"disk_mb_s\": 1.5,"
		" \"dirty_mb_s\": 0.25, \"swap_pages_s\": 9},"
		" {\"name\": \"b\", \"memory_mb\": 1}, {\"name\": \"c\", \"memory_mb\": 1}],"
		"\"rules\": [{\"name\": \"r\", \"kind\": \"apart\", \"vms\": [\"c\", \"a\"]},"
		" {\"name\": \"s\", \"kind\": \"together\", \"vms\": [\"b\", \"c\"]}],"
		"\"options\": {\"mean_percent\": 70, \"one_tenant_per_host\": true,"
		" \"durable_s\": 0}}";
	struct mb_fleet_file f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(parse(text, &f, &err), &err);
	assert_int_equal(f.hosts[0].reserve_mb, 5);
	assert_int_equal(f.hosts[0].capacity[MB_CPU_MILLICORES], 8000);
	assert_int_equal(f.hosts[0].capacity[MB_NETWORK_KBIT_S], 2500);
	assert_int_equal(f.hosts[0].capacity[MB_DISK_KB_S], 512);
	assert_int_equal(f.hosts[0].state, MB_HOST_MAINTENANCE);
	assert_string_equal(f.hosts[0].trust_domain, "red");
	assert_int_equal(f.hosts[0].free_mb, 0);
	assert_int_equal(f.hosts[1].state, MB_HOST_POOL);
	assert_true(f.hosts[1].free_mb == UINT64_MAX);
	assert_null(f.hosts[1].trust_domain);
	assert_true(f.vms[0].pinned);
	assert_string_equal(f.vms[0].tenant, "t");
	assert_string_equal(f.vms[0].trust_domain, "red");
	assert_int_equal(f.vms[0].load[MB_CPU_MILLICORES].mean, 3);
	assert_int_equal(f.vms[0].load[MB_CPU_MILLICORES].peak, 3);
	assert_int_equal(f.vms[0].load[MB_NETWORK_KBIT_S].mean, 1000);
	assert_int_equal(f.vms[0].load[MB_NETWORK_KBIT_S].peak, 2000);
	assert_int_equal(f.vms[0].load[MB_DISK_KB_S].peak, 1536);
	assert_int_equal(f.vms[0].dirty_kb_s, 256);
	assert_int_equal(f.vms[0].swap_pages_s, 9);
	assert_false(f.vms[1].pinned);
	assert_null(f.vms[1].tenant);
	assert_int_equal(f.n_rules, 2);
	assert_int_equal(f.rules[0].kind, MB_RULE_APART);
	assert_int_equal(f.rules[0].n_vms, 2);
	assert_int_equal(f.rules[0].vms[0], 0);
	assert_int_equal(f.rules[0].vms[1], 2);
	assert_int_equal(f.rules[1].kind, MB_RULE_TOGETHER);
	assert_int_equal(f.options.value[MB_OPTION_MEAN], 70);
	assert_int_equal(f.options.value[MB_OPTION_ONE_TENANT], 1);
	assert_int_equal(f.options.value[MB_OPTION_DURABLE], 0);
	assert_int_equal(f.options.value[MB_OPTION_PEAK], 100);
	mb_fleet_file_deinit(&f);
}

static void test_says_what_is_wrong_and_where(void **state)
{
#define VM(rest)	 "{" HOSTS ", \"vms\": [{\"name\": \"a\", \"memory_mb\": 1}, " rest "]}"
#define SIZE(n)		 VM("{\"name\": \"b\", \"memory_mb\": " n "}")
#define MORE(list, text) "{" HOSTS ", \"vms\": [],\n\"" list "\": " text "}"
#define RULE(text)                                                                                 \
	"{" HOSTS ", \"vms\": [{\"name\": \"a\", \"memory_mb\": 1}, {\"name\": \"b\", "            \
	"\"memory_mb\": 1}], \"rules\": [" text "]}"
#define OF_B(rest) VM("\n{\"name\": \"b\", \"memory_mb\": 1,\n" rest "}")
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "", "line 1, column" },
		{ "{\n  \"hosts\": [}\n", "line 2, column" },
		{ "{" HOSTS, "line 1, column" },
		{ "{\"hosts\": [], \"hosts\": [], \"vms\": []}", "duplicate" },
		{ "[]", "not an object" },
		{ "3", "line 1" },
		{ "{\"vms\": []}", "no \"hosts\"" },
		{ "{" HOSTS "}", "no \"vms\"" },
		{ "{" HOSTS ", \"vms\": {}}", "vms: not a list" },
		{ "{" HOSTS ", \"vms\": [], \"x\\u001by\": 1}", "unknown key \"x?y\"" },
		{ VM("3"), "vms[1]: not an object" },
		{ VM("{\"memory_mb\": 1}"), "vms[1]: no \"name\"" },
		{ VM("{\"name\": \"b\"}"), "vms[1]: no \"memory_mb\"" },
		{ VM("{\"name\": 7, \"memory_mb\": 1}"), "vms[1].name: not a text" },
		{ VM("{\"name\": \"\", \"memory_mb\": 1}"), "vms[1].name" },
		{ VM("{\"name\": \"b c\", \"memory_mb\": 1}"), "vms[1].name: VM name has a byte" },
		{ VM("{\"name\": \"a\", \"memory_mb\": 1}"),
		  "vms[1].name: \"a\" is vms[0] already" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"host\": \"h2\"}"),
		  "vms[1].host: no host \"h2\"" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"host\": null}"), "vms[1].host" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"host\": \"h\\n\"}"), "vms[1].host" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"trace\": []}"), "vms[1].trace" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"memory\": 1}"),
		  "vms[1]: unknown key \"memory\"" },
		{ SIZE("0"), "vms[1].memory_mb: not a whole number from 1 to 1099511627776" },
		{ SIZE("-5"), "vms[1].memory_mb" },
		{ SIZE("1.5"), "vms[1].memory_mb" },
		{ SIZE("1e3"), "vms[1].memory_mb" },
		{ SIZE("\"5\""), "vms[1].memory_mb" },
		{ SIZE("1099511627777"), "vms[1].memory_mb" },
		{ SIZE("99999999999999999999"), "too big" },
		{ "{\"hosts\": [{\"name\": \"h\", \"memory_mb\": 1, \"trace\": \"t\"}], \"vms\": "
		  "[]}",
		  "hosts[0]: unknown key \"trace\"" },
		{ "{\"hosts\": [{\"name\": \"h\", \"memory_mb\": 1}, {\"name\": \"h\", "
		  "\"memory_mb\": 1}], \"vms\": []}",
		  "hosts[1].name: \"h\" is hosts[0] already" },
		/* The line is that of the key. */
		{ OF_B("\"memory\": 1"), "line 3: vms[1]: unknown key \"memory\"" },
		{ OF_B("\"cpu_millicores\": -1"),
		  "line 3: vms[1].cpu_millicores: not a number from 0 to 1000000000" },
		{ OF_B("\"disk_mb_s\": {\"mean\": 2,\n \"peak\": 1}"),
		  "line 3: vms[1].disk_mb_s: the mean is above the peak" },
		{ OF_B("\"disk_mb_s\": {\"mean\": 2}"), "vms[1].disk_mb_s: no \"peak\"" },
		{ OF_B("\"disk_mb_s\": {\"mean\": 2,\n \"peak\": 2e9}"),
		  "line 4: vms[1].disk_mb_s.peak: not a number" },
		{ OF_B("\"disk_mb_s\": {\"mean\": 2, \"peak\": 2, \"min\": 1}"),
		  "vms[1].disk_mb_s: unknown key \"min\"" },
		{ OF_B("\"pinned\": 1"), "line 3: vms[1].pinned: neither true nor false" },
		{ OF_B("\"tenant\": \"a b\""), "line 3: vms[1].tenant: tenant name has a byte" },
		{ OF_B("\"swap_pages_s\": 1.5"), "line 3: vms[1].swap_pages_s" },
		{ "{\"hosts\": [{\"name\": \"h\", \"memory_mb\": 1,\n\"state\": \"off\"}], "
		  "\"vms\": []}",
		  "line 2: hosts[0].state: none of \"active\", \"maintenance\", \"pool\"" },
		{ MORE("rules", "{}"), "line 2: rules: not a list" },
		{ RULE("{}"), "rules[0]: no \"name\"" },
		{ RULE("{\"name\": \"r\", \"kind\": \"near\", \"vms\": []}"),
		  "rules[0].kind: none of \"together\", \"apart\"" },
		{ RULE("{\"name\": \"r\", \"kind\": \"apart\", \"vms\": [\"a\"]}"),
		  "rules[0].vms: a rule is about two VMs at least" },
		{ RULE("{\"name\": \"r\", \"kind\": \"apart\", \"vms\": [\"a\",\n\"x\"]}"),
		  "line 2: rules[0].vms[1]: no VM \"x\" in this file" },
		{ RULE("{\"name\": \"r\", \"kind\": \"apart\", \"vms\": [\"a\", 3]}"),
		  "rules[0].vms[1]: not the name of a VM" },
		{ RULE("{\"name\": \"r\", \"kind\": \"apart\", \"vms\": [\"b\", \"b\"]}"),
		  "rules[0].vms: VM \"b\" is in it twice" },
		{ MORE("options", "[]"), "line 2: options: not an object" },
		{ MORE("options", "{\n\"mean\": 1}"), "line 3: options: unknown key \"mean\"" },
		{ MORE("options", "{\n\"mean_percent\": 0}"),
		  "line 3: options.mean_percent: not a whole number from 1 to 1000" },
		{ MORE("options", "{\"one_tenant_per_host\": 1}"),
		  "options.one_tenant_per_host: neither true nor false" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mb_err err = { 0 };
		struct mb_fleet_file f;

		assert_fails(parse(cases[i].text, &f, &err), EINVAL, &err, cases[i].words);
		assert_null(f.hosts);
		assert_null(f.vms);
	}
}

static void test_finds_any_host_of_many(void **state)
{
	enum { HOSTS_N = 37 };
	struct mb_err err = { 0 };
	struct mb_fleet_file f;
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	(void)state;
	fputs("{\"hosts\": [", to);
	for (int i = 0; i < HOSTS_N; i++)
		fprintf(to, "%s{\"name\": \"h%d\", \"memory_mb\": 1}", i ? "," : "", i);
	fputs("], \"vms\": [", to);
	for (int i = 0; i < HOSTS_N; i++)
		fprintf(to, "%s{\"name\": \"v%d\", \"memory_mb\": 1, \"host\": \"h%d\"}",
			i ? "," : "", i, HOSTS_N - 1 - i);
	fputs("]}", to);
	fclose(to);
	assert_ok(parse(text, &f, &err), &err);
	for (int i = 0; i < HOSTS_N; i++)
		assert_int_equal(f.vms[i].host, HOSTS_N - 1 - i);
	mb_fleet_file_deinit(&f);
	free(text);
}

static void test_caps_lists(void **state)
{
	struct mb_err err = { 0 };
	struct mb_fleet_file f;
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	(void)state;
	fputs("{\"vms\": [], \"hosts\": [0", to);
	for (int i = 0; i < MB_FLEET_HOSTS_MAX; i++)
		fputs(",0", to);
	fputs("]}", to);
	fclose(to);
	assert_fails(parse(text, &f, &err), EINVAL, &err,
		     "hosts: 10001 of them; 10000 are allowed");
	free(text);
}

static void test_file_errors_start_with_the_path(void **state)
{
	char path[] = "/tmp/mb-fleet-XXXXXX";
	int fd = mkstemp(path);
	struct mb_fleet_file f;
	struct mb_err err = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{}", 2), 2);
	close(fd);
	assert_fails(mb_fleet_file_read(path, &f, &err), EINVAL, &err, path);
	unlink(path);
	assert_fails(mb_fleet_file_read(path, &f, &err), ENOENT, &err, path);
	assert_fails(mb_fleet_file_read("/", &f, &err), EISDIR, &err, "/: ");
	mb_fleet_file_deinit(&f);
}

static char *read_doc(void)
{
	FILE *f = fopen("docs/fleet-file.md", "r");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	assert_non_null(text);
	assert_in_range(fread(text, 1, 65535, f), 1000, 65534);
	fclose(f);
	return text;
}

static void test_the_documents_example_is_one(void **state)
{
	char *doc = read_doc(), *at = strstr(doc, "```json\n"), *end;
	struct mb_fleet_file f;
	struct mb_err err = { 0 };

	(void)state;
	assert_non_null(at);
	at += strlen("```json\n");
	end = strstr(at, "```");
	assert_non_null(end);
	assert_ok(mb_fleet_file_parse(at, (size_t)(end - at), "", &f, &err), &err);
	assert_true(f.n_hosts && f.n_vms && f.n_rules);
	mb_fleet_file_deinit(&f);
	free(doc);
}

/* The section's rows are its keys, in the parser's order: none missing, none too much. */
static void assert_section(const char *doc, const char *list)
{
	char head[40];
	const char *at;
	size_t n = 0;

	snprintf(head, sizeof(head), "\n## %s\n", list);
	at = strstr(doc, head);
	if (!at)
		fail_msg("no section %s", list);
	for (at = strchr(at + 1, '\n'); at && strncmp(at, "\n## ", 4) != 0;
	     at = strchr(at + 1, '\n')) {
		const char *key = mb_fleet_file_key(list, n);
		size_t len = strcspn(at + strlen("\n| `"), "`");

		if (strncmp(at, "\n| `", 4) != 0)
			continue;
		if (!key || strlen(key) != len || strncmp(at + 4, key, len) != 0)
			fail_msg("%s: row %zu is %.*s, not %s", list, n, (int)len, at + 4,
				 key ? key : "the end");
		n++;
	}
	if (mb_fleet_file_key(list, n))
		fail_msg("%s: %s is not documented", list, mb_fleet_file_key(list, n));
}

/* "| `mean_percent` | percent | 80 |": the default is the table's. */
static void assert_defaults(const char *doc)
{
	for (int i = 0; i < MB_OPTIONS; i++) {
		const struct mb_option_info *o = &mb_option_infos[i];
		char row[80];
		const char *at;

		snprintf(row, sizeof(row), "\n| `%s` | ", o->name);
		at = strstr(doc, row);
		assert_non_null(at);
		at = strchr(at + strlen(row), '|');
		if (o->flag)
			strcpy(row, "| false |");
		else
			snprintf(row, sizeof(row), "| %llu |", (unsigned long long)o->initial);
		if (strncmp(at, row, strlen(row)) != 0)
			fail_msg("%s: not %s but %.20s", o->name, row, at);
	}
}

static void test_the_document_is_complete(void **state)
{
	char *doc = read_doc();

	(void)state;
	assert_section(doc, "hosts");
	assert_section(doc, "vms");
	assert_section(doc, "rules");
	assert_section(doc, "options");
	assert_defaults(doc);
	free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_it_names),
		cmocka_unit_test(test_reads_all_there_is),
		cmocka_unit_test(test_says_what_is_wrong_and_where),
		cmocka_unit_test(test_finds_any_host_of_many),
		cmocka_unit_test(test_caps_lists),
		cmocka_unit_test(test_file_errors_start_with_the_path),
		cmocka_unit_test(test_the_documents_example_is_one),
		cmocka_unit_test(test_the_document_is_complete),
	};

	return cmocka_run_group_tests_name("fleet_file", tests, NULL, NULL);
}
