// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts that a person or a key file gives: numbers, durations, keys, names, addresses, lists. */
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>

#include "agent/file_list.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/uri.h"
#include "proto/digest.h"
#include "proto/msg.h"
#include "tests/fuzz/util_fuzz.h"

/* In place of the C library's: nobody is asked. */
int getaddrinfo(const char *restrict host, const char *restrict service,
		const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	(void)host;
	(void)service;
	(void)hints;
	(void)ret;
	return EAI_NONAME;
}

static void check_numbers(const char *text)
{
	struct mb_err err = { 0 };
	uint64_t v, again;
	char back[32];
	int r = mb_parse_u64(text, 3, UINT64_MAX - 3, "number", &v, &err);

	if (r == 0) {
		must(v >= 3 && v <= UINT64_MAX - 3);
		snprintf(back, sizeof(back), "%" PRIu64, v);
		must(strcmp(back, text + strspn(text, "0")) == 0);
	} else {
		must_fail(r, &err);
	}
	err = (struct mb_err){ 0 };
	r = mb_parse_duration_ns(text, "time", &v, &err);
	if (r < 0) {
		must_fail(r, &err);
		return;
	}
	must(v >> 62 == 0 && v % 1000000 == 0);
	snprintf(back, sizeof(back), "%" PRIu64 "ms", v / 1000000);
	must_ok(mb_parse_duration_ns(back, "time", &again, &err), &err);
	must(again == v);
}

static void check_key(const char *text)
{
	uint8_t key[MB_KEY_BYTES];
	char back[2 * MB_KEY_BYTES + 1];
	struct mb_err err = { 0 };
	int r = mb_key_parse(text, key, &err);

	if (r < 0) {
		must_fail(r, &err);
		/* A reason goes to logs, a key must not. */
		must(strlen(text) < 16 || !strstr(err.text, text));
		return;
	}
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(back + 2 * i, 3, "%02x", key[i]);
	text += strspn(text, " \t\n\v\f\r");
	must(strncasecmp(text, back, 2 * sizeof(key)) == 0);
}

static void check_address(const char *text)
{
	struct mb_address a, b;
	char shown[512], why[200];
	struct mb_err err = { 0 };
	int r = mb_uri_parse(text, &a, &err);

	if (r < 0) {
		must_fail(r, &err);
		return;
	}
	must(a.len > 0 && a.len <= sizeof(a.storage));
	mb_address_is_local(&a);
	mb_address_explain(&a, ECONNREFUSED, why, sizeof(why));
	must(*why);
	mb_uri_format(&a, shown, sizeof(shown));
	must_ok(mb_uri_parse(shown, &b, &err), &err);
	must(a.len == b.len && memcmp(&a.storage, &b.storage, a.len) == 0);
}

static void check_list(const char *text)
{
	struct mb_file_list list;
	struct mb_err err = { 0 };
	size_t len = 0;
	int r = mb_file_list_init(&list, text, &err);

	if (r < 0) {
		must_fail(r, &err);
		return;
	}
	for (size_t i = 0; i < list.n; i++) {
		must(*list.paths[i] && !strchr(list.paths[i], ','));
		len += strlen(list.paths[i]) + 1;
	}
	must(list.n > 0 && len == strlen(text) + 1);
	mb_file_list_deinit(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	mb_autofree char *text = strndup((const char *)data, n);
	struct mb_err err = { 0 };

	must(text);
	check_numbers(text);
	check_key(text);
	check_address(text);
	check_list(text);
	if (mb_name_check(text, "VM", &err) == 0)
		must(*text && strlen(text) < MB_NAME_MAX && !strpbrk(text, " \t\r\n"));
	else
		must(*err.text);
	return 0;
}
