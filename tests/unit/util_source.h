/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Driving a source as the pass does, pages of known content, and files that go away. */
#ifndef MB_UTIL_SOURCE_H
#define MB_UTIL_SOURCE_H

#include "agent/source.h"
#include "tests/unit/util_test.h"

struct taken {
	struct mb_page *pages;
	size_t n;
	uint64_t unread[MB_UNREAD_REASONS];
};

extern const struct mb_source_options with_xxh64;
/* Opens `uri` with XXH64; fails the test if it does not. */
struct mb_source *open_source(const char *uri);
void assert_open_fails(const char *uri, int code, const char *word);
/* Reads what is left of the epoch, `cap` pages a call, and checks the contract on the way. */
int read_epoch(struct mb_source *s, size_t cap, struct taken *ret, struct mb_err *err);
/* begin() and read_epoch(); both must work. */
void take_epoch(struct mb_source *s, const struct mb_frame_set *only, size_t cap,
		struct taken *ret);
void free_taken(struct taken *t);
/* NULL when the frame was not read. */
const struct mb_page *find_frame(const struct taken *t, uint64_t frame);

/* Page `i` of the test pattern `salt`; every sixth page is all zero. */
void fill_page(uint8_t page[MB_PAGE_BYTES], uint32_t salt, uint32_t i);
void assert_page(const struct taken *t, uint64_t frame, uint32_t salt, uint32_t i);

/* Writes a file of its own to a new folder, or over it; the path lives until the program ends. */
const char *temp_file(const char *name, const void *data, size_t n);

#endif
