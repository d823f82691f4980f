/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A /dev/mbwalk of a few ranges, which can be told to stop early, fail and lie. */
#ifndef MB_UTIL_MBWALK_H
#define MB_UTIL_MBWALK_H

#include "agent/mbwalk.h"
#include "tests/unit/util_source.h"

enum lie {
	HONEST,
	MANY_RECORDS, /* more than there is room for */
	STUCK,	      /* next stays where it was */
	BEHIND,	      /* next goes back */
	BEYOND,	      /* next is above first + n */
	NOT_ASCENDING,
	GONE,	    /* a frame that nobody knew */
	ZERO_PARTS, /* of a part that there is not */
	LOST_FRAMES,
	HUGE_COUNT, /* so that the sum wraps to what it should be */
	MANY_RANGES,
	OVERLAP,
	EMPTY_RANGE,
	WRAPPING_RANGE,
	OTHER_SUM,
};

struct fake_device {
	int open_result; /* 0: it opens */
	int opened, closed, inserted;
	const char *module; /* that insert was given */
	int insert_result;
	int open_result_then; /* once inserted */

	struct mbwalk_info info;
	struct mbwalk_range ranges[4];
	int info_result, scan_result;
	int more_ranges; /* appear, one by one, each time they are asked for */

	int eintr;     /* so many scans fail with -EINTR first */
	int eagain;    /* so many calls of any kind fail with -EAGAIN first */
	uint64_t most; /* frames a scan, 0: no limit */
	enum lie lie;
	int scans;
	struct mbwalk_scan last;
	bool free_scanned;
};
extern struct fake_device device;

/* A device of version 1 with these ranges, as many as have frames; in the place of the real one. */
void fake_device_init(const struct mbwalk_range *ranges, size_t n);
/* What a frame has: a digest, and a class or a reason. */
uint64_t fake_digest(uint64_t frame);
/* With parts; part k has fake_digest(frame * 64 + k). */
uint32_t fake_zero_parts(uint64_t frame);
/* enum mbwalk_count, or -1: it has a record. */
int fake_reason(uint64_t frame);
uint8_t fake_class(uint64_t frame);

#endif
