// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_churn.h"

#include <inttypes.h>

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "server/store_sql.h"

static uint64_t column_u64(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

/* --- sums of rows ----------------------------------------------------------------------------- */

static int sum_history(struct mb_store *s, sqlite3_int64 id, uint64_t since_unix_ns,
		       struct mb_store_churn *ret, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SUM_HISTORY);

	sqlite3_bind_int64(st, 1, id);
	mb_sql_bind_u64(st, 2, since_unix_ns);
	if (sqlite3_step(st) != SQLITE_ROW)
		return mb_sql_fail(s, err);
	*ret = (struct mb_store_churn){
		.deltas = column_u64(st, 0),
		.first_unix_ns = column_u64(st, 1),
		.last_unix_ns = column_u64(st, 2),
		.pages = sqlite3_column_double(st, 3),
		.distinct = sqlite3_column_double(st, 4),
		.zero = sqlite3_column_double(st, 5),
		.epochs = column_u64(st, 6),
		.changed = column_u64(st, 7),
		.added = column_u64(st, 8),
		.removed = column_u64(st, 9),
	};
	return 0;
}

static int sum_sharing(struct mb_store *s, sqlite3_int64 id, uint64_t since_unix_ns,
		       struct mb_store_churn *ret, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SUM_SHARING);

	sqlite3_bind_int64(st, 1, id);
	mb_sql_bind_u64(st, 2, since_unix_ns);
	if (sqlite3_step(st) != SQLITE_ROW)
		return mb_sql_fail(s, err);
	ret->inter_times = column_u64(st, 0);
	ret->inter_mean = sqlite3_column_double(st, 1);
	ret->inter_least = column_u64(st, 2);
	ret->inter_most = column_u64(st, 3);
	ret->inter_first = column_u64(st, 4);
	ret->inter_last = column_u64(st, 5);
	return 0;
}

int mb_store_churn(struct mb_store *s, const char *vm_name, uint64_t since_unix_ns,
		   struct mb_store_churn *ret, struct mb_err *err)
{
	sqlite3_int64 id;
	int r = mb_sql_find_vm(s, vm_name, &id, err);

	if (r == 0)
		r = sum_history(s, id, since_unix_ns, ret, err);
	return r < 0 ? r : sum_sharing(s, id, since_unix_ns, ret, err);
}

int mb_store_churn_who(struct mb_store *s, const char *vm_name, uint64_t since_unix_ns,
		       int (*each)(void *ctx, const struct mb_who_row *row), void *ctx,
		       uint64_t *ret_rows, struct mb_err *err)
{
	sqlite3_int64 id;
	int r = mb_sql_find_vm(s, vm_name, &id, err);

	*ret_rows = 0;
	return r < 0 ? r :
		       mb_store_sum_who(s, SQL_SUM_WHO, id, since_unix_ns, each, ctx, ret_rows,
					err);
}

/* --- the log ---------------------------------------------------------------------------------- */

int mb_store_apply(struct mb_slice frame, uint32_t bits, struct mb_buf *raw, struct mb_msg *msg,
		   struct mb_fingerprint *fp, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	struct mb_fingerprint next;
	int r;

	if ((r = mb_frame_take(&frame, MB_FRAME_RAW_MAX, raw, err)) < 0 ||
	    (r = mb_msg_unpack(mb_buf_slice(raw), msg, err)) < 0)
		return r;
	if (msg->type != MB_MSG_DELTA)
		return mb_fail(err, EBADMSG, "a %s message", mb_msg_type_name(msg->type));
	if ((r = mb_delta_decode(&msg->delta.fields, mb_small_bits(&msg->delta.sample, bits),
				 &delta, err)) < 0 ||
	    (r = mb_delta_apply(fp, &delta, &next, err)) < 0)
		return r;
	mb_fingerprint_deinit(fp);
	*fp = next;
	return 0;
}

int mb_store_replay(struct mb_store *s, const char *vm_name, uint32_t bits,
		    int (*each)(void *ctx, const struct mb_delta_msg *delta,
				const struct mb_fingerprint *fp, struct mb_err *err),
		    void *ctx, struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = NULL;
	sqlite3_int64 id;
	int step, r = mb_sql_find_vm(s, vm_name, &id, err);

	if (r < 0)
		return r;
	st = mb_sql_get(s, SQL_SELECT_FRAMES);
	sqlite3_bind_int64(st, 1, id);
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
		struct mb_slice frame = { sqlite3_column_blob(st, 1),
					  (size_t)sqlite3_column_bytes(st, 1) };

		r = mb_store_apply(frame, bits, &raw, &msg, &fp, err);
		if (r < 0)
			return mb_fail_in(err, r, "VM %s, its frame %" PRIu64, vm_name,
					  column_u64(st, 0));
		r = each(ctx, &msg.delta, &fp, err);
		if (r < 0)
			return r;
	}
	return step == SQLITE_DONE ? 0 : mb_sql_fail(s, err);
}
