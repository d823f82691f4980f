// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/execution_drive.h"

#include "proto/base/cleanup.h"

struct drive {
	struct mb_execution *x;
	struct mb_mover *mover;
	mb_execution_save save;
	void *ctx;
	uint64_t now_ms;
};

static int save(struct drive *d, struct mb_err *err)
{
	int r = 0;

	if (d->x->changed)
		r = d->save(d->ctx, d->x, err);
	if (r == 0)
		mb_execution_saved(d->x);
	return r;
}

static int begin(struct drive *d, uint32_t move, const struct mb_migration *g, struct mb_err *err)
{
	struct mb_err why = { 0 };
	enum mb_begun said;
	int r = save(d, err);

	if (r < 0) {
		mb_execution_take_back(d->x, move, d->now_ms);
		return r;
	}
	said = d->mover->ops->begin(d->mover, g, d->now_ms, &why);
	mb_execution_begun(d->x, move, said, why.text, d->now_ms);
	return 0;
}

static void locate(struct drive *d, uint32_t move, const struct mb_migration *g)
{
	struct mb_err why = { 0 };
	const char *host = NULL;
	enum mb_located where = d->mover->ops->locate(d->mover, g, d->now_ms, &host, &why);

	mb_execution_located(d->x, move, where, host, why.text, d->now_ms);
}

static void poll(struct drive *d, uint32_t move, const struct mb_migration *g)
{
	struct mb_copied progress = { 0 };
	struct mb_err why = { 0 };
	enum mb_polled said = d->mover->ops->poll(d->mover, g, d->now_ms, &progress, &why);

	mb_execution_polled(d->x, move, said, &progress, why.text, d->now_ms);
}

static void cancel(struct drive *d, uint32_t move, const struct mb_migration *g)
{
	struct mb_err why = { 0 };
	enum mb_cancelled said = d->mover->ops->cancel(d->mover, g, d->now_ms, &why);

	mb_execution_cancelled(d->x, move, said, why.text, d->now_ms);
}

int mb_execution_drive(struct mb_execution *x, struct mb_mover *mover, mb_execution_save save_fn,
		       void *ctx, uint64_t now_ms, uint64_t *ret_wake_ms, struct mb_err *err)
{
	struct drive d = { x, mover, save_fn, ctx, now_ms };
	struct mb_order order;
	int r = 0;

	while (r == 0 && (order = mb_execution_step(x, now_ms)).kind != MB_ORDER_NONE) {
		struct mb_migration g;

		mb_execution_migration(x, order.move, &g);
		switch (order.kind) {
		case MB_ORDER_BEGIN:
			r = begin(&d, order.move, &g, err);
			break;
		case MB_ORDER_POLL:
			poll(&d, order.move, &g);
			break;
		case MB_ORDER_CANCEL:
			cancel(&d, order.move, &g);
			break;
		default:
			locate(&d, order.move, &g);
		}
	}
	if (r == 0)
		r = save(&d, err);
	*ret_wake_ms = r < 0 ? now_ms + x->options.poll_ms : order.wake_ms;
	return r;
}

static int keep_nothing(void *ctx, const struct mb_execution *x, struct mb_err *err)
{
	(void)ctx;
	(void)x;
	(void)err;
	return 0;
}

int mb_execution_rush(struct mb_execution *x, struct mb_mover *mover, uint64_t now_ms,
		      uint64_t steps_max, struct mb_err *err)
{
	int r = 0;

	for (uint64_t i = 0; i < steps_max && r == 0; i++) {
		r = mb_execution_drive(x, mover, keep_nothing, NULL, now_ms, &now_ms, err);
		if (mb_execution_has_ended(x))
			return r;
	}
	return r < 0 ? r : mb_fail(err, ELOOP, "the execution does not come to an end");
}
