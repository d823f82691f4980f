/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The best placement of a small fleet, proven: an integer programme, solved by GLPK. Only tests see
 * it: its time grows by the power of the VMs.
 *
 *	x[v,h] in {0,1}   VM v is on host h:              sum over h of x[v,h] = 1
 *	y[g,h] in [0,1]   group g is on host h:           y[g,h] >= x[v,h] for each v of g
 *	u[n,h] in [0,1]   host h is tenant n's:           u[n,h] >= x[v,h] for each v of n,
 *	                                                  sum over n of u[n,h] <= 1
 *	memory at full size:                              sum over v of mb(v) x[v,h] <= mb(h)
 *	apart:                                            sum over v of the rule of x[v,h] <= 1
 *	pinned:                                           x[v,h] = 1
 *
 *	maximise  sum over g of weight(g) * (VMs of g - sum over h of y[g,h])
 *
 * A group saves weight * max(0, count - 1) on a host, which is not linear; count - [count >= 1] is
 * the same, and the counts of a group add up to its VMs wherever they are. Since y costs and
 * nothing else holds it up, it is the largest x of its group at the optimum: 0 or 1 unasked.
 */
#ifndef MB_TESTS_EXACT_H
#define MB_TESTS_EXACT_H

#include "server/plan/plan.h"

/*
 * The highest saving that any placement has, in pages; UINT64_MAX if none obeys. ret_host[0, n_vms)
 * gets one that has it. Of rules it knows those above; asserts that the fleet has no other.
 */
uint64_t exact_optimum(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		       uint32_t *ret_host);

#endif
