// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/uri.h"

#include <linux/vm_sockets.h>
#include <netinet/in.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

static void parse(const char *uri, struct mb_address *ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_uri_parse(uri, ret, &err), &err);
}

static void test_round_trip(void **state)
{
	static const struct {
		const char *uri, *text;
		int family;
		bool local;
	} cases[] = {
		{ "tcp:127.0.0.1:9876", "tcp:127.0.0.1:9876", AF_INET, true },
		{ "tcp:127.255.255.254:1", "tcp:127.255.255.254:1", AF_INET, true },
		{ "tcp:128.0.0.1:65535", "tcp:128.0.0.1:65535", AF_INET, false },
		{ "tcp:0.0.0.0:0", "tcp:0.0.0.0:0", AF_INET, false },
		{ "tcp:10.1.2.3:00080", "tcp:10.1.2.3:80", AF_INET, false },
		{ "tcp:[::1]:9876", "tcp:[::1]:9876", AF_INET6, true },
		{ "tcp:[::]:9876", "tcp:[::]:9876", AF_INET6, false },
		{ "tcp:[2001:DB8:0::1]:2", "tcp:[2001:db8::1]:2", AF_INET6, false },
		{ "unix:/run/mb.sock", "unix:/run/mb.sock", AF_UNIX, true },
		{ "unix:tcp:1", "unix:tcp:1", AF_UNIX, true },
		{ "unix: a:b", "unix: a:b", AF_UNIX, true },
		{ "vsock:2:9876", "vsock:host:9876", AF_VSOCK, false },
		{ "vsock:host:9876", "vsock:host:9876", AF_VSOCK, false },
		{ "vsock:local:1", "vsock:local:1", AF_VSOCK, true },
		{ "vsock:1:1", "vsock:local:1", AF_VSOCK, true },
		{ "vsock:any:0", "vsock:any:0", AF_VSOCK, false },
		{ "vsock:4294967294:4294967294", "vsock:4294967294:4294967294", AF_VSOCK, false },
		{ "vsock:0:5", "vsock:0:5", AF_VSOCK, false },
		{ "vsock:003:007", "vsock:3:7", AF_VSOCK, false },
		{ "serial:/dev/virtio-ports/org.memorybuddies.0",
		  "serial:/dev/virtio-ports/org.memorybuddies.0", MB_AF_SERIAL, true },
		{ "serial:unix: x", "serial:unix: x", MB_AF_SERIAL, true },
	};
	struct mb_address a, again;
	char text[200];

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		parse(cases[i].uri, &a);
		assert_int_equal(a.sa.sa_family, cases[i].family);
		mb_uri_format(&a, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
		assert_int_equal(mb_address_is_local(&a), cases[i].local);
		parse(text, &again);
		assert_int_equal(again.len, a.len);
		assert_memory_equal(&again.storage, &a.storage, a.len);
	}
	parse("tcp:127.0.0.1:258", &a);
	assert_int_equal(((struct sockaddr_in *)&a.storage)->sin_port, htons(258));
	assert_int_equal(a.len, sizeof(struct sockaddr_in));
	parse("tcp:[::1]:258", &a);
	assert_int_equal(a.len, sizeof(struct sockaddr_in6));
	parse("vsock:3:258", &a);
	assert_int_equal(((struct sockaddr_vm *)&a.storage)->svm_cid, 3);
	assert_int_equal(((struct sockaddr_vm *)&a.storage)->svm_port, 258);
	assert_int_equal(a.len, sizeof(struct sockaddr_vm));
	assert_true(mb_address_is_vsock(&a));
	parse("vsock:any:0", &a);
	assert_int_equal(((struct sockaddr_vm *)&a.storage)->svm_cid, VMADDR_CID_ANY);
	assert_int_equal(((struct sockaddr_vm *)&a.storage)->svm_port, VMADDR_PORT_ANY);
	parse("serial:/dev/ttyS1", &a);
	assert_string_equal(a.serial.path, "/dev/ttyS1");
	assert_false(mb_address_is_vsock(&a));
}

static void test_explain(void **state)
{
	struct mb_address a;
	char text[200];

	(void)state;
	parse("vsock:host:1", &a);
	mb_address_explain(&a, EAFNOSUPPORT, text, sizeof(text));
	assert_non_null(strstr(text, "module vsock"));
	mb_address_explain(&a, ENODEV, text, sizeof(text));
	assert_non_null(strstr(text, "vmw_vsock_virtio_transport"));
	mb_address_explain(&a, ECONNREFUSED, text, sizeof(text));
	assert_string_equal(text, strerror(ECONNREFUSED));
	parse("vsock:local:1", &a);
	mb_address_explain(&a, EADDRNOTAVAIL, text, sizeof(text));
	assert_non_null(strstr(text, "vsock_loopback"));
	parse("tcp:127.0.0.1:1", &a);
	mb_address_explain(&a, EAFNOSUPPORT, text, sizeof(text));
	assert_string_equal(text, strerror(EAFNOSUPPORT));
}

static void test_names(void **state)
{
	struct mb_address a;
	struct mb_err err = { 0 };

	(void)state;
	/* The one name that every machine has. */
	if (mb_uri_parse("tcp:localhost:80", &a, &err) == 0) {
		assert_true(mb_address_is_local(&a));
		assert_int_equal(((struct sockaddr_in *)&a.storage)->sin_port, htons(80));
	}
	assert_true(mb_uri_parse("tcp:no-such-host.invalid:80", &a, &err) < 0);
	assert_non_null(strstr(err.text, "no-such-host.invalid"));
}

static void test_bad(void **state)
{
	static const struct {
		const char *uri, *word;
	} bad[] = {
		{ "", "none of tcp:HOST:PORT" },
		{ "tcp", "none of tcp:HOST:PORT" },
		{ "TCP:h:1", "none of tcp:HOST:PORT" },
		{ "http://h:1", "none of tcp:HOST:PORT" },
		{ "/run/mb.sock", "none of tcp:HOST:PORT" },
		{ "127.0.0.1:80", "none of tcp:HOST:PORT" },
		{ "tcp:", "no port" },
		{ "tcp:127.0.0.1", "no port" },
		{ "tcp:127.0.0.1:", "port: \"\"" },
		{ "tcp:127.0.0.1:65536", "65535" },
		{ "tcp:127.0.0.1:-1", "port" },
		{ "tcp:127.0.0.1:+1", "port" },
		{ "tcp:127.0.0.1: 1", "port" },
		{ "tcp:127.0.0.1:80x", "port" },
		{ "tcp:127.0.0.1:0x50", "port" },
		{ "tcp:127.0.0.1:18446744073709551617", "port" },
		{ "tcp:127.0.0.1:http", "port" },
		{ "tcp::80", "no host" },
		{ "tcp:[]:80", "no host" },
		{ "tcp:[::1]", "port" },
		{ "tcp:::1:80", "brackets" },
		{ "tcp:2001:db8::1", "brackets" },
		{ "tcp:[::1:80", "brackets" },
		{ "tcp:a:b:80", "brackets" },
		{ "unix:", "socket path of 0 bytes" },
		{ "vsock", "serial:DEVICE" },
		{ "vsock:", "no port" },
		{ "vsock:2", "no port" },
		{ "vsock:2:", "port: \"\"" },
		{ "vsock::1", "no CID" },
		{ "vsock:guest:1", "a number, host, local or any" },
		{ "vsock:-1:1", "a number" },
		{ "vsock:0x2:1", "a number" },
		{ "vsock:4294967295:1", "CID" },
		{ "vsock:99999999999999999999:1", "no CID" },
		{ "vsock:2:4294967295", "port" },
		{ "vsock:2:1:1", "port" },
		{ "serial:", "device path of 0 bytes" },
	};
	struct mb_address a;
	struct mb_err err = { 0 };
	char where[80];

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++) {
		assert_fails(mb_uri_parse(bad[i].uri, &a, &err), EINVAL, &err, bad[i].word);
		snprintf(where, sizeof(where), "address \"%s\": ", bad[i].uri);
		assert_non_null(strstr(err.text, where));
	}
}

static void test_lengths(void **state)
{
	struct mb_address a;
	struct mb_err err = { 0 };
	char uri[600], text[600];

	(void)state;
	memset(uri, 'x', sizeof(uri));
	memcpy(uri, "unix:", 5);
	uri[5 + 108] = 0;
	assert_fails(mb_uri_parse(uri, &a, &err), EINVAL, &err, "108 bytes; 1 to 107");
	uri[5 + 107] = 0;
	parse(uri, &a);
	mb_uri_format(&a, text, sizeof(text));
	assert_string_equal(text, uri);
	/* Cut, never overrun. */
	memset(text, '!', sizeof(text));
	mb_uri_format(&a, text, 10);
	assert_string_equal(text, "unix:xxxx");
	assert_int_equal(text[10], '!');

	memset(uri, 'x', sizeof(uri));
	memcpy(uri, "serial:", 7);
	uri[7 + 108] = 0;
	assert_fails(mb_uri_parse(uri, &a, &err), EINVAL, &err, "108 bytes; 1 to 107");
	uri[7 + 107] = 0;
	parse(uri, &a);
	mb_uri_format(&a, text, sizeof(text));
	assert_string_equal(text, uri);

	memset(uri, 'x', sizeof(uri));
	memcpy(uri, "tcp:", 4);
	strcpy(uri + 4 + 256, ":1");
	assert_fails(mb_uri_parse(uri, &a, &err), EINVAL, &err, "no host");
}

/* What getpeername() gives for a client of a unix socket. */
static void test_nameless(void **state)
{
	struct mb_address a = { .sa.sa_family = AF_UNIX, .len = sizeof(sa_family_t) };
	char text[32];

	(void)state;
	mb_uri_format(&a, text, sizeof(text));
	assert_string_equal(text, "unix:");
	assert_true(mb_address_is_local(&a));
	a = (struct mb_address){ .sa.sa_family = AF_PACKET };
	assert_false(mb_address_is_local(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_names),
		cmocka_unit_test(test_bad),	   cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_nameless),   cmocka_unit_test(test_explain),
	};

	return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
