// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/recall.h"

#include "tests/unit/util_server.h"

#define HOUR_NS ((uint64_t)3600000000000)
#define NOW_NS	((uint64_t)7)

static const uint64_t now_unix_ns = 1000000 * HOUR_NS;

/* An epoch of so many bytes, acked so long ago. */
static void put(struct mb_store *s, struct mb_fleet *fleet, const char *name, const char *writer,
		uint64_t bytes, uint64_t age_ns)
{
	struct mb_fingerprint fp;
	struct mb_epoch_record rec = { .snapshot = true };
	struct mb_buf frame = { 0 };
	struct mb_err err = { 0 };
	struct mb_vm vm;

	make_fingerprint_of(100, 1, 50, &fp);
	make_vm(name, 1, &fp, &vm);
	make_frame(NULL, 0, &fp, 1, 64, &frame);
	snprintf(vm.writer, sizeof(vm.writer), "%s", writer);
	vm.wire_bytes = bytes;
	vm.acked_unix_ns = now_unix_ns - age_ns;
	rec.frame = mb_buf_slice(&frame);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_epoch(s, &vm, &rec, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	assert_ok(mb_fleet_add(fleet, &vm, &err), &err);
	mb_buf_deinit(&frame);
	mb_fingerprint_deinit(&fp);
}

static void test_vms_and_bytes(void **state)
{
	const struct mb_quota none = { 0 };
	const struct mb_quota q = { .max = { [MB_QUOTA_MB_PER_DAY] = 24, [MB_QUOTA_VMS] = 2 } };
	struct mb_peers *peers;
	struct mb_fleet *fleet;
	struct mb_store *store;
	enum mb_quota_kind kind;
	struct mb_err err = { 0 };
	struct mb_peer *a, *b;
	uint64_t wait_ns;
	char path[128];
	bool new;

	(void)state;
	scratch_path("recall.db", path);
	assert_ok(mb_fleet_create(&fleet, &err), &err);
	assert_ok(mb_store_open(path, &store, &err), &err);
	assert_ok(mb_peers_create(&none, &q, &peers, &err), &err);
	put(store, fleet, "a1", "a", 20 << 20, HOUR_NS / 2);
	put(store, fleet, "a2", "a", 10 << 20, HOUR_NS + HOUR_NS / 2);
	put(store, fleet, "b1", "b", 30 << 20, 30 * HOUR_NS);
	put(store, fleet, "c1", "", 99 << 20, 0);
	assert_ok(mb_recall(peers, fleet, store, NOW_NS, now_unix_ns, &err), &err);
	assert_int_equal(mb_peers_count(peers), 2);

	assert_ok(mb_peers_join(peers, "a", false, NOW_NS, &a, &err), &err);
	assert_fails(mb_peer_claim_vm(a, "a3", &new, &err), EDQUOT, &err, "quota of 2 VMs");
	assert_ok(mb_peer_claim_vm(a, "a1", &new, &err), &err);
	/* 10, less an hour's one, and 20: five too many. */
	assert_int_equal(mb_flow_take(&a->flow, a->quota, 1, NOW_NS, &kind, &wait_ns, &err),
			 -EDQUOT);
	assert_int_equal(kind, MB_QUOTA_MB_PER_DAY);
	assert_in_range(wait_ns, 5 * HOUR_NS - 1000, 5 * HOUR_NS + 1000);
	/* What b sent was yesterday. */
	assert_ok(mb_peers_join(peers, "b", false, NOW_NS, &b, &err), &err);
	assert_int_equal(b->n_vms, 1);
	assert_ok(mb_flow_take(&b->flow, b->quota, 1, NOW_NS, &kind, &wait_ns, &err), &err);

	mb_peers_destroy(peers);
	mb_store_close(store);
	mb_fleet_destroy(fleet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vms_and_bytes),
	};

	return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
