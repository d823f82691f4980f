// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_churn.h"

#include <ctype.h>

static const char run[] =
	"{ \"exit_code\": %d, \"epochs\": ["
	"{ \"epoch\": 0, \"at_s\": 0.0, \"pages\": 100, \"distinct\": 80, \"zero\": 3, "
	"\"dirtied\": 0,"
	"  \"changed\": 0, \"came\": 0, \"went\": 0, \"gained\": 0, \"lost\": 0,"
	"  \"gained_digests\": 0, \"lost_digests\": 0,"
	"  \"classes\": { \"anon\": { \"pages\": 90, \"changed\": 0, \"came\": 0, \"went\": 0 },"
	"                 \"file\": { \"pages\": 10, \"changed\": 0, \"came\": 0, \"went\": 0 } },"
	"  \"self\": { \"digests\": 10, \"pages\": 20, \"before\": 0, \"kept\": 0,"
	"              \"survivors\": 10, \"durable\": [null, null] },"
	"  \"reference\": { \"digests\": 5, \"pages\": 5, \"before\": 0, \"kept\": 0,"
	"              \"survivors\": 5, \"durable\": [null, null] }, \"kinds\": null },"
	"{ \"epoch\": 1, \"at_s\": 1.5, \"pages\": 101, \"distinct\": 81, \"zero\": 4, "
	"\"dirtied\": 32,"
	"  \"changed\": 31, \"came\": 1, \"went\": 0, \"gained\": 9, \"lost\": 8,"
	"  \"gained_digests\": 7, \"lost_digests\": 6,"
	"  \"classes\": { \"anon\": { \"pages\": 91, \"changed\": 30, \"came\": 1, \"went\": 0 },"
	"                 \"file\": { \"pages\": 10, \"changed\": 1, \"came\": 0, \"went\": 0 } },"
	"  \"self\": { \"digests\": 8, \"pages\": 18, \"before\": 10, \"kept\": 7,"
	"              \"survivors\": 7, \"durable\": [12, null] },"
	"  \"reference\": { \"digests\": 5, \"pages\": 5, \"before\": 5, \"kept\": 5,"
	"              \"survivors\": 5, \"durable\": [4, null] },"
	"  \"kinds\": { \"rewrite\": 30, \"copy on write\": 2 } },"
	"{ \"epoch\": 2, \"at_s\": 3.0, \"pages\": 102, \"distinct\": 82, \"zero\": 5, "
	"\"dirtied\": 12,"
	"  \"changed\": 12, \"came\": 0, \"went\": 0, \"gained\": 9, \"lost\": 8,"
	"  \"gained_digests\": 7, \"lost_digests\": 6,"
	"  \"classes\": { \"anon\": { \"pages\": 92, \"changed\": 12, \"came\": 0, \"went\": 0 } },"
	"  \"self\": { \"digests\": 8, \"pages\": 18, \"before\": 8, \"kept\": 8,"
	"              \"survivors\": 6, \"durable\": [13, null] },"
	"  \"reference\": { \"digests\": 5, \"pages\": 5, \"before\": 5, \"kept\": 5,"
	"              \"survivors\": 5, \"durable\": [4, null] },"
	"  \"kinds\": { \"rewrite\": 12 } } ],"
	"\"summary\": { \"epochs\": 2, \"duration_s\": 3.0, \"pages\": 101.0, \"distinct\": 81.0,"
	"  \"zero\": 4.0, \"dirtied\": 22.0, \"dirtied_per_s\": 14.7, \"changed\": 21.5,"
	"  \"came\": 0.5, \"went\": 0.0, \"gained\": 9.0, \"lost\": 8.0, \"gained_digests\": 7.0,"
	"  \"lost_digests\": 6.0, \"classes\": { \"anon\": { \"pages\": 91.0, \"changed\": 21.0,"
	"  \"came\": 0.5, \"went\": 0.0 } },"
	"  \"self\": { \"digests\": 8.7, \"pages\": 18.7, \"kept\": 0.8333,"
	"    \"half_life\": { \"how\": \"fitted\", \"s\": 200.0 },"
	"    \"durable\": [ { \"window_s\": 1.0, \"pages\": 12.5, \"of_pages\": 18.0 },"
	"                   { \"window_s\": 300.0, \"pages\": null, \"of_pages\": null } ] },"
	"  \"reference\": { \"digests\": 5.0, \"pages\": 5.0, \"kept\": 1.0,"
	"    \"half_life\": { \"how\": \"no loss\", \"s\": null },"
	"    \"durable\": [ { \"window_s\": 1.0, \"pages\": 4.0, \"of_pages\": 5.0 },"
	"                   { \"window_s\": 300.0, \"pages\": null, \"of_pages\": null } ] } },"
	"\"who\": { \"by\": [ { \"process\": \"<script>\", \"cgroup\": \"/a&b\", \"frames\": 40,"
	"  \"kinds\": { \"rewrite\": 40 } }, { \"process\": null, \"cgroup\": null, \"frames\": 4,"
	"  \"kinds\": { \"copy on write\": 2, \"rewrite\": 2 } } ] } }";

static const char head[] =
	"{ \"name\": \"<i>\\\"x\\\" & 'y'\\u001b[2J\", \"source\": \"a source\", \"command\": "
	"[\"x\"],"
	" \"by\": \"frame\", \"tracker\": \"none\", \"interval_s\": 1.5, \"windows_s\": [1.0, "
	"300.0],"
	" \"reference\": \"r.mbt\", \"runs\": [], \"metrics\": {"
	" \"dirtied\": { \"unit\": \"pages/epoch\", \"values\": [22.0, 22.0], \"mean\": 22.0,"
	"   \"low\": 22.0, \"high\": 22.0 },"
	" \"pages\": { \"unit\": \"pages\", \"values\": [101.0, 101.0], \"mean\": 101.0,"
	"   \"low\": 101.0, \"high\": 101.0 } },"
	" \"gate\": { \"limit_percent\": 5.0, \"confidence\": 0.95, \"failed\": true, \"checks\": ["
	"   { \"metric\": \"dirtied\", \"failed\": true, \"text\": \"dirtied: <worse>\" } ] } }";

json_t *churn_report(void)
{
	json_t *root = json_loads(head, 0, NULL);
	char text[sizeof(run) + 16];

	assert_non_null(root);
	for (int code = 0; code < 4; code += 3) {
		json_t *one;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), run, code);
#pragma GCC diagnostic pop
		one = json_loads(text, 0, NULL);
		assert_non_null(one);
		json_array_append_new(json_object_get(root, "runs"), one);
	}
	return root;
}

void churn_written(void (*make)(const json_t *root, struct mb_buf *to), const json_t *root,
		   struct mb_buf *ret)
{
	*ret = (struct mb_buf){ 0 };
	make(root, ret);
	mb_buf_put_u8(ret, 0);
	assert_false(ret->failed);
	/* No NUL before that. */
	assert_int_equal(strlen((const char *)ret->data), ret->len - 1);
}

void assert_has(const struct mb_buf *text, const char *part)
{
	if (!strstr((const char *)text->data, part))
		fail_msg("no \"%s\" in:\n%s", part, (const char *)text->data);
}

void assert_has_not(const struct mb_buf *text, const char *part)
{
	if (strstr((const char *)text->data, part))
		fail_msg("\"%s\" in:\n%s", part, (const char *)text->data);
}

/* --- markup ----------------------------------------------------------------------------------- */

struct tags {
	char names[32][32];
	int n;
};

static const char *entity(const char *p)
{
	const char *end = p + 1;

	while (isalnum((unsigned char)*end) || *end == '#')
		end++;
	if (*end != ';' || end == p + 1)
		fail_msg("a bare '&': %.40s", p);
	return end + 1;
}

/* From '<' to what follows '>'. */
static const char *tag(const char *p, struct tags *open)
{
	static const char *const never_closed[] = { "meta", "!DOCTYPE", "?xml" };
	bool closes = p[1] == '/', empty = false;
	const char *start = p + 1 + closes, *at = start;
	char name[32];
	size_t n = strcspn(start, " />\n");

	assert_true(n > 0 && n < sizeof(name));
	snprintf(name, sizeof(name), "%.*s", (int)n, start);
	for (at += n; *at != '>'; at++) {
		if (!*at || *at == '<')
			fail_msg("a tag that does not end: %.40s", p);
		if (*at == '=') {
			if (at[1] != '"')
				fail_msg("an attribute without quotes: %.40s", p);
			for (at += 2; *at != '"'; at++)
				if (!*at || *at == '<')
					fail_msg("an attribute that does not end: %.40s", p);
		}
	}
	empty = at[-1] == '/' || at[-1] == '?';
	for (size_t i = 0; i < sizeof(never_closed) / sizeof(*never_closed); i++)
		empty |= strcmp(name, never_closed[i]) == 0;
	if (closes) {
		if (!open->n || strcmp(open->names[open->n - 1], name) != 0)
			fail_msg("</%s>, but <%s> is open", name,
				 open->n ? open->names[open->n - 1] : "nothing");
		open->n--;
	} else if (!empty) {
		assert_true(open->n < 32);
		strcpy(open->names[open->n++], name);
	}
	if (strcmp(name, "style") == 0 && !closes) {
		at = strstr(at, "</style>");
		assert_non_null(at);
		return at;
	}
	return at + 1;
}

void assert_markup(const struct mb_buf *text)
{
	const char *p = (const char *)text->data;
	struct tags open = { .n = 0 };

	while (*p)
		p = *p == '<' ? tag(p, &open) : *p == '&' ? entity(p) : p + 1;
	if (open.n)
		fail_msg("<%s> is not closed", open.names[open.n - 1]);
}
