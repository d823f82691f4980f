// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_store.h"

#include <sqlite3.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_wire.h"

char store_path[128];

struct mb_store *open_store(void)
{
	struct mb_store *s;
	struct mb_err err = { 0 };

	assert_ok(mb_store_open(store_path, &s, &err), &err);
	return s;
}

int fresh_store(void **state)
{
	static int n;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, store_path);
	return 0;
}

void store_sql(const char *text)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	sqlite3_close(db);
}

uint64_t store_count(const char *query)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	uint64_t n;

	assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

int on_loaded_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err)
{
	struct loaded *l = ctx;

	assert_true(l->n < 8);
	snprintf(l->damage[l->n], sizeof(l->damage[0]), "%s", damage ? damage : "");
	l->vms[l->n++] = *vm;
	return l->result ? mb_fail(err, -l->result, "enough") : 0;
}

void load_store(struct mb_store *s, struct loaded *ret)
{
	struct mb_err err = { 0 };

	*ret = (struct loaded){ 0 };
	assert_ok(mb_store_load(s, on_loaded_vm, ret, &err), &err);
}

void unload_store(struct loaded *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		mb_vm_deinit(&l->vms[i]);
	l->n = 0;
}

void store_one(struct mb_store *s, struct mb_vm *ret)
{
	struct mb_fingerprint fp;

	make_fingerprint_of(100, 1, 50, &fp);
	make_vm("web1", 3, &fp, ret);
	mb_fingerprint_deinit(&fp);
	strcpy(ret->host, "host1");
	store_vm(s, ret);
}

int put_delta(struct mb_store *s, struct mb_vm *vm, uint64_t first, size_t n, struct mb_err *err)
{
	struct mb_epoch_record rec = { .added = 11, .removed = 12 };
	struct mb_buf frame = { 0 };
	struct mb_fingerprint fp;
	int r;

	make_fingerprint_of(first, 1, n, &fp);
	make_frame(mb_fpref_fingerprint(vm->fp), vm->epoch, &fp, vm->epoch + 1, 64, &frame);
	vm->epoch++;
	vm->acked_unix_ns++;
	mb_fingerprint_self_sharing(&fp, 0, &vm->sharing);
	mb_fpref_put(vm->fp);
	vm->fp = mb_fpref_new(&fp);
	rec.frame = mb_buf_slice(&frame);
	vm->wire_bytes = frame.len;
	r = mb_store_put_epoch(s, vm, &rec, err);
	mb_buf_deinit(&frame);
	return r;
}

void commit_delta(struct mb_store *s, struct mb_vm *vm, uint64_t first, size_t n)
{
	struct mb_err err = { 0 };

	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(put_delta(s, vm, first, n, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
}

int on_history_row(void *ctx, const struct mb_history_row *row)
{
	struct rows *r = ctx;

	assert_true(r->n < 16);
	assert_string_equal(row->tracker, "none");
	r->rows[r->n++] = *row;
	return r->result;
}

void get_history(struct mb_store *s, uint32_t limit, struct rows *ret)
{
	struct mb_err err = { 0 };

	*ret = (struct rows){ 0 };
	assert_ok(mb_store_history(s, "web1", limit, on_history_row, ret, &err), &err);
}

void commit_who(struct mb_store *s, struct mb_vm *vm, uint64_t first, const struct mb_who *who)
{
	struct mb_epoch_record rec = { 0 };
	struct mb_buf frame = { 0 }, list = { 0 };
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };

	make_fingerprint_of(first, 1, 50, &fp);
	make_frame(mb_fpref_fingerprint(vm->fp), vm->epoch, &fp, vm->epoch + 1, 64, &frame);
	vm->epoch++;
	vm->acked_unix_ns++;
	mb_fpref_put(vm->fp);
	vm->fp = mb_fpref_new(&fp);
	mb_who_encode(who, 9, &list);
	rec.frame = mb_buf_slice(&frame);
	rec.who = mb_buf_slice(&list);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_epoch(s, vm, &rec, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	mb_buf_deinit(&frame);
	mb_buf_deinit(&list);
}

int on_who_row(void *ctx, const struct mb_who_row *row)
{
	struct who_rows *w = ctx;

	assert_true(w->n < 8);
	w->rows[w->n++] = *row;
	return w->result;
}

void get_who(struct mb_store *s, uint32_t limit, struct who_rows *ret)
{
	struct mb_err err = { 0 };

	*ret = (struct who_rows){ 0 };
	assert_ok(mb_store_who(s, "web1", limit, on_who_row, ret, &ret->counted, &err), &err);
}
