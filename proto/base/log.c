// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *log_program = "membuddies";
static enum mb_log_level log_max = MB_LOG_INFO;
static int log_journald;

void mb_log_init(const char *program, enum mb_log_level max)
{
	log_program = program;
	log_max = max;
	log_journald = getenv("JOURNAL_STREAM") != NULL;
}

void mb_log(enum mb_log_level level, const char *fmt, ...)
{
	static const char *const words[] = { "error: ", "warning: ", "", "debug: " };
	static const int priorities[] = { 3, 4, 6, 7 };
	char line[1024];
	va_list ap;

	if (level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* One write per line, so that lines of several threads do not mix. */
	if (log_journald)
		fprintf(stderr, "<%d>%s\n", priorities[level], line);
	else
		fprintf(stderr, "%s: %s%s\n", log_program, words[level], line);
}
