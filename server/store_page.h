/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store as the source of fingerprints that were paged out. */
#ifndef MB_SERVER_STORE_PAGE_H
#define MB_SERVER_STORE_PAGE_H

#include "server/sharing.h"
#include "server/store.h"

/* `s` is the store of the thread that will ask; borrowed. */
struct mb_page_source mb_store_page_source(struct mb_store *s);

#endif
