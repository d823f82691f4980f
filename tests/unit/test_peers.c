// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/peers.h"

#include <unistd.h>

#include "proto/base/uri.h"
#include "tests/unit/util_test.h"

#define DAY (86400 * 1000000000ull)

static const struct mb_quota local = { .max = { 0 } };
static const struct mb_quota remote = { .max = { [MB_QUOTA_SESSIONS] = 2, [MB_QUOTA_VMS] = 3 } };
static struct mb_peers *peers;
static struct mb_err err;

static int set_up(void **state)
{
	(void)state;
	assert_ok(mb_peers_create(&local, &remote, &peers, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_peers_destroy(peers);
	return 0;
}

static struct mb_peer *join(const char *name, bool is_local)
{
	struct mb_peer *p = NULL;

	assert_ok(mb_peers_join(peers, name, is_local, 5, &p, &err), &err);
	assert_string_equal(p->name, name);
	return p;
}

static void test_sessions(void **state)
{
	struct mb_peer *a, *again, *b;

	(void)state;
	a = join("a", false);
	again = join("a", false);
	assert_ptr_equal(a, again);
	assert_fails(mb_peers_join(peers, "a", false, 5, &again, &err), EDQUOT, &err,
		     "quota of 2 sessions");
	/* Another's do not count. */
	b = join("b", false);
	assert_int_equal(mb_peers_count(peers), 2);
	mb_peers_leave(peers, a, 6);
	a = join("a", false);
	mb_peers_leave(peers, a, 6);
	mb_peers_leave(peers, a, 6);
	/* Who has taken nothing is forgotten. */
	assert_int_equal(mb_peers_count(peers), 1);
	mb_peers_leave(peers, b, 6);
	assert_int_equal(mb_peers_count(peers), 0);
	for (int i = 0; i < 5000; i++)
		join("here", true);
	assert_int_equal(mb_peers_count(peers), 1);
}

static void test_vms(void **state)
{
	struct mb_peer *a = join("a", false), *here = join("here", true);
	char name[20];
	bool new;

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "vm%d", i);
		assert_ok(mb_peer_claim_vm(a, name, &new, &err), &err);
		assert_true(new);
		assert_ok(mb_peer_claim_vm(a, name, &new, &err), &err);
		assert_false(new);
	}
	assert_fails(mb_peer_claim_vm(a, "vm3", &new, &err), EDQUOT, &err, "quota of 3 VMs");
	/* One that came to nothing leaves room, and no other does. */
	mb_peer_drop_vm(a, "vm3");
	mb_peer_drop_vm(a, "vm1");
	assert_ok(mb_peer_claim_vm(a, "vm3", &new, &err), &err);
	assert_fails(mb_peer_claim_vm(a, "vm1", &new, &err), EDQUOT, &err, "VMs");
	assert_ok(mb_peer_claim_vm(a, "vm0", &new, &err), &err);
	assert_false(new);
	/* They are remembered when it goes. */
	mb_peers_leave(peers, a, 6);
	assert_ptr_equal(join("a", false), a);
	assert_int_equal(a->n_vms, 3);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "vm%d", i);
		assert_ok(mb_peer_claim_vm(here, name, &new, &err), &err);
	}
	assert_int_equal(here->n_vms, 0);
}

/* As they were when a server ended. */
static void test_recall(void **state)
{
	const uint64_t bytes[MB_FLOW_HOURS] = { 1 << 30 };
	struct mb_peer *a;
	char name[20];
	bool new;

	(void)state;
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "vm%d", i);
		assert_ok(mb_peers_recall(peers, "a", name, NULL, 5, &err), &err);
	}
	/* One more than the quota of now. */
	a = join("a", false);
	assert_int_equal(a->sessions, 1);
	assert_int_equal(a->n_vms, 3);
	assert_ok(mb_peer_claim_vm(a, "vm2", &new, &err), &err);
	assert_false(new);
	assert_fails(mb_peer_claim_vm(a, "vm9", &new, &err), EDQUOT, &err, "quota of 3 VMs");
	/* Without a quota for it there is nothing to remember. */
	assert_ok(mb_peers_recall(peers, "b", NULL, bytes, 5, &err), &err);
	assert_int_equal(mb_peers_count(peers), 1);
	/* Who turns out to be of this machine has its quota. */
	assert_ptr_equal(join("a", true), a);
	assert_ok(mb_peer_claim_vm(a, "vm9", &new, &err), &err);
}

/* A network full of addresses: bounded, and those of yesterday make room. */
static void test_full(void **state)
{
	struct mb_peer *p = NULL, *stays = join("stays", false);
	char name[20];
	bool new;

	(void)state;
	for (int i = 1; i < MB_PEERS_MAX; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		p = join(name, false);
		assert_ok(mb_peer_claim_vm(p, "vm", &new, &err), &err);
		mb_peers_leave(peers, p, 10);
	}
	assert_fails(mb_peers_join(peers, "late", false, 11, &p, &err), ENOSPC, &err, "65536");
	assert_ok(mb_peers_join(peers, "late", false, 11 + DAY, &p, &err), &err);
	assert_int_equal(mb_peers_count(peers), 2);
	mb_peers_leave(peers, stays, 12);
}

static void expect_name(const char *uri, const char *name, bool is_local)
{
	char got[MB_PEER_NAME_MAX];
	struct mb_address a;

	assert_ok(mb_uri_parse(uri, &a, &err), &err);
	assert_int_equal(mb_peer_name(-1, &a.sa, a.len, got, sizeof(got)), is_local);
	assert_string_equal(got, name);
}

static void test_names(void **state)
{
	char expected[40], got[MB_PEER_NAME_MAX];
	struct mb_address a;
	int pair[2];

	(void)state;
	expect_name("tcp:192.0.2.7:1234", "tcp:192.0.2.7", false);
	expect_name("tcp:127.0.0.1:1234", "tcp:127.0.0.1", true);
	/* Whoever has one of these has 2^64. */
	expect_name("tcp:[2001:db8:1:2:3:4:5:6]:9", "tcp:[2001:db8:1:2::]", false);
	expect_name("tcp:[::1]:9", "tcp:[::1]", true);
	/* But IPv4 is not one network. */
	expect_name("tcp:[::ffff:192.0.2.7]:9", "tcp:[::ffff:192.0.2.7]", false);
	expect_name("vsock:7:1234", "vsock:7", false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_ok(mb_uri_parse("unix:/x", &a, &err), &err);
	assert_true(mb_peer_name(pair[0], &a.sa, a.len, got, sizeof(got)));
	snprintf(expected, sizeof(expected), "unix user %u", getuid());
	assert_string_equal(got, expected);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sessions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_vms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_recall, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
