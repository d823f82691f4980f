/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rotations of keys in the store: they outlive a server. Each call is a transaction of its own. */
#ifndef MB_SERVER_STORE_KEY_H
#define MB_SERVER_STORE_KEY_H

#include "server/key_rotation.h"
#include "server/store.h"

/* Durable when it returns 0; in place of the domain's last one. */
int mb_store_put_key_rotation(struct mb_store *s, const struct mb_key_rotation *r,
			      struct mb_err *err);
/* One that has ended. None there is fine. */
int mb_store_end_key_rotation(struct mb_store *s, const char *domain, struct mb_err *err);
/* All of them, by domain; `r` has no counts. */
int mb_store_key_rotations(struct mb_store *s,
			   int (*each)(void *ctx, const struct mb_key_rotation *r,
				       struct mb_err *err),
			   void *ctx, struct mb_err *err);

#endif
