// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/ctl.h"

#include <stdio.h>

#include "proto/base/cli.h"

int mb_ctl_print(const json_t *root, bool as_json, mb_render_fn render, struct mb_err *err)
{
	int r = 0;

	if (as_json) {
		if (json_dumpf(root, stdout, JSON_COMPACT) < 0)
			r = mb_fail(err, EIO, "standard output: the JSON could not be written");
		else
			putchar('\n');
	} else {
		r = render(root, stdout, err);
	}
	/* A full disk shows at the flush. */
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = mb_fail(err, errno ? errno : EIO, "standard output: %m");
	return r;
}

int mb_ctl_end(int r, const struct mb_err *err)
{
	if (r >= 0)
		return MB_EXIT_OK;
	fputs("mbctl: error: ", stderr);
	/* Names of files and servers are in it: a terminal must not obey them. */
	for (const char *p = err->text; *p; p++)
		putc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, stderr);
	putc('\n', stderr);
	return MB_EXIT_FAILED;
}
