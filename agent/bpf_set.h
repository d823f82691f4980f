/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs of bpf/dirty.bpf.c in the kernel: loaded, attached, counted.
 *
 * The kernel passes over a program that is met while it is running on the same CPU, and counts
 * that. Where it may preempt programs that happens all the time: who runs instead meets the same
 * ones. So there may be a second set that shares the maps of the first. What comes while a program
 * of the one is held up is seen by the other's.
 */
#ifndef MB_BPF_SET_H
#define MB_BPF_SET_H

#include <stdint.h>

#include "agent/bpf_hooks.h"
#include "proto/base/err.h"

struct bpf_object;
struct bpf_link;

struct mb_bpf_set {
	struct bpf_object *object; /* owned; NULL: no such set */
	struct bpf_link *links[2 * MB_HOOKS_MAX];
	size_t n_links;
	/* Totals as of the last mb_bpf_set_count(). */
	uint64_t missed[MB_HOOKS_MAX]; /* events that came while the program was running */
	uint64_t calls[MB_HOOKS_MAX];
	uint64_t run_ns; /* of all programs */
};

/* The programs that the plan names, of set->object, which is open and configured. */
int mb_bpf_set_load(struct mb_bpf_set *set, const struct mb_hook_plan *plan, struct mb_err *err);
/*
 * A second one, of an object that is open, with the first one's maps; not attached. Only what is
 * needed, and what is passed over in this way.
 */
int mb_bpf_set_load_second(struct mb_bpf_set *set, const struct mb_bpf_set *first,
			   const struct mb_hook_plan *plan, struct mb_err *err);
bool mb_bpf_set_is_in_second(const struct mb_hook_plan *plan, size_t hook);
/* All of them; `plan` says then which hooks are not to be had. */
int mb_bpf_set_attach(struct mb_bpf_set *set, struct mb_hook_plan *plan, struct mb_err *err);
int mb_bpf_set_attach_second(struct mb_bpf_set *set, const struct mb_hook_plan *plan,
			     struct mb_err *err);
int mb_bpf_set_count(struct mb_bpf_set *set, const struct mb_hook_plan *plan, struct mb_err *err);
void mb_bpf_set_close(struct mb_bpf_set *set);

#endif
