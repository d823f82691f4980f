/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names to numbers: the C library's hash table (hsearch), for fleets of 100000 VMs. */
#ifndef MB_SERVER_NAMES_H
#define MB_SERVER_NAMES_H

#include <search.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

#define MB_NO_NAME UINT32_MAX

struct mb_names {
	struct hsearch_data table;
	bool made;
};

/* Room for so many names. Given no storage of an old one. */
int mb_names_init(struct mb_names *names, size_t capacity, struct mb_err *err);
void mb_names_deinit(struct mb_names *names);

/* MB_NO_NAME if it is not there. */
uint32_t mb_names_find(struct mb_names *names, const char *name);
/* Its number: `number` if it is new (then the text is borrowed), else the one that it has. */
uint32_t mb_names_put(struct mb_names *names, const char *name, uint32_t number);

#endif
