// SPDX-License-Identifier: GPL-2.0
/* mbwalk: hashes all pages of this machine for user space. The protocol is in mbwalk.h. */
#include "compat.h"
#include "dev.h"
#include "ram.h"

#include <linux/module.h>
#include <linux/stringify.h>

#include "mbwalk.h"

static int __init mbwalk_init(void)
{
	int r;

	if (mbwalk_is_confidential()) {
		pr_err("mbwalk: a confidential guest's memory must not be walked, nor can it be "
		       "merged\n");
		return -EOPNOTSUPP;
	}
	r = mbwalk_ram_init();
	if (r < 0)
		return r;
	r = mbwalk_dev_init();
	if (r < 0)
		mbwalk_ram_exit();
	return r;
}

static void __exit mbwalk_exit(void)
{
	mbwalk_dev_exit();
	mbwalk_ram_exit();
}

module_init(mbwalk_init);
module_exit(mbwalk_exit);
MODULE_DESCRIPTION("Memory Buddies: digests of all physical pages");
MODULE_AUTHOR("Memory Buddies");
MODULE_LICENSE("GPL v2");
MODULE_VERSION(__stringify(MBWALK_VERSION)); /* what sysfs tells an agent of another version */
