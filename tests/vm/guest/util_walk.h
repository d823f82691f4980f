/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scans, with what must hold for each of them checked: each frame has a record
 * or is counted, records ascend, lie in what was asked for, and say nothing
 * that mbwalk.h does not know.
 */
#ifndef UTIL_WALK_H
#define UTIL_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmod/mbwalk.h"

#define MBWALK_PATH "/dev/" MBWALK_DEVICE

enum { PAGE = 4096 };

struct walk {
	struct mbwalk_record *records; /* [0, n), mapped for `cap`; owned */
	size_t n, cap;
	uint64_t *digests; /* with parts: [0, n * parts), mapped for MBWALK_PARTS_MAX; owned */
	uint64_t counts[MBWALK_COUNTS];
	uint64_t next;
	size_t calls;
};

int walk_open(void);
void walk_info(int fd, struct mbwalk_info *info);

/* All memory there is. */
struct mbwalk_scan walk_args(int fd, enum mbwalk_algorithm algorithm, unsigned int flags);
/*
 * From args->first on until the end or, with `once`, for one call. With
 * cap_records 0 as many as needed at a time. `w` is emptied first, its mapping
 * kept: {0} when it is new.
 */
void walk(int fd, const struct mbwalk_scan *args, bool once, struct walk *w);
void walk_all(int fd, enum mbwalk_algorithm algorithm, unsigned int flags, struct walk *w);
void walk_release(struct walk *w);

/* NULL: it has none. */
const struct mbwalk_record *walk_find(const struct walk *w, uint64_t frame);
uint64_t walk_counted(const struct walk *w);
size_t walk_of_class(const struct walk *w, enum mbwalk_class cls);

const char *class_name(unsigned int cls);
const char *count_name(unsigned int count);

#endif
