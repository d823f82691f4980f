// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "server/ctl/render.h"

static char *render(const char *json)
{
	json_t *root = json_loads(json, 0, NULL);
	struct mb_err err = { 0 };
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(root);
	assert_ok(mb_render_audits(root, to, &err), &err);
	fclose(to);
	json_decref(root);
	return text;
}

#define VM(name, tracker, epoch, audit, audits, doubted)                                           \
	"{\"vm\":\"" name "\",\"host\":\"h1\",\"tracker\":\"" tracker "\",\"at_unix_ms\":5,"       \
	"\"epoch\":" epoch ",\"audit\":" audit ",\"since_start\":{\"audits\":" audits              \
	",\"doubted\":" doubted "}}"
#define AUDIT(recall, all, precision, flagged, flagged_changed, classes)                           \
	"{\"audits\":1,\"doubted\":0,\"recall\":" recall ",\"recall_all\":" all                    \
	",\"precision\":" precision ",\"flagged\":" flagged                                        \
	",\"flagged_changed\":" flagged_changed ",\"classes\":{" classes "}}"
#define FOLLOWED(name, changed, stale)                                                             \
	"\"" name "\":{\"followed\":true,\"changed\":" changed ",\"stale\":" stale "}"
#define OTHER(name, changed, stale)                                                                \
	"\"" name "\":{\"followed\":false,\"changed\":" changed ",\"stale\":" stale "}"

/* Of each tracker what its VMs' audits say together, by pages and not by VMs; in the server's
 * order. */
static void test_trackers_and_vms(void **state)
{
	static const char answer[] = "{\"vms\":[" VM(
		"web1", "bpf", "60",
		AUDIT("0.75", "0.5", "0.9", "50", "45",
		      FOLLOWED("anon", "40", "10") "," OTHER("slab", "40", "30")),
		"4", "1") "," VM("db1", "softdirty", "7",
				 AUDIT("1.0", "1.0", "null", "0", "0", FOLLOWED("anon", "9", "0")),
				 "1", "0") "," VM("web2", "bpf", "60",
						  AUDIT("1.0", "1.0", "0.1", "50", "5",
							FOLLOWED("anon", "60", "0")),
						  "2", "0") "," VM("db2", "bpf", "null", "null",
								   "0", "0") "]}";
	char *text = render(answer);

	(void)state;
	assert_non_null(strstr(
		text,
		"Trackers, all their VMs' last audits together:\n"
		"tracker    VMs  audited   recall  recall all  precision  stale  by class          "
		"doubted\n"
		"bpf          3        2   90.0 %      71.4 %     50.0 %     40  slab 30, anon 10  "
		" 1 of 6\n"
		"softdirty    1        1  100.0 %     100.0 %          -      0  -                 "
		" 0 of 1\n"
		"\nThe last audit of each VM, the worst first:\n"
		"VM    host  tracker     recall  recall all  precision  stale  by class          "
		"doubted  epoch\n"
		"web1  h1    bpf         75.0 %      50.0 %     90.0 %     40  slab 30, anon 10   "
		"1 "
		"of 4     60\n"
		"db1   h1    softdirty  100.0 %     100.0 %          -      0  -                  "
		"0 "
		"of 1      7\n"
		"web2  h1    bpf        100.0 %     100.0 %     10.0 %      0  -                  "
		"0 "
		"of 2     60\n"
		"db2   h1    bpf              -           -          -      -  -                   "
		" "
		"   -      -\n"
		"recall: "));
	assert_non_null(strstr(text, "\ndoubted: since the server started"));
	free(text);
}

static void test_a_long_list_is_cut(void **state)
{
	static const char vm[] = VM("web00001", "bpf", "60", "null", "0", "0");
	char json[sizeof(vm) * (MB_RENDER_AUDITS_MAX + 3) + 20], *p = stpcpy(json, "{\"vms\":[");
	char *text;
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < MB_RENDER_AUDITS_MAX + 2; i++)
		p += sprintf(p, "%s%s", i ? "," : "", vm);
	strcpy(p, "]}");
	text = render(json);
	assert_non_null(strstr(text, "bpf       27        0"));
	assert_non_null(strstr(text, "\nand 2 more VMs: --json has all\n"));
	for (p = text; (p = strstr(p, "\nweb00001")); p++)
		n++;
	assert_int_equal(n, MB_RENDER_AUDITS_MAX);
	free(text);
	text = render("{\"vms\":[]}");
	assert_string_equal(text, "No VM is known\n");
	free(text);
}

/* What a server of another version might answer must not bring us down. */
static void test_strange_answers(void **state)
{
	static const char *const answers[] = {
		"{\"vms\":[1,{},{\"vm\":4,\"tracker\":[],\"audit\":3,\"since_start\":7}]}",
		"{\"vms\":[" VM(
			"a", "\\u001b[31m", "-1",
			AUDIT("7", "-1", "\"x\"", "-5", "9223372036854775807",
			      "\"\\u001b\":{\"stale\":9223372036854775807},\"x\":4,"
			      "\"y\":{\"followed\":true,\"changed\":9223372036854775807,"
			      "\"stale\":9223372036854775807}"),
			"-1",
			"9223372036854775807") "," VM("b", "\\u001b[31m", "-1",
						      AUDIT("1", "1", "1", "9223372036854775807",
							    "9223372036854775807",
							    FOLLOWED("y", "9223372036854775807",
								     "9223372036854775807")),
						      "9223372036854775807",
						      "9223372036854775807") "]}",
	};
	json_t *none = json_object();
	char many[40 * 120] = "{\"vms\":[", *p = many + strlen(many);
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		char *text = render(answers[i]);

		assert_null(strchr(text, '\033'));
		free(text);
	}
	/* More trackers than are summed up: their VMs are there all the same. */
	for (int i = 0; i < 24; i++)
		p += sprintf(p, "%s{\"vm\":\"v%d\",\"tracker\":\"t%d\"}", i ? "," : "", i, i);
	strcpy(p, "]}");
	p = render(many);
	assert_non_null(strstr(p, "\nt15 "));
	assert_null(strstr(p, "\nt16 "));
	assert_non_null(strstr(p, "\nv23 "));
	free(p);
	assert_int_equal(mb_render_audits(none, stdout, &err), -EBADMSG);
	json_decref(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trackers_and_vms),
		cmocka_unit_test(test_a_long_list_is_cut),
		cmocka_unit_test(test_strange_answers),
	};

	return cmocka_run_group_tests_name("render_audits", tests, NULL, NULL);
}
