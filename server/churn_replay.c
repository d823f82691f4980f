// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/churn_replay.h"

#include "proto/base/cleanup.h"

struct replay {
	uint64_t since_unix_ns;
	uint64_t skip; /* epochs */
	struct mb_churn *churn;
	mb_churn_row_fn each;
	void *ctx;
};

static int take_epoch(void *ctx, const struct mb_delta_msg *delta, const struct mb_fingerprint *fp,
		      struct mb_err *err)
{
	struct replay *r = ctx;
	struct mb_fingerprint copy;
	struct mb_churn_row row;
	int code;

	if (r->skip) {
		r->skip--;
		return 0;
	}
	if (delta->pass.taken_unix_ns < r->since_unix_ns)
		return 0;
	code = mb_fingerprint_copy(fp, &copy, err);
	if (code == 0)
		code = mb_churn_feed(r->churn, delta->pass.taken_unix_ns, &copy, NULL, &row, err);
	return code < 0 ? code : r->each(r->ctx, &row, err);
}

int mb_churn_replay(struct mb_store *s, const struct mb_vm *vm,
		    const struct mb_churn_config *config, uint64_t since_unix_ns,
		    uint64_t epochs_max, mb_churn_row_fn each, void *ctx, struct mb_err *err)
{
	struct replay replay = { .since_unix_ns = since_unix_ns, .each = each, .ctx = ctx };
	int r = mb_churn_create(config, &replay.churn, err);

	if (vm->log_seq + 1 > epochs_max)
		replay.skip = vm->log_seq + 1 - epochs_max;
	if (r == 0)
		r = mb_store_replay(s, vm->name, vm->identity.bits, take_epoch, &replay, err);
	mb_churn_destroy(replay.churn);
	/* Connected, but nothing is stored yet. */
	return r == -ENOENT ? 0 : r;
}
