// SPDX-License-Identifier: GPL-2.0
/* 4.11: signal_pending() moved there. */
#include <linux/sched/signal.h>
int probe(void);
int probe(void)
{
	return signal_pending(current);
}
