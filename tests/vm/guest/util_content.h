/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages of known content, and what user space's own hashes make of them. */
#ifndef UTIL_CONTENT_H
#define UTIL_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "kmod/mbwalk.h"

/* Written in place: no second copy is left behind in memory. */
void content_fill(void *page, uint64_t content);
uint64_t content_digest(enum mbwalk_algorithm algorithm, const void *page);
/* Of a part of a page. */
uint64_t content_part(enum mbwalk_algorithm algorithm, const void *part, size_t bytes);

#endif
