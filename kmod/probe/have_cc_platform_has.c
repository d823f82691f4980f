// SPDX-License-Identifier: GPL-2.0
/* 5.16. */
#include <linux/cc_platform.h>
bool probe(void);
bool probe(void)
{
	return cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT);
}
