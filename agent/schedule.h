/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a long-running command takes epochs, how many, and of which VM: options that they share. */
#ifndef MB_AGENT_SCHEDULE_H
#define MB_AGENT_SCHEDULE_H

#include <argp.h>
#include <stdint.h>

struct mb_schedule {
	uint64_t interval_ns; /* from one epoch's start to the next */
	uint64_t epochs;      /* 0: no end */
	const char *vm;	      /* NULL: not given */
};

/* A child parser for argp; its input is a struct mb_schedule with the defaults. */
extern const struct argp mb_schedule_argp;

#endif
