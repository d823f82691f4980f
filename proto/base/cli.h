/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program of several commands, from one table; each command parses its options with argp.
 *
 * Exit codes of all programs: 0 done, 1 not done (the reason is on standard error), 2 wrong usage.
 */
#ifndef MB_BASE_CLI_H
#define MB_BASE_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

enum { MB_EXIT_OK = 0, MB_EXIT_FAILED = 1, MB_EXIT_USAGE = 2 };

struct mb_command {
	const char *name;
	const char *summary;
	/* argv[0] is "program command"; returns an exit code. */
	int (*run)(int argc, char **argv);
};

/* `commands` ends with a NULL name. Knows --help, --version, and `program help`. */
int mb_cli_main(const char *program, const char *about, const struct mb_command *commands, int argc,
		char **argv);

/* Whole non-negative decimal number in [min, max]; the error names `what`. */
int mb_parse_u64(const char *text, uint64_t min, uint64_t max, const char *what, uint64_t *ret,
		 struct mb_err *err);
/* "250ms", "10s", "2m", "1h", "30d", "0": a duration in ns. */
int mb_parse_duration_ns(const char *text, const char *what, uint64_t *ret_ns, struct mb_err *err);

#endif
