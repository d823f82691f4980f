// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/churn_pool.h"

#include <math.h>

#include "proto/delta.h"
#include "proto/msg.h"
#include "tests/unit/util_server.h"

#define S ((uint64_t)1000000000)

static const struct mb_churn_config config = { .windows_ns = { 60 * S, 300 * S }, .n_windows = 2 };

static struct mb_store *open_store(const char *name)
{
	struct mb_store *s;
	struct mb_err err = { 0 };
	char path[128];

	scratch_path(name, path);
	assert_ok(mb_store_open(path, &s, &err), &err);
	return s;
}

/* As make_frame(), but taken at that time. */
static void make_frame_at(const struct mb_fingerprint *base, const struct mb_fingerprint *to,
			  uint64_t epoch, uint64_t taken_unix_ns, struct mb_buf *ret)
{
	const struct mb_fingerprint empty = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };
	struct mb_delta delta = { 0 };
	struct mb_buf fields = { 0 };
	struct mb_err err = { 0 };

	msg.delta.base_epoch = base ? epoch - 1 : 0;
	msg.delta.epoch = epoch;
	msg.delta.pass.taken_unix_ns = taken_unix_ns;
	msg.delta.pass.tracker = "none";
	assert_ok(mb_delta_make(base ? base : &empty, to, &delta, &err), &err);
	assert_ok(mb_delta_encode(&delta, 64, &fields, &msg.delta.fields, &err), &err);
	assert_ok(mb_msg_to_frame(&msg, ret, &err), &err);
	mb_delta_deinit(&delta);
	mb_buf_deinit(&fields);
}

/* The next epoch, 100 s after the last: [first, first + n), and a pair of each of [1, 1 + pairs).
 */
static void put(struct mb_store *s, struct mb_vm *vm, uint64_t first, size_t n, uint32_t pairs)
{
	struct mb_epoch_record rec = { 0 };
	struct mb_fingerprint fp, old = { 0 };
	struct mb_buf frame = { 0 };
	struct mb_err err = { 0 };
	char name[MB_NAME_MAX];

	assert_ok(mb_fingerprint_init(&fp, n + pairs, pairs, &err), &err);
	for (uint32_t i = 0; i < pairs; i++)
		mb_fingerprint_push(&fp, 1 + i, 2);
	for (size_t i = 0; i < n; i++)
		mb_fingerprint_push(&fp, first + i, 1);
	if (!vm->fp) {
		snprintf(name, sizeof(name), "%s", vm->name);
		make_vm(name, 0, &old, vm);
		mb_fpref_put(vm->fp);
		vm->fp = NULL;
	}
	rec.snapshot = !vm->fp;
	vm->epoch++;
	vm->acked_unix_ns = 1000 * S + vm->epoch * 100 * S;
	vm->pass.taken_unix_ns = vm->acked_unix_ns;
	make_frame_at(vm->fp ? mb_fpref_fingerprint(vm->fp) : NULL, &fp, vm->epoch,
		      vm->acked_unix_ns, &frame);
	vm->pass.epochs = 1;
	mb_fingerprint_self_sharing(&fp, 0, &vm->sharing);
	mb_fpref_put(vm->fp);
	vm->fp = mb_fpref_new(&fp);
	rec.frame = mb_buf_slice(&frame);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_epoch(s, vm, &rec, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	mb_buf_deinit(&frame);
}

/* a keeps 4 of 8 pairs and then all; b keeps its 2. Of what c has now a has 10, then 5 digests. */
static void fill(struct mb_store *s, struct mb_vm *a, struct mb_vm *b, struct mb_vm *c)
{
	*a = (struct mb_vm){ .name = "a" };
	*b = (struct mb_vm){ .name = "b" };
	*c = (struct mb_vm){ .name = "c" };
	put(s, a, 1000, 20, 8);
	put(s, a, 1005, 15, 4);
	put(s, a, 1005, 15, 4);
	put(s, b, 5000, 20, 2);
	put(s, b, 5000, 20, 2);
	put(s, c, 1000, 10, 0);
}

static void free_all(struct mb_store *s, struct mb_vm *a, struct mb_vm *b, struct mb_vm *c)
{
	mb_vm_deinit(a);
	mb_vm_deinit(b);
	mb_vm_deinit(c);
	mb_store_close(s);
}

static void test_adds_up(void **state)
{
	struct mb_store *s = open_store("sum.db");
	struct mb_vm a, b, c;
	const struct mb_vm *const vms[] = { &a, &b, &c };
	const struct mb_churn_kind_summary *self, *reference;
	struct mb_churn_pool p;
	struct mb_err err = { 0 };

	(void)state;
	fill(s, &a, &b, &c);
	assert_ok(mb_churn_pool(s, vms, 3, 0, &config, &p, &err), &err);
	/* c has one epoch: that tells of no change. */
	assert_int_equal(p.n_vms, 2);
	assert_int_equal(p.duration_ns, 200 * S);
	self = &p.kinds[MB_CHURN_SELF];
	/* Of 8, 4, and 2 that were sharable 4, 4 and 2 still were. */
	assert_true(fabs(self->kept - 10.0 / 14) < 1e-9);
	assert_true(fabs(self->pages - (16.0 / 3 + 2)) < 1e-9);
	/* Under observation: 6 and 4 for 100 s each, 2 for 100 s; lost: 4. */
	assert_int_equal(self->half_life.how, MB_HALF_LIFE_FITTED);
	assert_true(fabs(self->half_life.ns / (log(2) * 1200 * (double)S / 4) - 1) < 1e-9);
	/* Both were watched for a minute, none for five. */
	assert_int_equal(p.n_known[0], 2);
	assert_true(fabs(self->durable_pages[0] - (4 + 2)) < 1e-9);
	assert_true(isnan(self->durable_pages[1]));
	/* What others have now: c the 10 of a at first, 5 later; a and b the pairs 1 and 2. */
	assert_true(p.has_reference);
	reference = &p.kinds[MB_CHURN_REFERENCE];
	assert_true(fabs(reference->kept - (7.0 + 7 + 2) / (12 + 7 + 2)) < 1e-9);
	free_all(s, &a, &b, &c);
}

/* Without others, or with some that are not all there, there is no word of them. */
static void test_no_others(void **state)
{
	struct mb_store *s = open_store("alone.db");
	struct mb_vm a, b, c;
	const struct mb_vm *const vms[] = { &a, &b, &c };
	struct mb_churn_pool p;
	struct mb_err err = { 0 };

	(void)state;
	fill(s, &a, &b, &c);
	assert_ok(mb_churn_pool(s, vms, 1, 0, &config, &p, &err), &err);
	assert_int_equal(p.n_vms, 1);
	assert_false(p.has_reference);
	c.sample.shift = 4;
	assert_ok(mb_churn_pool(s, vms, 3, 0, &config, &p, &err), &err);
	assert_int_equal(p.n_vms, 2);
	assert_false(p.has_reference);
	assert_ok(mb_churn_pool(s, vms, 0, 0, &config, &p, &err), &err);
	assert_int_equal(p.n_vms, 0);
	/* Since a time after which there was one epoch at most. */
	assert_ok(mb_churn_pool(s, vms, 3, 1300 * S, &config, &p, &err), &err);
	assert_int_equal(p.n_vms, 0);
	free_all(s, &a, &b, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds_up),
		cmocka_unit_test(test_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
