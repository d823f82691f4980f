// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbctl token`: who may ask the API from elsewhere. */
#include <argp.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/file.h"
#include "server/ctl/ctl.h"
#include "server/tokens.h"

enum { TOKEN_BYTES = 32 };

struct options {
	const char *file, *name;
	enum mb_role role;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;

	switch (key) {
	case 'f':
		o->file = arg;
		return 0;
	case 'r':
		o->role = mb_role_parse(arg);
		if (o->role == MB_ROLE_NONE)
			argp_error(state, "--role %s: read, plan or apply", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (o->name)
			argp_error(state, "\"%s\" is too much", arg);
		if (mb_name_check(arg, "token", &err) < 0 || *arg == '#')
			argp_error(state, "\"%s\": no name for a token", arg);
		o->name = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->name)
			argp_error(state, "name who is to have it");
		if (o->role == MB_ROLE_NONE)
			argp_error(state, "--role is missing: read, plan or apply");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void to_hex(const uint8_t *bytes, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int check_new(const struct options *o, struct mb_err *err)
{
	mb_cleanup(mb_tokens_deinit) struct mb_tokens t = { 0 };
	int r = mb_tokens_read(o->file, &t, err);

	for (size_t i = 0; r == 0 && i < t.n; i++)
		if (strcmp(t.list[i].name, o->name) == 0)
			r = mb_fail(err, EEXIST, "%s: \"%s\" has a token already", o->file,
				    o->name);
	return r;
}

static int ends_open(int fd)
{
	struct stat st;
	char last = '\n';

	return fstat(fd, &st) == 0 && st.st_size && pread(fd, &last, 1, st.st_size - 1) == 1 &&
	       last != '\n';
}

static int add(const struct options *o, char token[2 * TOKEN_BYTES + 1], struct mb_err *err)
{
	mb_autoclose int fd = open(o->file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	uint8_t bytes[TOKEN_BYTES], hash[MB_TOKEN_HASH];
	char hex[2 * MB_TOKEN_HASH + 1], line[MB_NAME_MAX + sizeof(hex) + 20];
	int n, r;

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return mb_fail(err, errno, "%s: %m", o->file);
	r = check_new(o, err);
	if (r < 0)
		return r;
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return mb_fail(err, errno, "random bytes: %m");
	to_hex(bytes, sizeof(bytes), token);
	mb_token_hash(token, hash);
	to_hex(hash, sizeof(hash), hex);
	n = snprintf(line, sizeof(line), "%s%s %s %s\n", ends_open(fd) ? "\n" : "", o->name,
		     mb_role_name(o->role), hex);
	r = mb_write_all(fd, line, (size_t)n, err);
	if (r == 0 && fsync(fd) < 0)
		r = mb_fail(err, errno, "%m");
	return r < 0 ? mb_fail_in(err, r, "%s", o->file) : 0;
}

static int token_add(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "role", 'r', "ROLE", 0,
		  "read (see what is there), plan (have plans made, too) or apply (change things, "
		  "too)",
		  0 },
		{ "file", 'f', "FILE", 0, "the server's list, mbserver --tokens (tokens)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "NAME --role ROLE",
		.doc = "Makes a token and prints it, this once: the list has its hash only. The "
		       "server reads the list again on SIGHUP; who is to lose a token loses its "
		       "line.",
	};
	struct options o = { .file = "tokens" };
	char token[2 * TOKEN_BYTES + 1];
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = add(&o, token, &err);
	if (r == 0)
		puts(token);
	if (r == 0 && fflush(stdout) != 0)
		r = mb_fail(&err, errno, "standard output: %m");
	explicit_bzero(token, sizeof(token));
	return mb_ctl_end(r, &err);
}

int mb_ctl_token(int argc, char **argv)
{
	static const struct mb_command commands[] = {
		{ "add", "make a token for somebody", token_add },
		{ NULL, NULL, NULL },
	};

	return mb_cli_main("mbctl token", "who may ask the server from other machines", commands,
			   argc, argv);
}
