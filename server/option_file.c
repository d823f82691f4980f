// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/option_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"

#define BLANKS " \t\r"

void mb_option_file_deinit(struct mb_option_file *f)
{
	mb_buf_deinit(&f->text);
	free(f->list);
	*f = (struct mb_option_file){ 0 };
}

static const struct argp_option *find(const struct argp_option *known, const char *name)
{
	for (; known->name; known++)
		if (strcmp(known->name, name) == 0)
			return known;
	return NULL;
}

static int parse_line(char *text, unsigned int line, const struct argp_option *known,
		      struct mb_option_file *f, struct mb_err *err)
{
	struct mb_option_line *to = &f->list[f->n];
	char *name = text + strspn(text, BLANKS), *value, *end;

	if (!*name || *name == '#')
		return 0;
	if (f->n == MB_OPTION_LINES_MAX)
		return mb_fail(err, E2BIG, "more than %d options", MB_OPTION_LINES_MAX);
	value = name + strcspn(name, BLANKS);
	if (*value)
		*value++ = 0;
	value += strspn(value, BLANKS);
	for (end = value + strlen(value); end > value && strchr(BLANKS, end[-1]); end--)
		;
	*end = 0;
	*to = (struct mb_option_line){ find(known, name), *value ? value : NULL, line };
	if (!to->option)
		return mb_fail(err, EINVAL, "no option \"%s\"", name);
	if (to->option->arg && !to->value)
		return mb_fail(err, EINVAL, "%s: needs a value, %s", name, to->option->arg);
	if (!to->option->arg && to->value)
		return mb_fail(err, EINVAL, "%s: takes no value", name);
	f->n++;
	return 0;
}

static int parse(const struct argp_option *known, struct mb_option_file *f, struct mb_err *err)
{
	char *rest;
	unsigned int at = 1;
	int r = 0;

	if (strlen((const char *)f->text.data) != f->text.len)
		return mb_fail(err, EINVAL, "no text: it has a byte 0");
	for (char *line = (char *)f->text.data; line && r == 0; line = rest, at++) {
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = 0;
		r = parse_line(line, at, known, f, err);
		if (r < 0)
			mb_fail_in(err, r, "line %u", at);
	}
	return r;
}

int mb_option_file_read(const char *path, const struct argp_option *known,
			struct mb_option_file *ret, struct mb_err *err)
{
	struct mb_option_file f = { .list = calloc(MB_OPTION_LINES_MAX + 1, sizeof(*f.list)) };
	struct stat st;
	int r;

	if (!f.list)
		return mb_fail_mem(err, "options");
	r = mb_file_read(path, MB_OPTION_FILE_BYTES_MAX, &f.text, err);
	if (r == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & S_IWOTH)
		r = mb_fail(err, EPERM, "%s: others may write it (chmod o-w)", path);
	if (r == 0) {
		r = parse(known, &f, err);
		if (r < 0)
			mb_fail_in(err, r, "%s", path);
	}
	if (r < 0)
		mb_option_file_deinit(&f);
	else
		*ret = f;
	return r;
}
