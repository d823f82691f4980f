// SPDX-License-Identifier: GPL-2.0
/*
 * A module that is loaded and unloaded while memory is walked. What it needs is some pages of code
 * and data: the kernel changes how they are mapped, and new kernels leave passing holes behind.
 */
#include <linux/kernel.h>
#include <linux/module.h>

#define PAGES 16

static char data[PAGES * 4096] = { 1 };
static const char constant[PAGES * 4096] = { 2 };

static int __init mbtest_other_init(void)
{
	data[sizeof(data) / 2] = constant[0] + data[0];
	return 0;
}

static void __exit mbtest_other_exit(void)
{
}

module_init(mbtest_other_init);
module_exit(mbtest_other_exit);
MODULE_DESCRIPTION("Memory Buddies: a module that comes and goes");
MODULE_AUTHOR("Memory Buddies");
MODULE_LICENSE("GPL v2");
