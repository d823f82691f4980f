// SPDX-License-Identifier: GPL-2.0-or-later
/* Fingerprints that were paged out, from the store again. */
#include "server/store_page.h"

#include "proto/base/cleanup.h"
#include "server/store_sql.h"

int mb_store_load_fingerprint(struct mb_store *s, const struct mb_vm *vm,
			      struct mb_fingerprint *ret, struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	struct mb_fingerprint_id expected = mb_fpref_id(vm->fp), id;
	struct mb_vm frames = { .id = vm->id, .identity = vm->identity };
	struct mb_sample_of sample;
	int r = mb_sql_load_frames(s, &frames, &fp, &sample, err);

	if (r < 0)
		return r;
	id = mb_fingerprint_id(&fp);
	if (!mb_fingerprint_id_equal(&id, &expected))
		return mb_fail(err, ESTALE, "the database has another fingerprint of it");
	*ret = fp;
	fp = (struct mb_fingerprint){ 0 };
	return 0;
}

/* A transaction that only reads begins with the first thing that it reads. */
int mb_store_freeze(struct mb_store *s, struct mb_err *err)
{
	if (sqlite3_exec(s->db, "BEGIN; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL) ==
	    SQLITE_OK)
		return 0;
	mb_sql_fail(s, err);
	mb_store_thaw(s);
	return -EIO;
}

void mb_store_thaw(struct mb_store *s)
{
	mb_store_rollback(s);
}

static int begin(void *ctx, struct mb_err *err)
{
	return mb_store_freeze(ctx, err);
}

static int load(void *ctx, const struct mb_vm *vm, struct mb_fingerprint *ret, struct mb_err *err)
{
	return mb_store_load_fingerprint(ctx, vm, ret, err);
}

static void end(void *ctx)
{
	mb_store_thaw(ctx);
}

struct mb_page_source mb_store_page_source(struct mb_store *s)
{
	return (struct mb_page_source){ begin, load, end, s };
}
