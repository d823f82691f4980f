/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A /proc of our own, in a folder: what is written to its files stays there, to be looked at. */
#ifndef MB_UTIL_PROC_H
#define MB_UTIL_PROC_H

#include "tests/unit/util_test.h"

extern char proc_root[];

/* cmocka's; for a group or each test. */
int proc_make(void **state);
int proc_clean(void **state);

void proc_folder(const char *name);
void proc_put(const char *name, const char *text);
void proc_put_word(const char *name, uint64_t index, uint64_t word); /* of 8 bytes each */
void proc_remove(const char *name);
void proc_assert_holds(const char *name, const char *text);

/* A process with one thread, a name that tries to confuse, and no pages in its maps. */
void proc_process(int id, char state, uint64_t start, const char *maps);

#endif
