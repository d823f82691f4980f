// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbctl pki`: certificates for a fleet whose operator has no CA yet. */
#include <argp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/ca.h"
#include "server/ctl/cells.h"
#include "server/ctl/ctl.h"
#include "server/role.h"

#define CA_VALID_NS   (3650 * (uint64_t)86400000000000)
#define CERT_VALID_NS (365 * (uint64_t)86400000000000)

enum { SUBJECTS_MAX = 1000 };

struct options {
	const char *dir, *out, *name;
	const char *words[SUBJECTS_MAX + 1]; /* NAMEs, the VMs of --vm, or the role of --role */
	size_t n_words;
	uint64_t valid_ns;
	bool json;
};

static void add_word(struct options *o, const char *word, struct argp_state *state)
{
	if (o->n_words == SUBJECTS_MAX)
		argp_error(state, "more than %d names in one certificate", SUBJECTS_MAX);
	o->words[o->n_words++] = word;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;

	switch (key) {
	case 'd':
		o->dir = arg;
		return 0;
	case 'o':
		o->out = arg;
		return 0;
	case 'V':
		if (mb_parse_duration_ns(arg, "--valid", &o->valid_ns, &err) < 0)
			argp_error(state, "%s", err.text);
		if (o->valid_ns < 1000000000)
			argp_error(state, "--valid %s: at least a second", arg);
		return 0;
	case 'm':
		add_word(o, arg, state);
		return 0;
	case 'n':
		o->name = arg;
		return 0;
	case 'r':
		if (mb_role_parse(arg) == MB_ROLE_NONE)
			argp_error(state, "--role %s: read, plan or apply", arg);
		o->words[0] = arg;
		o->n_words = 1;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define DIR_OPTION                                                                                 \
	{                                                                                          \
		"dir", 'd', "DIR", 0, "the CA's folder (default: $MBCTL_PKI, else pki)", 0         \
	}
#define VALID_OPTION(text)                                                                         \
	{                                                                                          \
		"valid", 'V', "TIME", 0, "how long it is valid, such as 90d (" text ")", 0         \
	}
#define OUT_OPTION                                                                                 \
	{                                                                                          \
		"out", 'o', "FILE", 0, "where to write it (default: NAME.pem in the CA's folder)", \
			0                                                                          \
	}

static struct options defaults(uint64_t valid_ns)
{
	const char *dir = getenv("MBCTL_PKI");

	return (struct options){ .dir = dir && *dir ? dir : "pki", .valid_ns = valid_ns };
}

/* --- init ------------------------------------------------------------------------------------- */

static error_t parse_init(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key == ARGP_KEY_ARG && !o->n_words)
		add_word(o, arg, state);
	else if (key == ARGP_KEY_ARG)
		argp_error(state, "\"%s\" is too much", arg);
	else if (key == ARGP_KEY_END && !o->n_words)
		argp_error(state, "name the folder");
	else
		return parse(key, arg, state);
	return 0;
}

static int pki_init(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "name", 'n', "NAME", 0, "what the CA is called (Memory Buddies CA)", 0 },
		VALID_OPTION("3650d"),
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_init,
		.args_doc = "DIR",
		.doc = "Makes a CA in a folder of its own. Whoever reads ca.key there can write "
		       "any VM: keep it on a machine that nothing else runs on, or offline.",
	};
	struct options o = defaults(CA_VALID_NS);
	struct mb_err err = { 0 };
	int r;

	o.name = "Memory Buddies CA";
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = mb_ca_init(o.words[0], o.name, o.valid_ns, &err);
	if (r == 0)
		printf("%s: a CA, valid for %ju days\n", o.words[0],
		       (uintmax_t)(o.valid_ns / 86400000000000));
	return mb_ctl_end(r, &err);
}

/* --- server, agent ---------------------------------------------------------------------------- */

static error_t parse_server(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key == ARGP_KEY_ARG) {
		add_word(o, arg, state);
		o->name = o->words[0];
		return 0;
	}
	if (key == ARGP_KEY_END && !o->name)
		argp_error(state, "name the server as agents call it: DNS name or address");
	return parse(key, arg, state);
}

static error_t parse_name(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key == ARGP_KEY_ARG && o->name)
		argp_error(state, "\"%s\" is too much", arg);
	if (key == ARGP_KEY_ARG) {
		o->name = arg;
		return 0;
	}
	if (key == ARGP_KEY_END && !o->name)
		argp_error(state, "whose certificate? NAME is missing");
	return parse(key, arg, state);
}

static error_t parse_agent(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key == ARGP_KEY_END && o->name && !o->n_words)
		argp_error(state, "--vm is missing: which VMs may it write?");
	return parse_name(key, arg, state);
}

static error_t parse_operator(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key == ARGP_KEY_END && o->name && !o->n_words)
		argp_error(state, "--role is missing: read, plan or apply");
	return parse_name(key, arg, state);
}

static int issue(const struct options *o, enum mb_cert_kind kind)
{
	static const char *const for_whom[] = {
		[MB_CERT_SERVER] = "mbserver --tls-cert",
		[MB_CERT_AGENT] = "mbagent run --tls-cert; hand it over, delete it here",
		[MB_CERT_OPERATOR] = "mbctl --cert; hand it over, delete it here",
	};
	const struct mb_cert_wish wish = {
		.kind = kind, .name = o->name, .subjects = o->words, .valid_ns = o->valid_ns
	};
	struct mb_ca *ca = NULL;
	struct mb_err err = { 0 };
	char path[PATH_MAX];
	int r = mb_ca_open(o->dir, &ca, &err);

	if (r == 0)
		r = mb_ca_issue(ca, &wish, o->out, path, &err);
	mb_ca_close(ca);
	if (r == 0)
		printf("%s: certificate, key and CA (%s)\n", path, for_whom[kind]);
	return mb_ctl_end(r, &err);
}

static int pki_server(int argc, char **argv)
{
	static const struct argp_option options[] = {
		DIR_OPTION, VALID_OPTION("365d"), OUT_OPTION, { 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_server,
		.args_doc = "NAME...",
		.doc = "A certificate for a server: every DNS name and address that agents and "
		       "mbctl call it by. One file, for mbserver --tls-cert.",
	};
	struct options o = defaults(CERT_VALID_NS);

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return issue(&o, MB_CERT_SERVER);
}

static int pki_agent(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "vm", 'm', "VM", 0,
		  "a VM that it may write, as often as there are such; \"*\": all", 0 },
		DIR_OPTION,
		VALID_OPTION("365d"),
		OUT_OPTION,
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_agent,
		.args_doc = "NAME --vm VM...",
		.doc = "A certificate for an agent. One file to hand over, for mbagent run "
		       "--tls-cert. To renew, make another (--out) before this one ends.",
	};
	struct options o = defaults(CERT_VALID_NS);

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return issue(&o, MB_CERT_AGENT);
}

static int pki_operator(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "role", 'r', "ROLE", 0, "What its holder may do: read, plan or apply", 0 },
		DIR_OPTION,
		VALID_OPTION("365d"),
		OUT_OPTION,
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_operator,
		.args_doc = "NAME --role ROLE",
		.doc = "A certificate to ask the server's API by https with, instead of a token. "
		       "One file to hand over, for mbctl --cert.",
	};
	struct options o = defaults(CERT_VALID_NS);

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return issue(&o, MB_CERT_OPERATOR);
}

/* --- revoke, list ----------------------------------------------------------------------------- */

static int pki_revoke(int argc, char **argv)
{
	static const struct argp_option options[] = { DIR_OPTION, { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse_name,
		.args_doc = "NAME",
		.doc = "Revokes all certificates of that name that are still valid: rewrites "
		       "crl.pem, which mbserver --tls-crl reads again on SIGHUP.",
	};
	struct options o = defaults(0);
	struct mb_ca *ca = NULL;
	struct mb_err err = { 0 };
	unsigned int n = 0;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = mb_ca_open(o.dir, &ca, &err);
	if (r == 0)
		r = mb_ca_revoke(ca, o.name, &n, &err);
	mb_ca_close(ca);
	if (r == 0)
		printf("%s: %u revoked in %s/crl.pem (kill -HUP the server that reads it)\n",
		       o.name, n, o.dir);
	return mb_ctl_end(r, &err);
}

static void add_subject(void *ctx, const char *subject)
{
	json_array_append_new(ctx, json_string(subject));
}

static void add_entry(void *ctx, const struct mb_ca_entry *e)
{
	static const char *const kinds[] = { [MB_CERT_SERVER] = "server",
					     [MB_CERT_AGENT] = "agent",
					     [MB_CERT_OPERATOR] = "operator" };
	json_t *subjects = json_array();

	mb_cert_subjects(e->x509, add_subject, subjects);
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:s, s:I, s:o}", "name", e->name, "kind",
					     kinds[mb_cert_kind_of(e->x509)], "state",
					     e->revoked ? "revoked" :
					     e->expired ? "expired" :
							  "valid",
					     "until_unix_ms",
					     (json_int_t)mb_cert_end_unix_s(e->x509) * 1000, "for",
					     subjects));
}

static int render(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(mb_table_deinit) struct mb_table t = { 0 };
	const json_t *list, *c;
	size_t i;
	int r = mb_cell_list(root, "certificates", &list, err);

	if (r < 0)
		return r;
	mb_table_columns(&t, "<name|<kind|<state|<until|<for");
	json_array_foreach(list, i, c)
	{
		mb_cell_text(&t, c, "name");
		mb_cell_text(&t, c, "kind");
		mb_cell_text(&t, c, "state");
		mb_cell_time(&t, c, "until_unix_ms", false);
		mb_cell_names(&t, json_object_get(c, "for"), 60);
	}
	mb_table_print(&t, to);
	return 0;
}

static error_t parse_list(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "\"%s\" is too much", arg);
	return parse(key, arg, state);
}

static int pki_list(int argc, char **argv)
{
	static const struct argp_option options[] = {
		DIR_OPTION, { "json", 'j', NULL, 0, "print JSON (docs/json.md)", 0 }, { 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_list,
		.doc = "The certificates that the CA has made: whose, until when, for what.",
	};
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct options o = defaults(0);
	struct mb_ca *ca = NULL;
	struct mb_err err = { 0 };
	json_t *list = json_array();
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	root = json_pack("{s:o}", "certificates", list);
	r = root ? mb_ca_open(o.dir, &ca, &err) : mb_fail_mem(&err, "a list");
	if (r == 0)
		r = mb_ca_list(ca, add_entry, list, &err);
	mb_ca_close(ca);
	if (r == 0)
		r = mb_ctl_print(root, o.json, render, &err);
	return mb_ctl_end(r, &err);
}

int mb_ctl_pki(int argc, char **argv)
{
	static const struct mb_command commands[] = {
		{ "init", "make a CA in a folder", pki_init },
		{ "server", "a certificate for a server", pki_server },
		{ "agent", "a certificate for an agent, which names its VMs", pki_agent },
		{ "operator", "a certificate for who asks the API", pki_operator },
		{ "revoke", "revoke certificates", pki_revoke },
		{ "list", "what was issued, to whom, until when", pki_list },
		{ NULL, NULL, NULL },
	};

	return mb_cli_main("mbctl pki", "a small CA for the agents and the server of a fleet",
			   commands, argc, argv);
}
