// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_sql.h"

#include <inttypes.h>
#include <math.h>

#include "proto/base/cleanup.h"

static uint64_t column_u64(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

static void column_text(sqlite3_stmt *st, int at, char *to, size_t size)
{
	const unsigned char *text = sqlite3_column_text(st, at);

	snprintf(to, size, "%s", text ? (const char *)text : "");
}

static bool column_bytes(sqlite3_stmt *st, int at, void *to, int n)
{
	const void *blob = sqlite3_column_blob(st, at);

	if (!blob || sqlite3_column_bytes(st, at) != n)
		return false;
	memcpy(to, blob, (size_t)n);
	return true;
}

/* A power of two, of which the exponent is kept. */
static bool column_shift(sqlite3_stmt *st, int at, uint32_t *ret)
{
	uint64_t n = column_u64(st, at);

	if (!n || n & (n - 1) || n >> MB_SAMPLE_SHIFT_MAX > 1)
		return false;
	*ret = (uint32_t)__builtin_ctzll(n);
	return true;
}

/* As it came, or, from a damaged row, as it cannot be: then its frames say otherwise. */
static uint32_t column_cut_bits(sqlite3_stmt *st, int at)
{
	return (uint32_t)MB_MIN(column_u64(st, at), (uint64_t)UINT32_MAX);
}

static int column_vm(sqlite3_stmt *st, struct mb_vm *vm, struct mb_multiset_hash *ret_hash,
		     struct mb_err *err)
{
	uint8_t hash[MB_MULTISET_HASH_BYTES], zero[8];

	*vm = (struct mb_vm){ .id = sqlite3_column_int64(st, 0) };
	column_text(st, 1, vm->name, sizeof(vm->name));
	column_text(st, 2, vm->host, sizeof(vm->host));
	column_text(st, 3, vm->source, sizeof(vm->source));
	column_text(st, 4, vm->tracker, sizeof(vm->tracker));
	vm->memory_bytes = column_u64(st, 5);
	vm->identity.algorithm = (enum mb_algorithm)sqlite3_column_int(st, 6);
	vm->identity.page_bytes = (uint32_t)column_u64(st, 7);
	vm->identity.bits = (uint32_t)column_u64(st, 8);
	vm->identity.keyed = sqlite3_column_int(st, 9);
	column_text(st, 10, vm->identity.domain, sizeof(vm->identity.domain));
	vm->epoch = column_u64(st, 13);
	vm->acked_unix_ns = column_u64(st, 15);
	vm->pass.taken_unix_ns = column_u64(st, 16);
	vm->pass.epochs = (uint32_t)column_u64(st, 17);
	vm->pass.pages_changed = column_u64(st, 18);
	vm->pass.pages_unread = column_u64(st, 19);
	vm->pass.duration_ns = column_u64(st, 20);
	vm->pass.cpu_ns = column_u64(st, 21);
	vm->pass.full = sqlite3_column_int(st, 22);
	vm->wire_bytes = column_u64(st, 23);
	vm->sample.cut_bits = column_cut_bits(st, 25);
	column_text(st, 26, vm->writer, sizeof(vm->writer));
	if (!column_shift(st, 24, &vm->sample.shift))
		return mb_fail(err, EBADMSG, "its sample is of 1 in %lld",
			       (long long)sqlite3_column_int64(st, 24));
	if (!column_bytes(st, 11, zero, sizeof(zero)) ||
	    !column_bytes(st, 12, vm->boot.id, MB_BOOT_BYTES) ||
	    !column_bytes(st, 14, hash, sizeof(hash)))
		return mb_fail(err, EBADMSG, "its row has a field of the wrong length");
	vm->identity.zero_digest = mb_get_le64(zero);
	ret_hash->lo = mb_get_le64(hash);
	ret_hash->hi = mb_get_le64(hash + 8);
	return mb_identity_check(&vm->identity, err);
}

int mb_sql_load_frames(struct mb_store *s, struct mb_vm *vm, struct mb_fingerprint *ret,
		       struct mb_sample_of *ret_sample, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SELECT_FRAMES);
	int r, step;

	*ret_sample = (struct mb_sample_of){ 0 };
	sqlite3_bind_int64(st, 1, vm->id);
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
		struct mb_slice frame = { sqlite3_column_blob(st, 1),
					  (size_t)sqlite3_column_bytes(st, 1) };

		vm->log_seq = column_u64(st, 0);
		if (vm->log_seq)
			vm->log_bytes += frame.len;
		else
			vm->snapshot_bytes = frame.len;
		r = mb_store_apply(frame, vm->identity.bits, &raw, &msg, ret, err);
		if (r < 0)
			return mb_fail_in(err, r, "its frame %" PRIu64, vm->log_seq);
		*ret_sample = msg.delta.sample;
	}
	return step == SQLITE_DONE ? 0 : mb_sql_fail(s, err);
}

static int load_fingerprint(struct mb_store *s, struct mb_vm *vm, struct mb_multiset_hash hash,
			    struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	char frames[MB_SMALL_TEXT], row[MB_SMALL_TEXT];
	struct mb_sample_of sample;
	int r = mb_sql_load_frames(s, vm, &fp, &sample, err);

	if (r < 0)
		return r;
	if (!mb_multiset_hash_equal(fp.hash, hash))
		return mb_fail(err, EBADMSG,
			       "its frames do not give the fingerprint of epoch %" PRIu64,
			       vm->epoch);
	if (!mb_small_alike(&sample, &vm->sample)) {
		mb_small_text(&sample, frames);
		mb_small_text(&vm->sample, row);
		return mb_fail(err, EBADMSG, "its frames are %s, its row says %s", frames, row);
	}
	vm->sample = sample;
	if (!mb_small_is_all(&sample))
		mb_sample_self_sharing(&sample, &vm->sharing);
	else
		mb_fingerprint_self_sharing(&fp, vm->identity.zero_digest, &vm->sharing);
	vm->fp = mb_fpref_new(&fp);
	return vm->fp ? 0 : mb_fail_mem(err, "a fingerprint");
}

int mb_store_load(struct mb_store *s,
		  int (*each)(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err),
		  void *ctx, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SELECT_VMS);
	int r, step;

	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		struct mb_multiset_hash hash = { 0 };
		struct mb_err damage = { 0 };
		struct mb_vm vm;

		r = column_vm(st, &vm, &hash, &damage);
		if (r == 0)
			r = load_fingerprint(s, &vm, hash, &damage);
		/* What could not be read is not damaged; starting without it would lose it. */
		if (r == -ENOMEM || r == -EIO || r == -EBUSY || r == -ENOSPC || r == -EUCLEAN ||
		    r == -EROFS) {
			if (err)
				*err = damage;
			return mb_fail_in(err, r, "VM %s", vm.name);
		}
		if (r < 0)
			vm.epoch = 0;
		r = each(ctx, &vm, r < 0 ? damage.text : NULL, err);
		if (r < 0)
			return r;
	}
	return step == SQLITE_DONE ? 0 : mb_sql_fail(s, err);
}

int mb_store_newest(struct mb_store *s, uint64_t *ret_unix_ns, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_NEWEST);
	int step = sqlite3_step(st);

	*ret_unix_ns = step == SQLITE_ROW ? column_u64(st, 0) : 0;
	return step == SQLITE_ROW || step == SQLITE_DONE ? 0 : mb_sql_fail(s, err);
}

int mb_store_most_here(struct mb_store *s, uint64_t since_unix_ns,
		       int (*each)(void *ctx, const char *vm, const char *host, uint64_t here,
				   uint64_t here_error),
		       void *ctx, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SELECT_MOST_HERE);
	int step = SQLITE_DONE, r = 0;

	mb_sql_bind_u64(st, 1, since_unix_ns);
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		r = each(ctx, (const char *)sqlite3_column_text(st, 0),
			 (const char *)sqlite3_column_text(st, 1), column_u64(st, 2),
			 column_u64(st, 3));
	return r == 0 && step != SQLITE_DONE ? mb_sql_fail(s, err) : r;
}

int mb_store_taken(struct mb_store *s, uint64_t now_unix_ns, uint64_t within_ns,
		   int (*each)(void *ctx, const char *writer, uint64_t hours_ago, uint64_t bytes),
		   void *ctx, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SELECT_TAKEN);
	int step = SQLITE_DONE, r = 0;

	mb_sql_bind_u64(st, 1, now_unix_ns);
	mb_sql_bind_u64(st, 2, within_ns);
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		/* By a clock that was ahead: just now. */
		sqlite3_int64 hours = MB_MAX(sqlite3_column_int64(st, 1), (sqlite3_int64)0);

		r = each(ctx, (const char *)sqlite3_column_text(st, 0), (uint64_t)hours,
			 column_u64(st, 2));
	}
	return r == 0 && step != SQLITE_DONE ? mb_sql_fail(s, err) : r;
}

int mb_store_history(struct mb_store *s, const char *vm_name, uint32_t limit,
		     int (*each)(void *ctx, const struct mb_history_row *row), void *ctx,
		     struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SELECT_HISTORY);
	sqlite3_int64 id;
	int step = SQLITE_DONE, r = mb_sql_find_vm(s, vm_name, &id, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, id);
	mb_sql_bind_u64(st, 2, limit);
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct mb_history_row row = {
			.at_unix_ns = column_u64(st, 1),
			.epoch = column_u64(st, 2),
			.epochs = column_u64(st, 3),
			.sharing = { column_u64(st, 4), column_u64(st, 5), column_u64(st, 6),
				     column_u64(st, 7), column_u64(st, 8) },
			.changed = column_u64(st, 9),
			.added = column_u64(st, 10),
			.removed = column_u64(st, 11),
			.unread = column_u64(st, 12),
			.wire_bytes = column_u64(st, 13),
			.duration_ns = column_u64(st, 14),
			.cpu_ns = column_u64(st, 15),
			.full = sqlite3_column_int(st, 16),
			.tracker = (const char *)sqlite3_column_text(st, 17),
			.acked_unix_ns = column_u64(st, 18),
			.has_read = sqlite3_column_type(st, 19) != SQLITE_NULL,
			.read = column_u64(st, 19),
			.audit = { .audits = (uint32_t)column_u64(st, 20),
				   .doubted = (uint32_t)column_u64(st, 26),
				   .flagged = column_u64(st, 24),
				   .flagged_changed = column_u64(st, 25) },
			.recall = mb_sql_column_ratio(st, 21),
			.recall_all = mb_sql_column_ratio(st, 22),
			.precision = mb_sql_column_ratio(st, 23),
			.has_inter = sqlite3_column_type(st, 27) != SQLITE_NULL,
			.inter = column_u64(st, 27),
			.inter_error = column_u64(st, 28),
		};

		if (row.audit.audits)
			r = mb_sql_load_audit(s, id, row.acked_unix_ns, &row.audit, err);
		if (r == 0)
			r = each(ctx, &row);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = mb_sql_fail(s, err);
	return r;
}
