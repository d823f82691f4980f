/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the memory of processes, and says of every page what it holds and what it is to KSM. */
#ifndef MB_DOCTOR_PREDICT_H
#define MB_DOCTOR_PREDICT_H

#include "agent/doctor_process.h"

/*
 * Of all these, on this very machine; lost[] of each is set. *ret_frames: the kernel shows frames
 * and their flags (CAP_SYS_ADMIN), so that what is merged is known; false: every page is taken as
 * one that is not. Costs time and, for all pages together, 24 bytes each.
 */
int mb_doctor_predict(struct mb_doctor_processes *p, struct mb_gap *ret, bool *ret_frames,
		      struct mb_err *err);

#endif
