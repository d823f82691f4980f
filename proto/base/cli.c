// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cli.h"

#include <argp.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/version.h"

static void usage(FILE *to, const char *program, const char *about,
		  const struct mb_command *commands)
{
	fprintf(to, "%s - %s\n\nusage: %s COMMAND [OPTION...]\n\n", program, about, program);
	for (const struct mb_command *c = commands; c->name; c++)
		fprintf(to, "  %-11s %s\n", c->name, c->summary);
	fprintf(to,
		"\n`%s COMMAND --help` has the options. Exit codes: 0 done, 1 failed, 2 usage.\n",
		program);
}

int mb_cli_main(const char *program, const char *about, const struct mb_command *commands, int argc,
		char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	char name[128];

	argp_err_exit_status = MB_EXIT_USAGE;
	if (!word || strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 ||
	    strcmp(word, "-h") == 0) {
		usage(word ? stdout : stderr, program, about, commands);
		return word ? MB_EXIT_OK : MB_EXIT_USAGE;
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		printf("%s (Memory Buddies) %s\n", program, mb_version);
		return MB_EXIT_OK;
	}
	for (const struct mb_command *c = commands; c->name; c++) {
		if (strcmp(c->name, word) != 0)
			continue;
		snprintf(name, sizeof(name), "%s %s", program, word);
		argv[1] = name;
		return c->run(argc - 1, argv + 1);
	}
	fprintf(stderr, "%s: error: no command \"%s\" (`%s help` lists them)\n", program, word,
		program);
	return MB_EXIT_USAGE;
}

int mb_parse_u64(const char *text, uint64_t min, uint64_t max, const char *what, uint64_t *ret,
		 struct mb_err *err)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || v < min || v > max)
		return mb_fail(err, EINVAL, "%s: \"%s\" is no number from %" PRIu64 " to %" PRIu64,
			       what, text, min, max);
	*ret = v;
	return 0;
}

int mb_parse_duration_ns(const char *text, const char *what, uint64_t *ret_ns, struct mb_err *err)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = { { "ms", 1000000 },    { "s", 1000000000 },    { "", 1000000000 },
		      { "m", 60000000000 }, { "h", 3600000000000 }, { "d", 86400000000000 } };
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno)
		end = "?";
	for (size_t i = 0; i < MB_ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (__builtin_mul_overflow((uint64_t)v, units[i].ns, ret_ns) || *ret_ns >> 62)
			break;
		return 0;
	}
	return mb_fail(err, EINVAL, "%s: \"%s\" is no duration (such as 500ms, 10s, 2m, 1h, 30d)",
		       what, text);
}
