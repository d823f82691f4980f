/* SPDX-License-Identifier: GPL-2.0 */
/* The device file: what user space hands in is checked here, and copied here. */
#ifndef MBWALK_DEV_H
#define MBWALK_DEV_H

int mbwalk_dev_init(void);
void mbwalk_dev_exit(void);

#endif
