// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum { WIDTH = 30, FIRST_NS = 500000000, EVERY_NS = 100000000 };

void mb_progress_begin(struct mb_progress *p, const char *what)
{
	*p = (struct mb_progress){ .what = what, .start_ns = mb_now_ns(), .on = isatty(2) };
}

void mb_progress_update(struct mb_progress *p, double done)
{
	uint64_t now;
	int full;

	if (!p->on)
		return;
	now = mb_now_ns();
	if (now - p->start_ns < FIRST_NS || now - p->shown_ns < EVERY_NS)
		return;
	p->shown_ns = now;
	p->drawn = true;
	done = done < 0 ? 0 : done > 1 ? 1 : done;
	full = (int)(done * WIDTH);
	fprintf(stderr, "\r%s [%.*s%*s] %3d %%", p->what, full, "##############################",
		WIDTH - full, "", (int)(done * 100));
}

void mb_progress_end(struct mb_progress *p)
{
	if (p->drawn)
		fprintf(stderr, "\r\033[K");
	p->on = p->drawn = false;
}
