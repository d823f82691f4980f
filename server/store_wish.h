/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What operators want of an execution that is under way: written down before they are told so, and
 * carried out by who drives it (server/executor.h), be it a server after the one that was asked.
 */
#ifndef MB_SERVER_STORE_WISH_H
#define MB_SERVER_STORE_WISH_H

#include "server/store.h"

enum mb_wish_kind {
	MB_WISH_CANCEL,	 /* the whole execution is to end */
	MB_WISH_ARRIVED, /* the VM of a lost move is where it was to go */
	MB_WISH_STAYED,	 /* it is where it was */
	MB_WISH_KINDS
};

struct mb_wish {
	int64_t id; /* the store's; later ones have greater ones */
	int64_t execution;
	uint32_t move; /* from 0; of CANCEL: 0 */
	enum mb_wish_kind kind;
};

const char *mb_wish_name(enum mb_wish_kind kind);
/* MB_WISH_KINDS: there is none of that name. */
enum mb_wish_kind mb_wish_find(const char *name);

/* Durable when it returns 0; sets wish->id. -ENOENT: no such execution; -EALREADY: it has ended. */
int mb_store_put_wish(struct mb_store *s, struct mb_wish *wish, uint64_t at_unix_ns,
		      struct mb_err *err);
/* Those of one execution, in the order in which they came. Stops when `each` returns other than 0.
 */
int mb_store_wishes(struct mb_store *s, int64_t execution,
		    int (*each)(void *ctx, const struct mb_wish *wish), void *ctx,
		    struct mb_err *err);
/* They have been carried out: those of an execution up to this one. */
int mb_store_drop_wishes(struct mb_store *s, int64_t execution, int64_t up_to, struct mb_err *err);

#endif
