/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages put in memory so that a walk must find them: where they are, and as
 * what. */
#ifndef UTIL_PLANT_H
#define UTIL_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util_walk.h"

struct plant {
	const char *what;
	const unsigned char *at;
	size_t n; /* pages */
	enum mbwalk_class cls;
	uint16_t flags;	  /* MBWALK_KSM, MBWALK_ZERO; the HUGE ones come from the
			     kernel's own word */
	uint64_t *frames; /* as the last look has found them */
};

struct plants {
	struct plant list[24];
	size_t n;
};

/* Private memory of n pages that is neither moved for huge pages nor swapped;
 * not touched yet. */
void *plant_memory(size_t n);
/* The pages have their content by now, and keep it. */
void plant_add(struct plants *p, const char *what, const void *at, size_t n, enum mbwalk_class cls,
	       uint16_t flags);
/* Where they are now. False: not where they were the last time. */
bool plant_look(struct plants *p);
/*
 * The walk must have each of the frames, with the digest, class and flags that
 * it must have, and those digests at no other frame. Says how many there are of
 * what.
 */
void plant_check(const struct plants *p, const struct walk *w, enum mbwalk_algorithm algorithm);

#endif
