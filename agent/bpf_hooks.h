/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where bpf/dirty.bpf.c hooks into the kernel: what this one has, how to get there, and what is
 * missed without it.
 */
#ifndef MB_BPF_HOOKS_H
#define MB_BPF_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"

enum mb_hook_way {
	MB_WAY_NONE, /* not there, or not allowed */
	MB_WAY_TRACEPOINT,
	MB_WAY_FEXIT,  /* a trampoline where the function returns */
	MB_WAY_KPROBE, /* kprobe and kretprobe: slower, and calls go past it */
};

enum mb_hook_need {
	MB_NEED_ALWAYS, /* without it there is no tracker */
	MB_NEED_PROOF,	/* without it clean is just a hint */
	MB_NEED_WHO,	/* only says what was done */
};

enum mb_hook_part {
	MB_PART_OWN,	/* of nothing else */
	MB_PART_FAULTS, /* of those that together see all faults that matter; by trampolines only */
	MB_PART_FAULT,	/* sees all of them alone, at more expense, where one of these is missing */
};

struct mb_hook {
	enum mb_hook_need need;
	enum mb_hook_part part;
	bool tracepoint;      /* else a function */
	const char *folio;    /* its name since the kernel has folios (5.16), or NULL: none then */
	const char *page;     /* its name before, or NULL */
	const char *followed; /* what is missed without it */
	bool huge;	      /* asked for only where there are transparent huge pages */
};

extern const struct mb_hook mb_hooks[];
extern const size_t mb_n_hooks;
enum { MB_HOOKS_MAX = 24 };

struct mb_hook_plan {
	const char *name[MB_HOOKS_MAX]; /* of mb_hooks[i] in this kernel; NULL: it needs none */
	enum mb_hook_way way[MB_HOOKS_MAX];
};

struct btf;
/*
 * Asks the kernel, by programs that do nothing; without `fexit` there are kprobes in its place.
 * -EOPNOTSUPP: one that is always needed is not there.
 */
int mb_hooks_probe(const struct btf *kernel, bool fexit, struct mb_hook_plan *ret,
		   struct mb_err *err);

/* Those that are there for this only are not asked for. */
void mb_hooks_leave_out(struct mb_hook_plan *plan, enum mb_hook_need need);
/* Nor those that are named by a "without-NAME," in a text. */
void mb_hooks_leave_out_named(struct mb_hook_plan *plan, const char *text);

/* "fexit" */
const char *mb_hook_way_name(enum mb_hook_way way);

#endif
