/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "FILE,FILE...": a comma in a file's name cannot be written. */
#ifndef MB_FILE_LIST_H
#define MB_FILE_LIST_H

#include <stddef.h>

#include "proto/base/err.h"

struct mb_file_list {
	char *text;   /* the list, cut at the commas; owned */
	char **paths; /* [0, n), into text; owned */
	size_t n;
};

/* -EINVAL for a list without a file, or with an empty name in it. */
int mb_file_list_init(struct mb_file_list *l, const char *text, struct mb_err *err);
void mb_file_list_deinit(struct mb_file_list *l);

#endif
