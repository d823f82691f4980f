// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_churn.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_server.h"

/* Epochs of web1: 50 digests each, that start at 100 x epoch / 10, so that 40 are as before. */
static void put_epoch(struct mb_store *s, struct mb_vm *vm, uint32_t epochs, uint64_t changed,
		      const struct mb_who *who)
{
	struct mb_epoch_record rec = { .added = 10, .removed = 11 };
	struct mb_buf frame = { 0 }, list = { 0 };
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };

	vm->epoch += epochs;
	make_fingerprint_of(100 + 10 * vm->epoch, 1, 50, &fp);
	make_frame(mb_fpref_fingerprint(vm->fp), vm->epoch - epochs, &fp, vm->epoch, 64, &frame);
	vm->acked_unix_ns += 1000;
	vm->pass.taken_unix_ns = vm->acked_unix_ns - 500;
	vm->pass.epochs = epochs;
	vm->pass.pages_changed = changed;
	mb_fingerprint_self_sharing(&fp, 0, &vm->sharing);
	mb_fpref_put(vm->fp);
	vm->fp = mb_fpref_new(&fp);
	if (who)
		mb_who_encode(who, 9, &list);
	rec.frame = mb_buf_slice(&frame);
	rec.who = mb_buf_slice(&list);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_epoch(s, vm, &rec, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	mb_buf_deinit(&frame);
	mb_buf_deinit(&list);
}

static struct mb_store *fill(const char *name, struct mb_vm *vm, const struct mb_who *who)
{
	struct mb_fingerprint fp;
	struct mb_store *s;
	struct mb_err err = { 0 };
	char path[128];

	scratch_path(name, path);
	assert_ok(mb_store_open(path, &s, &err), &err);
	make_fingerprint_of(130, 1, 50, &fp);
	make_vm("web1", 3, &fp, vm);
	mb_fingerprint_deinit(&fp);
	vm->pass.epochs = 3;
	vm->pass.pages_changed = 50;
	vm->pass.taken_unix_ns = vm->acked_unix_ns - 500;
	store_vm(s, vm);
	put_epoch(s, vm, 1, 10, who);
	put_epoch(s, vm, 2, 25, who);
	return s;
}

static void test_sums(void **state)
{
	struct mb_err err = { 0 };
	struct mb_store_churn c;
	struct mb_store *s;
	struct mb_vm vm;
	uint64_t first;

	(void)state;
	s = fill("sums.db", &vm, NULL);
	first = vm.acked_unix_ns - 2000;
	assert_ok(mb_store_churn(s, "web1", 0, &c, &err), &err);
	assert_int_equal(c.deltas, 3);
	/* The first row's passes are all there were: what it calls changed is not. */
	assert_int_equal(c.epochs, 3);
	assert_int_equal(c.changed, 35);
	assert_int_equal(c.added, 20);
	assert_int_equal(c.removed, 22);
	assert_int_equal(c.first_unix_ns, first - 500);
	assert_int_equal(c.last_unix_ns, first + 1500);
	assert_true(c.pages == 50 && c.distinct == 50 && c.zero == 0);
	assert_int_equal(c.inter_times, 0);
	/* Since a time: the last one alone. */
	assert_ok(mb_store_churn(s, "web1", first + 1500, &c, &err), &err);
	assert_int_equal(c.deltas, 1);
	assert_int_equal(c.changed, 25);
	assert_ok(mb_store_churn(s, "web1", first + 1501, &c, &err), &err);
	assert_int_equal(c.deltas + c.changed + c.first_unix_ns, 0);
	assert_fails(mb_store_churn(s, "web2", 0, &c, &err), ENOENT, &err, "web2");
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

static void test_inter(void **state)
{
	struct mb_sharing_record r = { .partner = "web2" };
	const uint64_t inter[] = { 30, 10, 20 };
	struct mb_err err = { 0 };
	struct mb_store_churn c;
	struct mb_store *s;
	struct mb_vm vm;

	(void)state;
	s = fill("inter.db", &vm, NULL);
	r.vm_id = vm.id;
	for (int i = 0; i < 3; i++) {
		r.acked_unix_ns = 1000 + (uint64_t)i;
		r.inter = inter[i];
		assert_ok(mb_store_put_sharing(s, &r, 1, 5000, &err), &err);
	}
	assert_ok(mb_store_churn(s, "web1", 0, &c, &err), &err);
	assert_int_equal(c.inter_times, 3);
	assert_true(c.inter_mean == 20);
	assert_int_equal(c.inter_first, 30);
	assert_int_equal(c.inter_last, 20);
	assert_int_equal(c.inter_least, 10);
	assert_int_equal(c.inter_most, 30);
	assert_ok(mb_store_churn(s, "web1", 1001, &c, &err), &err);
	assert_int_equal(c.inter_first, 10);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

static int sum_frames(void *ctx, const struct mb_who_row *row)
{
	*(uint64_t *)ctx += mb_who_frames(row->frames);
	return 0;
}

static void test_who(void **state)
{
	static const struct mb_who_row row = { "cc1", "/ci", { [MB_WHO_REWRITE] = 7 } };
	struct mb_who who = { 0 };
	struct mb_err err = { 0 };
	struct mb_store *s;
	struct mb_vm vm;
	uint64_t frames = 0, rows;

	(void)state;
	mb_who_put(&who, &row);
	s = fill("who.db", &vm, &who);
	assert_ok(mb_store_churn_who(s, "web1", 0, sum_frames, &frames, &rows, &err), &err);
	assert_int_equal(frames, 14);
	assert_int_equal(rows, 2);
	frames = 0;
	assert_ok(mb_store_churn_who(s, "web1", vm.acked_unix_ns, sum_frames, &frames, &rows, &err),
		  &err);
	assert_int_equal(frames, 7);
	assert_int_equal(rows, 1);
	assert_fails(mb_store_churn_who(s, "x", 0, sum_frames, &frames, &rows, &err), ENOENT, &err,
		     "x");
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

struct seen {
	uint64_t epochs[4], first[4];
	int n, stop_at;
};

static int see(void *ctx, const struct mb_delta_msg *delta, const struct mb_fingerprint *fp,
	       struct mb_err *err)
{
	struct seen *s = ctx;

	if (s->stop_at && s->n + 1 == s->stop_at)
		return mb_fail(err, ECANCELED, "enough");
	assert_true(s->n < 4);
	assert_int_equal(fp->n_pages, 50);
	s->epochs[s->n] = delta->epoch;
	s->first[s->n++] = fp->digests[0];
	return 0;
}

static void test_replay(void **state)
{
	struct seen seen = { .n = 0 };
	struct mb_err err = { 0 };
	struct mb_store *s;
	struct mb_vm vm;

	(void)state;
	s = fill("replay.db", &vm, NULL);
	assert_ok(mb_store_replay(s, "web1", 64, see, &seen, &err), &err);
	assert_int_equal(seen.n, 3);
	for (int i = 0; i < 3; i++) {
		static const uint64_t epochs[] = { 3, 4, 6 };

		assert_int_equal(seen.epochs[i], epochs[i]);
		assert_int_equal(seen.first[i], 100 + 10 * epochs[i]);
	}
	seen = (struct seen){ .stop_at = 2 };
	assert_fails(mb_store_replay(s, "web1", 64, see, &seen, &err), ECANCELED, &err, "enough");
	assert_fails(mb_store_replay(s, "web9", 64, see, &seen, &err), ENOENT, &err, "web9");
	/* With another number of bits the bytes say something else, or nothing. */
	seen.stop_at = 0;
	assert_fails(mb_store_replay(s, "web1", 48, see, &seen, &err), EBADMSG, &err,
		     "VM web1, its frame");
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_inter),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
