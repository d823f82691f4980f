// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/printable.h"

void mb_printable(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}
