/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's fingerprint as the server holds it: shared by reference, immutable, with what lasts of it.
 *
 * It is whole, or *paged out*: of the digests only those below a threshold are left (a sample,
 * server/sample.h), the store has all of them. Its identity (pages, distinct digests, hash) is
 * known either way, so that what the store gives can be proved to be it.
 */
#ifndef MB_SERVER_FPREF_H
#define MB_SERVER_FPREF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/delta.h"
#include "server/change.h"
#include "server/durable.h"

struct mb_fpref;
/* Takes the fingerprint over. NULL: out of memory (then it is still the caller's). */
struct mb_fpref *mb_fpref_new(struct mb_fingerprint *fp);
struct mb_fpref *mb_fpref_get(struct mb_fpref *ref);
void mb_fpref_put(struct mb_fpref *ref); /* NULL is fine */

/* Of the empty fingerprint where `ref` is NULL. */
struct mb_fingerprint_id mb_fpref_id(const struct mb_fpref *ref);
bool mb_fpref_is_paged_out(const struct mb_fpref *ref);
/* Only of one that is whole: NULL if it is paged out. */
const struct mb_fingerprint *mb_fpref_fingerprint(const struct mb_fpref *ref);
/* Good after mb_fleet_settle(); NULL: nothing is known, so all of it lasts. */
const struct mb_durable *mb_fpref_durable(const struct mb_fpref *ref);

/*
 * Its digests up to `max`, borrowed, with those that last if `lasting`. One that is paged out must
 * have been left as many.
 */
struct mb_kept_list mb_fpref_list(const struct mb_fpref *ref, uint64_t max, bool lasting);
/* Memory held, in bytes. */
size_t mb_fpref_bytes(const struct mb_fpref *ref);

/* The same fingerprint paged out, with its digests up to `max` left. NULL: out of memory. */
struct mb_fpref *mb_fpref_page_out(const struct mb_fpref *ref, uint64_t max);
/*
 * The same fingerprint whole again; takes `fp` over. -ESTALE: `fp` is another one. On error `fp` is
 * still the caller's.
 */
int mb_fpref_page_in(const struct mb_fpref *ref, struct mb_fingerprint *fp, struct mb_fpref **ret,
		     struct mb_err *err);

#endif
