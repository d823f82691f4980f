// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbctl key`: the trust domains' keys, by their ids; a key itself goes nowhere. */
#include <argp.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/file.h"
#include "proto/digest.h"
#include "server/ctl/asking.h"

enum { KEY_BYTES_MAX = 4096 };

struct options {
	struct mb_ctl_asking asking; /* of rotate */
	const char *name, *key, *to;
	enum mb_algorithm algorithm;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'k':
		o->key = arg;
		return 0;
	case 't':
		o->to = arg;
		return 0;
	case 'h':
		if (strcmp(arg, mb_algorithm_name(MB_XXH64)) == 0)
			o->algorithm = MB_XXH64;
		else if (strcmp(arg, mb_algorithm_name(MB_SUPERFASTHASH32)) == 0)
			o->algorithm = MB_SUPERFASTHASH32;
		else
			argp_error(state, "--hash %s: xxh64 or superfasthash32", arg);
		return 0;
	case ARGP_KEY_ARG:
		mb_ctl_take_argument(&o->name, arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define HASH_OPTION                                                                                \
	{                                                                                          \
		"hash", 'h', "NAME", 0, "the agents' --hash: xxh64 or superfasthash32 (xxh64)", 0  \
	}

static int id_of(const char *path, enum mb_algorithm algorithm, char text[MB_KEY_ID_TEXT],
		 struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf file = { 0 };
	struct mb_digester d = { 0 };
	uint8_t key[MB_KEY_BYTES];
	int r = mb_file_read(path, KEY_BYTES_MAX, &file, err);

	if (r < 0)
		return r;
	r = mb_key_parse((const char *)file.data, key, err);
	explicit_bzero(file.data, file.len);
	if (r < 0)
		return mb_fail_in(err, r, "%s", path);
	/* The domain's name is not in the digests. */
	r = mb_digester_init(&d, algorithm, MB_PAGE_BYTES, 64, "any", key, err);
	if (r == 0)
		mb_key_id_format(mb_identity_key_id(&d.identity), text);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(&d, sizeof(d));
	return r;
}

/* --- id --------------------------------------------------------------------------------------- */

static error_t parse_id(int key, char *arg, struct argp_state *state)
{
	const struct options *o = state->input;

	if (key == ARGP_KEY_END && !o->name)
		argp_error(state, "name the file with the key");
	return parse(key, arg, state);
}

static int key_id(int argc, char **argv)
{
	static const struct argp_option options[] = { HASH_OPTION, { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse_id,
		.args_doc = "FILE",
		.doc = "What status, logs and refusals call the key in FILE by. It does not show "
		       "the key.",
	};
	struct options o = { .algorithm = MB_XXH64 };
	char text[MB_KEY_ID_TEXT];
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = id_of(o.name, o.algorithm, text, &err);
	if (r == 0)
		puts(text);
	return mb_ctl_end(r, &err);
}

/* --- rotate ----------------------------------------------------------------------------------- */

static error_t parse_rotate(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;
	uint32_t id;

	if (key == ARGP_KEY_INIT)
		state->child_inputs[0] = &o->asking;
	if (key != ARGP_KEY_END)
		return parse(key, arg, state);
	if (!o->name)
		argp_error(state, "name the trust domain");
	if (!o->key == !o->to)
		argp_error(state, "which key? --key FILE, or --to ID");
	if (o->to && mb_key_id_parse(o->to, &id, &err) < 0)
		argp_error(state, "--to: %s", err.text);
	return 0;
}

static int render(const json_t *root, FILE *to, struct mb_err *err)
{
	(void)err;
	mb_render_rotations(root, to);
	if (!json_array_size(json_object_get(root, "rotations")))
		fputs("No trust domain is on its way to another key.\n", to);
	return 0;
}

static int key_rotate(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "key", 'k', "FILE", 0, "the new key, of which just the id is sent", 0 },
		{ "to", 't', "ID", 0, "the new key's id (mbctl key id)", 0 },
		HASH_OPTION,
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_rotate,
		.args_doc = "DOMAIN",
		.children = mb_ctl_asking_children,
		.doc = "From now on agents of the trust domain may have the new key, too. Then "
		       "give "
		       "it to them, one after another (kill -HUP mbagent reads --key again). What "
		       "has differing keys is never compared; mbctl share says how far they are. "
		       "When the last VM has it, the old key is refused. Back: --to the old one.",
	};
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct options o = { .algorithm = MB_XXH64 };
	char text[MB_KEY_ID_TEXT];
	struct mb_err err = { 0 };
	int r = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (o.key) {
		r = id_of(o.key, o.algorithm, text, &err);
		o.to = text;
	}
	if (r == 0)
		r = mb_ctl_post(o.asking.server, "/v1/rotate",
				(const struct mb_ctl_param[]){
					{ "domain", o.name }, { "to", o.to }, { NULL, NULL } },
				&root, &err);
	if (r == 0)
		r = mb_ctl_print(root, o.asking.json, render, &err);
	return mb_ctl_end(r, &err);
}

int mb_ctl_key(int argc, char **argv)
{
	static const struct mb_command commands[] = {
		{ "id", "what a key is called by", key_id },
		{ "rotate", "let a trust domain's agents change to another key", key_rotate },
		{ NULL, NULL, NULL },
	};

	return mb_cli_main("mbctl key", "the trust domains' keys", commands, argc, argv);
}
