// SPDX-License-Identifier: GPL-2.0
/*
 * No mbwalk, but a module that does wrong when told to: tests/flow/vm_fails.sh sees that the
 * harness notices.
 */
#include <linux/module.h>

static int hold_set(const char *value, const struct kernel_param *param)
{
	return try_module_get(THIS_MODULE) ? 0 : -EBUSY;
}

static int warn_set(const char *value, const struct kernel_param *param)
{
	WARN_ON(1);
	return 0;
}

static const struct kernel_param_ops hold_ops = { .set = hold_set };
static const struct kernel_param_ops warn_ops = { .set = warn_set };
module_param_cb(hold, &hold_ops, NULL, 0200);
module_param_cb(warn, &warn_ops, NULL, 0200);

static int __init selftest_init(void)
{
	return 0;
}

static void __exit selftest_exit(void)
{
}

module_init(selftest_init);
module_exit(selftest_exit);
MODULE_DESCRIPTION("Memory Buddies: a module that does wrong");
MODULE_LICENSE("GPL");
