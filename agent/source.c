// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/cleanup.h"

static const struct mb_source_ops *const sources[] = {
	&mb_source_kmod,
	&mb_source_process,
	&mb_source_elf,
	&mb_source_trace,
};

const struct mb_source_ops *mb_source_at(size_t i)
{
	return i < MB_ARRAY_LEN(sources) ? sources[i] : NULL;
}

int mb_source_open(const char *uri, const struct mb_source_options *options, struct mb_source **ret,
		   struct mb_err *err)
{
	char known[256] = "";
	size_t n = 0;
	int r;

	for (size_t i = 0; i < MB_ARRAY_LEN(sources); i++) {
		size_t len = strlen(sources[i]->scheme);
		const char *arg = uri + len;

		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", i ? ", " : "",
				      sources[i]->syntax);
		if (strncmp(uri, sources[i]->scheme, len) != 0)
			continue;
		if (*arg == ':')
			arg++;
		else if (*arg || !sources[i]->bare)
			continue;
		r = sources[i]->open(arg, options, ret, err);
		return r < 0 ? mb_fail_in(err, r, "source %s", uri) : 0;
	}
	return mb_fail(err, EINVAL, "source \"%s\": not one of %s", uri, known);
}

const char *mb_unread_name(enum mb_unread reason)
{
	static const char *const names[] = {
		[MB_UNREAD_SWAPPED] = "swapped",   [MB_UNREAD_NO_DATA] = "no_data",
		[MB_UNREAD_FAILED] = "failed",	   [MB_UNREAD_OFFLINE] = "offline",
		[MB_UNREAD_HWPOISON] = "hwpoison", [MB_UNREAD_BALLOON] = "balloon",
	};

	return names[reason];
}
