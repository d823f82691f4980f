/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says of the memory of processes that KSM could merge, without reading it. */
#ifndef MB_DOCTOR_PROCESS_H
#define MB_DOCTOR_PROCESS_H

#include "agent/doctor_gap.h"
#include "agent/maps.h"

struct mb_doctor_process {
	int pid;
	char name[16];	    /* printable */
	bool monitor;	    /* a VM monitor: its memory is a guest's RAM */
	struct mb_maps ram; /* guest RAM (guest_ram.h), or all private memory; owned */
	/* Pages of ram[]: there at all, by what they are to KSM (WAITING: marked); out on swap. */
	uint64_t resident[MB_GAP_STATES], swapped;
	bool has_merging; /* 5.18: */
	uint64_t merging; /* pages of it that share merged frames */
	bool has_profit;  /* 6.1: */
	int64_t profit_bytes;
	uint64_t lost[MB_GAP_STATES]; /* as mb_gap_count() gives them; 0: memory was not read */
};

struct mb_doctor_processes {
	struct mb_doctor_process *list; /* owned */
	size_t n, cap;
};
void mb_doctor_processes_deinit(struct mb_doctor_processes *p);

/*
 * One process of the /proc under `root`; `all`: all its private memory, not what looks like guest
 * RAM. -ESRCH: no such process; -ENOENT: it has no such memory; else as open(2).
 */
int mb_doctor_process_add(struct mb_doctor_processes *p, const char *root, int pid, bool all,
			  struct mb_err *err);
/*
 * Every VM monitor there is; *ret_unreadable of them may not be looked at, and the last reason is
 * in `err`.
 */
int mb_doctor_process_find(struct mb_doctor_processes *p, const char *root, size_t *ret_unreadable,
			   struct mb_err *err);

/* What its pages are to KSM, by the mapping: WAITING, UNMARKED, SHARED or HUGETLB. */
enum mb_gap_state mb_doctor_state_of(const struct mb_map *m);
uint64_t mb_doctor_resident(const struct mb_doctor_process *p);

#endif
