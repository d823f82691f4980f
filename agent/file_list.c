// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/file_list.h"

#include <stdlib.h>
#include <string.h>

void mb_file_list_deinit(struct mb_file_list *l)
{
	free(l->text);
	free(l->paths);
	*l = (struct mb_file_list){ 0 };
}

int mb_file_list_init(struct mb_file_list *l, const char *text, struct mb_err *err)
{
	size_t n = 1;
	char *rest;

	for (const char *p = text; *p; p++)
		n += *p == ',';
	*l = (struct mb_file_list){ .text = strdup(text), .paths = calloc(n, sizeof(*l->paths)) };
	if (!l->text || !l->paths) {
		mb_file_list_deinit(l);
		return mb_fail_mem(err, "a list of files");
	}
	rest = l->text;
	while (rest) {
		char *path = strsep(&rest, ",");

		l->paths[l->n++] = path;
		if (!*path)
			goto nameless;
	}
	return 0;
nameless:
	mb_fail(err, EINVAL, "file %zu of \"%.100s\" has no name (commas separate files)", l->n,
		text);
	mb_file_list_deinit(l);
	return -EINVAL;
}
