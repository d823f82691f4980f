// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/options.h"

#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cli.h"
#include "server/http.h"
#include "server/mover.h"

enum {
	OPT_HTTP = 1,
	OPT_SHARING,
	OPT_KEEP,
	OPT_AGENTS,
	OPT_BUDGET,
	OPT_QUOTA,
	OPT_MEMORY,
	OPT_FORGET,
	OPT_BACKUP,
	OPT_RESTORE,
	OPT_CHECK,
	OPT_CHECKPOINT,
	OPT_MOVER,
	OPT_TOKENS,
	OPT_GROUP,
	OPT_ACCESS_LOG,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_TLS_CA,
	OPT_TLS_CRL,
	OPT_INSECURE,
	OPT_USER,
	OPT_SECCOMP,
	OPT_NO_SAMPLES,
	OPT_CONFIG
};

static const struct argp_option options[] = {
	{ "config", OPT_CONFIG, "FILE", 0,
	  "read options from there: one a line, its name without dashes, then its value. What "
	  "comes after it on the command line counts more; addresses of both are listened on",
	  0 },
	{ "db", 'd', "FILE", 0, "the database (memory-buddies.db)", 0 },
	{ "listen", 'l', "ADDRESS", 0,
	  "where agents connect: tcp:HOST:PORT, unix:PATH (QEMU's end of a guest's serial line, "
	  "too) or vsock:any:PORT, up to 8 (tcp:127.0.0.1:9876). TCP that other machines can "
	  "reach needs --tls-cert; vsock reaches this host's guests only, but all of them",
	  0 },
	{ "tls-cert", OPT_TLS_CERT, "FILE", 0,
	  "TLS 1.3 on all TCP, and agents must show certificates; this is ours, PEM "
	  "(docs/security.md; mbctl pki makes them). SIGHUP: read these files again",
	  0 },
	{ "tls-key", OPT_TLS_KEY, "FILE", 0, "its private key (default: in the same file)", 0 },
	{ "tls-ca", OPT_TLS_CA, "FILE", 0,
	  "CAs that agents' certificates come from (default: in the same file)", 0 },
	{ "tls-crl", OPT_TLS_CRL, "FILE", 0, "certificates that are revoked (none)", 0 },
	{ "insecure", OPT_INSECURE, 0, 0,
	  "without TLS listen where other machines can reach it all the same", 0 },
	{ "http", OPT_HTTP, "HOST:PORT", 0,
	  "where the API listens (127.0.0.1:9877), or unix:PATH: root and this user may do all "
	  "there. Where other machines can reach it, it is https and needs --tokens",
	  0 },
	{ "tokens", OPT_TOKENS, "FILE", 0,
	  "who may ask the API by TCP, loopback too (mbctl token add). SIGHUP: read it again", 0 },
	{ "http-group", OPT_GROUP, "GROUP", 0, "whose members may read by --http unix:PATH", 0 },
	{ "access-log", OPT_ACCESS_LOG, "FILE", 0,
	  "who asked the API to change something, or was refused: JSON lines, only added to", 0 },
	{ "fleet", 'f', "FILE", 0, "hosts, VMs and rules for plans (docs/fleet-file.md)", 0 },
	{ "mover", OPT_MOVER, "NAME", 0,
	  "who carries plans out (docs/mover.md): dry moves nothing, and says at once what would "
	  "be (so if not given); rehearsal moves nothing either, but takes its time",
	  0 },
	{ "sharing-interval", OPT_SHARING, "TIME", 0,
	  "how often the matrix is computed for the history when nobody asks; 0: never (60s)", 0 },
	{ "keep-history", OPT_KEEP, "TIME", 0,
	  "how long rows of history are kept, while a server runs; 0: for ever; goes with "
	  "--sharing-interval (30d)",
	  0 },
	{ "max-agents", OPT_AGENTS, "N", 0, "connections at once (4096)", 0 },
	{ "frame-budget-mb", OPT_BUDGET, "N", 0,
	  "memory for frames under way, of all agents together (1024)", 0 },
	{ "quota", OPT_QUOTA, "NAME=N,...", 0,
	  "what each peer (a certificate, else an address or local user) may have: mb_per_hour "
	  "(65536), mb_per_day (524288), frames_per_minute (12000), vms (1024), sessions (1024). "
	  "0: any number. What is not given holds for other machines only (docs/faults.md)",
	  0 },
	{ "memory-budget", OPT_MEMORY, "MB", 0,
	  "memory for fingerprints; those beyond it are read from the database when they are "
	  "needed, and what VMs share is estimated then, with its error bound. 0: no limit (0)",
	  0 },
	{ "no-samples", OPT_NO_SAMPLES, 0, 0,
	  "have agents that offer to send less (mbagent run --sample, --bloom) send all of it", 0 },
	{ "forget-vm", OPT_FORGET, "NAME", 0,
	  "take a VM that is no more out of the database, and end; not while a server runs on it",
	  0 },
	{ "backup", OPT_BACKUP, "FILE", 0,
	  "copy the database, as it is at one moment, and end; a server may run on it", 0 },
	{ "restore", OPT_RESTORE, "FILE", 0,
	  "put a backup in the database's place, and end; not while a server runs on it. What was "
	  "there is kept as FILE.before-restore",
	  0 },
	{ "check", OPT_CHECK, 0, 0, "read all of the database, say what is wrong, and end", 0 },
	{ "checkpoint-pages", OPT_CHECKPOINT, "N", 0,
	  "put the log beside the database into it whenever it has so many pages of 4 KiB (1000)",
	  0 },
	{ "user", OPT_USER, "NAME", 0,
	  "started by root: become this user first, who must be able to read and write all files",
	  0 },
	{ "seccomp", OPT_SECCOMP, "HOW", 0,
	  "of system calls that a server has no use for: refuse (the kernel's log says which), "
	  "kill (end at once), off (refuse)",
	  0 },
	{ "verbose", 'v', 0, 0, "say more", 0 },
	{ 0 },
};

/* argp_error() that also says where in a file. Ends the program. */
__attribute__((format(printf, 2, 3))) static void wrong(struct argp_state *state, const char *fmt,
							...)
{
	const struct mb_server_options *o = state->input;
	char text[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (o->file_line)
		argp_failure(state, MB_EXIT_USAGE, 0, "%s: line %u: %s", o->file_path, o->file_line,
			     text);
	argp_error(state, "%s", text);
}

static enum mb_sandbox parse_seccomp(const char *how, struct argp_state *state)
{
	if (strcmp(how, "refuse") == 0)
		return MB_SANDBOX_REFUSE;
	if (strcmp(how, "kill") == 0)
		return MB_SANDBOX_KILL;
	if (strcmp(how, "off") != 0)
		wrong(state, "--seccomp %s: refuse, kill or off", how);
	return MB_SANDBOX_OFF;
}

static error_t parse(int key, char *arg, struct argp_state *state);

static void parse_file(const char *path, struct argp_state *state)
{
	struct mb_server_options *o = state->input;
	struct mb_err err = { 0 };

	if (o->file_path)
		wrong(state, "--config: one file only");
	if (mb_option_file_read(path, options, o->file, &err) < 0)
		argp_failure(state, MB_EXIT_USAGE, 0, "--config: %s", err.text);
	o->file_path = path;
	for (size_t i = 0; i < o->file->n; i++) {
		const struct mb_option_line *l = &o->file->list[i];

		o->file_line = l->line;
		switch (l->option->key) {
		case OPT_CONFIG:
		case OPT_FORGET:
		case OPT_BACKUP:
		case OPT_RESTORE:
		case OPT_CHECK:
			/* What is done once must not be done by every start. */
			wrong(state, "%s: on the command line only", l->option->name);
			break;
		default:
			parse(l->option->key, l->value, state);
		}
	}
	o->file_line = 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mb_server_options *o = state->input;
	struct mb_err err;
	int r = 0;

	switch (key) {
	case 'd':
		o->db = arg;
		break;
	case 'l':
		if (o->n_listen == MB_LISTEN_MAX)
			wrong(state, "--listen: more than %d addresses", MB_LISTEN_MAX);
		o->listen[o->n_listen++] = arg;
		break;
	case OPT_HTTP:
		o->http = arg;
		break;
	case 'f':
		o->fleet = arg;
		break;
	case OPT_SHARING:
		r = mb_parse_duration_ns(arg, "--sharing-interval", &o->sharing_ns, &err);
		break;
	case OPT_KEEP:
		r = mb_parse_duration_ns(arg, "--keep-history", &o->keep_ns, &err);
		break;
	case OPT_AGENTS:
		r = mb_parse_u64(arg, 1, 65536, "--max-agents", &o->max_agents, &err);
		break;
	case OPT_BUDGET:
		r = mb_parse_u64(arg, 1, 1 << 20, "--frame-budget-mb", &o->frame_budget_mb, &err);
		break;
	case OPT_QUOTA:
		r = mb_quota_parse(arg, &o->quota, &err);
		if (r == 0)
			r = mb_quota_parse(arg, &o->quota_local, &err);
		if (r < 0)
			mb_fail_in(&err, r, "--quota");
		break;
	case OPT_NO_SAMPLES:
		o->no_samples = true;
		return 0;
	case OPT_MEMORY:
		r = mb_parse_u64(arg, 0, 1 << 24, "--memory-budget", &o->memory_budget_mb, &err);
		break;
	case OPT_FORGET:
		o->forget_vm = arg;
		break;
	case OPT_BACKUP:
		o->backup = arg;
		break;
	case OPT_RESTORE:
		o->restore = arg;
		break;
	case OPT_CHECK:
		o->check = true;
		break;
	case OPT_MOVER:
		o->rehearse = strcmp(arg, mb_mover_rehearsal.name) == 0;
		if (!o->rehearse && strcmp(arg, mb_mover_dry.name) != 0)
			wrong(state, "--mover: no mover \"%s\" (%s, %s)", arg, mb_mover_dry.name,
			      mb_mover_rehearsal.name);
		break;
	case OPT_CHECKPOINT:
		r = mb_parse_u64(arg, 1, 1 << 20, "--checkpoint-pages", &o->checkpoint_pages, &err);
		break;
	case OPT_TOKENS:
		o->tokens = arg;
		break;
	case OPT_GROUP:
		if (!getgrnam(arg))
			wrong(state, "--http-group: no group \"%s\"", arg);
		o->http_group = getgrnam(arg)->gr_gid;
		break;
	case OPT_ACCESS_LOG:
		o->access_log = arg;
		break;
	case OPT_TLS_CERT:
		o->tls.cert = arg;
		break;
	case OPT_TLS_KEY:
		o->tls.key = arg;
		break;
	case OPT_TLS_CA:
		o->tls.ca = arg;
		break;
	case OPT_TLS_CRL:
		o->tls.crl = arg;
		break;
	case OPT_INSECURE:
		o->insecure = true;
		break;
	case OPT_CONFIG:
		parse_file(arg, state);
		break;
	case OPT_USER:
		o->user = arg;
		break;
	case OPT_SECCOMP:
		o->sandbox = parse_seccomp(arg, state);
		break;
	case 'v':
		o->verbose = true;
		break;
	case ARGP_KEY_END:
		if (!o->tls.cert && (o->tls.key || o->tls.ca || o->tls.crl))
			wrong(state, "--tls-key, --tls-ca, --tls-crl: need --tls-cert");
		if (!o->n_listen)
			o->listen[o->n_listen++] = "tcp:127.0.0.1:9876";
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		wrong(state, "%s", err.text);
	return 0;
}

const struct argp mb_server_argp = {
	.options = options,
	.parser = parse,
	.doc = "Keeps the fingerprints that agents send, computes who shares what with whom, and "
	       "answers questions about it.",
};

void mb_server_options_init(struct mb_server_options *o, struct mb_option_file *file)
{
	*o = (struct mb_server_options){
		.file = file,
		.db = "memory-buddies.db",
		.http = "127.0.0.1:9877",
		.sharing_ns = 60000000000,
		.keep_ns = 30 * 86400000000000,
		.max_agents = 4096,
		.checkpoint_pages = 1000,
		.frame_budget_mb = 1024,
		.quota = mb_quota_default,
		.http_group = MB_NO_GROUP,
		.sandbox = MB_SANDBOX_REFUSE,
	};
}
