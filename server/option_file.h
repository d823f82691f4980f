/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of options: one a line, its name as on the command line without dashes, then its value:
 *
 *	# who may connect
 *	listen    tcp:127.0.0.1:9876
 *	no-samples
 *
 * A value ends with its line, without the blanks around it; it has no quotes. Lines that begin with
 * '#' and empty ones are for people.
 */
#ifndef MB_SERVER_OPTION_FILE_H
#define MB_SERVER_OPTION_FILE_H

#include <argp.h>
#include <stddef.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

enum { MB_OPTION_FILE_BYTES_MAX = 64 << 10, MB_OPTION_LINES_MAX = 256 };

struct mb_option_line {
	const struct argp_option *option; /* one of those that are known */
	char *value;			  /* in the file's text; NULL: the option has none */
	unsigned int line;		  /* from 1 on */
};

struct mb_option_file {
	struct mb_buf text;
	struct mb_option_line *list; /* owned; in the file's order */
	size_t n;
};

/*
 * `known` ends as argp wants it. An error names file and line: an option that is not known, a value
 * too many or too few, a file that others may write (-EPERM), one too large (-EFBIG, -E2BIG).
 */
int mb_option_file_read(const char *path, const struct argp_option *known,
			struct mb_option_file *ret, struct mb_err *err);
void mb_option_file_deinit(struct mb_option_file *f);

#endif
