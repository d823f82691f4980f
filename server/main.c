// SPDX-License-Identifier: GPL-2.0-or-later
/* mbserver: opens everything, runs the event loop, closes everything. */
#include <argp.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/version.h"
#include "proto/frame.h"
#include "server/executions.h"
#include "server/fleet_file.h"
#include "server/heap.h"
#include "server/historian.h"
#include "server/http.h"
#include "server/ingest.h"
#include "server/option_file.h"
#include "server/recall.h"
#include "server/rotations.h"
#include "server/sandbox.h"
#include "server/session.h"
#include "server/sharing.h"
#include "server/store.h"
#include "server/store_copy.h"
#include "server/supervisor.h"

enum { LISTEN_MAX = 8 };

struct options {
	const char *db, *fleet, *http, *forget_vm, *backup, *restore;
	const char *listen[LISTEN_MAX];
	int n_listen;
	uint64_t sharing_ns, keep_ns, max_agents, frame_budget_mb, memory_budget_mb;
	struct mb_quota quota, quota_local;
	uint64_t checkpoint_pages;
	struct mb_tls_files tls;
	const char *tokens, *access_log, *user;
	enum mb_sandbox sandbox;
	gid_t http_group;
	bool insecure, no_samples, verbose, check, rehearse;
	struct mb_option_file *file; /* owns what was read from it */
	const char *file_path;
	unsigned int file_line; /* whose option is being read; 0: the command line's */
};

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
	const struct options *o = state->input;
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
	struct options *o = state->input;
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
	struct options *o = state->input;
	struct mb_err err;
	int r = 0;

	switch (key) {
	case 'd':
		o->db = arg;
		break;
	case 'l':
		if (o->n_listen == LISTEN_MAX)
			wrong(state, "--listen: more than %d addresses", LISTEN_MAX);
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

/* --- the server ------------------------------------------------------------------------------- */

struct server {
	const struct options *options;
	struct event_base *base;
	struct event *stop[2], *reload, *beat;
	struct mb_tls *tls; /* NULL: none */
	struct mb_refusals refusals;
	struct mb_health health;
	struct mb_contacts *contacts;
	struct mb_fleet *fleet;
	struct mb_ingest *ingest;
	struct mb_store *ingest_store;
	struct mb_sessions *sessions;
	struct mb_sharing *sharing;
	struct mb_historian *historian;
	int lock_fd;
	struct mb_mover mover;
	struct mb_api api;
	struct mb_http *http;
	uint32_t loaded, damaged;
	struct mb_supervisor supervisor;
};

static void on_say(void *ctx, bool warning, const char *text)
{
	(void)ctx;
	mb_log(warning ? MB_LOG_WARNING : MB_LOG_INFO, "%s", text);
}

static void on_history_warning(void *ctx, const char *text)
{
	(void)ctx;
	mb_warning("history: %s", text);
}

static void on_stop(evutil_socket_t signal, short what, void *ctx)
{
	struct server *s = ctx;

	(void)what;
	mb_info("ending on %s", strsignal((int)signal));
	mb_supervisor_stops(&s->supervisor, "Ending: what is under way is finished");
	event_base_loopbreak(s->base);
}

static void say_state(struct server *s)
{
	struct mb_fleet_count n = mb_fleet_count(s->fleet);
	struct mb_err err;
	bool ready = mb_health_ready(&s->health, mb_now_ns(), &err) == 0;

	mb_supervisor_does(&s->supervisor, "%" PRIu32 " VMs, %" PRIu32 " of them connected%s%s",
			   n.vms, n.online, ready ? "" : "; not ready: ", ready ? "" : err.text);
}

/* It serves whether or not systemd hears of it. */
static void say_ready(struct server *s)
{
	struct mb_err err;

	if (!mb_supervisor_waits())
		return;
	say_state(s);
	if (mb_supervisor_ready(&err) < 0)
		mb_warning("systemd is not told that this server serves: %s", err.text);
}

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
	struct server *s = ctx;

	(void)fd;
	(void)what;
	mb_health_beat(&s->health, mb_now_ns());
	if (mb_supervisor_waits())
		say_state(s);
}

/* All or nothing: a bad file must not lock out a fleet. */
static void on_reload(evutil_socket_t signal, short what, void *ctx)
{
	struct server *s = ctx;
	struct mb_err err = { 0 };

	(void)signal;
	(void)what;
	if (s->tls && mb_tls_reload(s->tls, &err) < 0)
		mb_error("certificates: %s; those of before stay in force", err.text);
	else if (s->tls)
		mb_info("certificates read again, %u sessions cut",
			mb_sessions_recheck(s->sessions));
	if (mb_http_reload(s->http, &err) < 0)
		mb_error("http: %s; what was before stays in force", err.text);
}

static int on_load(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err)
{
	struct server *s = ctx;
	int r;

	if (damage) {
		mb_warning("VM %s: what the database holds is damaged: %s; its agent will be asked "
			   "for a snapshot",
			   vm->name, damage);
		s->damaged++;
	}
	if (s->loaded++ % 100 == 0)
		mb_supervisor_does(&s->supervisor, "Reading the database: %" PRIu32 " VMs so far",
				   s->loaded);
	r = mb_fleet_add(s->fleet, vm, err);
	if (r < 0)
		mb_vm_deinit(vm);
	else
		mb_fleet_trim(s->fleet);
	return r;
}

static int open_data(struct server *s, struct mb_err *err)
{
	const struct options *o = s->options;
	struct mb_fleet_file file;
	struct mb_fleet_memory m;
	uint64_t durable_s;
	int r;

	/* Read again at every plan; a mistake should show now. */
	mb_fleet_file_init(&file);
	r = o->fleet ? mb_fleet_file_read(o->fleet, &file, err) : 0;
	durable_s = file.options.value[MB_OPTION_DURABLE];
	mb_fleet_file_deinit(&file);
	if (r < 0)
		return r;
	if ((r = mb_store_lock(o->db, &s->lock_fd, err)) < 0 ||
	    (r = mb_fleet_create(&s->fleet, err)) < 0)
		return r;
	mb_fleet_set_budget(s->fleet, o->memory_budget_mb << 20);
	if ((r = mb_store_open(o->db, &s->ingest_store, err)) < 0 ||
	    (r = mb_store_load(s->ingest_store, on_load, s, err)) < 0 ||
	    (r = mb_store_open(o->db, &s->api.store, err)) < 0 ||
	    (r = mb_sharing_create(s->fleet, &s->sharing, err)) < 0)
		return r;
	mb_store_set_checkpoint(s->ingest_store, (uint32_t)o->checkpoint_pages);
	mb_store_set_checkpoint(s->api.store, (uint32_t)o->checkpoint_pages);
	r = mb_rotations_resume(s->fleet, s->api.store, err);
	if (r < 0)
		return r;
	mb_fleet_set_durable(s->fleet, durable_s * 1000000000);
	/* What a server before us was carrying out. */
	r = mb_executions_resume(s->api.store, o->rehearse ? mb_mover_rehearsal.name : NULL,
				 mb_unix_ns() / 1000000, err);
	if (r < 0)
		return r;
	mb_info("database %s: %u VMs, %u damaged", o->db, s->loaded, s->damaged);
	mb_fleet_memory(s->fleet, &m);
	if (m.budget_bytes && m.held_bytes > m.budget_bytes)
		mb_warning("--memory-budget: %" PRIu64 " MB are less than the least that fits, "
			   "%" PRIu64 " MB",
			   m.budget_bytes >> 20, (m.held_bytes >> 20) + 1);
	return 0;
}

static void on_execution_warning(void *ctx, const char *text)
{
	(void)ctx;
	mb_warning("executions: %s", text);
}

static int start_executor(struct server *s, struct mb_err *err)
{
	const struct mb_executor_config c = { .warn = on_execution_warning };
	struct mb_store *store = NULL;
	int r;

	if (!s->options->rehearse)
		return 0;
	s->mover.ops = &mb_mover_rehearsal;
	r = mb_store_open(s->options->db, &store, err);
	return r < 0 ? r : mb_executor_start(store, &s->mover, &c, &s->api.executor, err);
}

static void on_http_warning(void *ctx, const char *text)
{
	(void)ctx;
	mb_warning("http: %s", text);
}

static int listen_http(struct server *s, struct mb_err *err)
{
	const struct options *o = s->options;
	const struct mb_http_config c = { .tls = o->tls.cert ? &o->tls : NULL,
					  .tokens = o->tokens,
					  .readers = o->http_group,
					  .access_log = o->access_log,
					  .refusals = &s->refusals,
					  .insecure = o->insecure,
					  .warn = on_http_warning };
	bool local = strncmp(o->http, "unix:", 5) == 0;
	struct mb_address address, bound;
	char uri[300];
	int r;

	snprintf(uri, sizeof(uri), "%s%s", local ? "" : "tcp:", o->http);
	if ((r = mb_uri_parse(uri, &address, err)) < 0 ||
	    (r = mb_http_start(&s->api, &c, &address, &bound, &s->http, err)) < 0)
		return mb_fail_in(err, r, "--http");
	mb_uri_format(&bound, uri, sizeof(uri));
	local = mb_address_is_local(&bound);
	mb_info("http%s on %s", c.tls && !local ? "s" : "",
		bound.sa.sa_family == AF_UNIX ? uri : uri + strlen("tcp:"));
	if (!local && !c.tls)
		mb_warning("the API can be read from other machines, without encryption");
	if (!local && !c.tokens)
		mb_warning("the API can be read from other machines, by anyone");
	return 0;
}

static int listen_all(struct server *s, struct mb_err *err)
{
	struct mb_address address, bound;
	char uri[300];
	int r;

	for (int i = 0; i < s->options->n_listen; i++) {
		if ((r = mb_uri_parse(s->options->listen[i], &address, err)) < 0 ||
		    (r = mb_sessions_listen(s->sessions, &address, &bound, err)) < 0)
			return r;
		mb_uri_format(&bound, uri, sizeof(uri));
		mb_info("listening on %s", uri);
		if (mb_address_is_local(&bound) || (s->tls && !mb_address_is_vsock(&bound)))
			continue;
		if (mb_address_is_vsock(&bound))
			mb_warning("%s can be reached by every guest of this host", uri);
		else
			mb_warning("%s can be reached from other machines, without encryption "
				   "(--insecure)",
				   uri);
	}
	return listen_http(s, err);
}

/* A descriptor per agent, and some for ourselves. */
static uint32_t raise_descriptor_limit(uint64_t max_agents)
{
	enum { OWN = 128 };
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return (uint32_t)max_agents;
	if (limit.rlim_cur < max_agents + OWN) {
		limit.rlim_cur = MB_MIN(limit.rlim_max, max_agents + OWN);
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= max_agents + OWN)
		return (uint32_t)max_agents;
	max_agents = limit.rlim_cur > 2 * OWN ? limit.rlim_cur - OWN : limit.rlim_cur / 2;
	mb_warning("this process may open %ju files: at most %" PRIu64 " agents at once",
		   (uintmax_t)limit.rlim_cur, max_agents);
	return (uint32_t)max_agents;
}

static int start(struct server *s, struct mb_err *err)
{
	const struct options *o = s->options;
	struct mb_sessions_config c = {
		.max_sessions = raise_descriptor_limit(o->max_agents),
		/* What agents are told they may send must fit the budget, packed as badly as can
		   be. */
		.max_frame_bytes =
			(uint32_t)MB_MIN(o->frame_budget_mb << 19, (uint64_t)MB_FRAME_RAW_MAX),
		.frame_budget_bytes = o->frame_budget_mb << 20,
		.quota = o->quota,
		.quota_local = o->quota_local,
		.insecure = o->insecure,
		.no_samples = o->no_samples,
		.refusals = &s->refusals,
		.health = &s->health,
		.say = on_say,
	};
	const struct mb_historian_config history = {
		.interval_ns = o->sharing_ns,
		.keep_ns = o->keep_ns,
		.fleet_path = o->fleet,
		.warn = on_history_warning,
	};
	const struct timeval beat = { .tv_sec = MB_HEALTH_BEAT_S };
	struct mb_store *history_store = NULL;
	int r;

	s->base = event_base_new();
	if (!s->base)
		return mb_fail_mem(err, "the event loop");
	r = mb_contacts_create(&s->contacts, err);
	if (r < 0)
		return r;
	c.contacts = s->contacts;
	if (o->tls.cert && (r = mb_tls_create(true, &o->tls, &s->tls, err)) < 0)
		return r;
	c.tls = s->tls;
	r = open_data(s, err);
	if (r < 0)
		return r;
	s->stop[0] = evsignal_new(s->base, SIGINT, on_stop, s);
	s->stop[1] = evsignal_new(s->base, SIGTERM, on_stop, s);
	s->reload = evsignal_new(s->base, SIGHUP, on_reload, s);
	s->beat = event_new(s->base, -1, EV_PERSIST, on_beat, s);
	if (!s->stop[0] || !s->stop[1] || !s->reload || !s->beat || event_add(s->beat, &beat) < 0 ||
	    event_add(s->stop[0], NULL) < 0 || event_add(s->stop[1], NULL) < 0 ||
	    event_add(s->reload, NULL) < 0)
		return mb_fail_mem(err, "the event loop");
	mb_health_beat(&s->health, mb_now_ns());
	s->api.health = &s->health;
	s->api.contacts = s->contacts;
	s->api.fleet = s->fleet;
	s->api.sharing = s->sharing;
	s->api.db_path = o->db;
	s->api.fleet_path = o->fleet;
	s->api.refusals = &s->refusals;
	s->api.start_ns = mb_now_ns();
	if ((r = mb_ingest_create(s->fleet, s->ingest_store, MB_FRAME_RAW_MAX, &s->ingest, err)) <
		    0 ||
	    (r = mb_sessions_create(s->base, s->fleet, s->ingest, &c, &s->sessions, err)) < 0 ||
	    (r = mb_recall(mb_sessions_peers(s->sessions), s->fleet, s->api.store, mb_now_ns(),
			   mb_unix_ns(), err)) < 0 ||
	    (r = start_executor(s, err)) < 0 || (r = listen_all(s, err)) < 0)
		return r;
	if (!o->sharing_ns)
		return 0;
	r = mb_store_open(o->db, &history_store, err);
	if (r == 0)
		mb_store_set_checkpoint(history_store, (uint32_t)o->checkpoint_pages);
	if (r == 0)
		r = mb_historian_start(s->sharing, history_store, &history, &s->historian, err);
	if (r < 0)
		mb_store_close(history_store);
	return r;
}

/* Readers first, then the way in, then what they stood on. */
static void end(struct server *s)
{
	mb_http_stop(s->http);
	mb_executor_stop(s->api.executor);
	mb_historian_stop(s->historian);
	mb_sessions_destroy(s->sessions);
	mb_ingest_destroy(s->ingest);
	for (int i = 0; i < 2; i++)
		if (s->stop[i])
			event_free(s->stop[i]);
	if (s->reload)
		event_free(s->reload);
	if (s->beat)
		event_free(s->beat);
	mb_tls_destroy(s->tls);
	mb_contacts_destroy(s->contacts);
	mb_sharing_destroy(s->sharing);
	mb_store_close(s->api.store);
	mb_store_close(s->ingest_store);
	mb_fleet_destroy(s->fleet);
	if (s->base)
		event_base_free(s->base);
	libevent_global_shutdown();
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

static int end_with(int r, const struct mb_err *err, const char *done)
{
	if (r < 0)
		mb_error("%s", err->text);
	else
		mb_info("%s", done);
	return r < 0 ? MB_EXIT_FAILED : MB_EXIT_OK;
}

static int forget_vm(const struct options *o)
{
	struct mb_store *store = NULL;
	struct mb_err err = { 0 };
	char done[MB_NAME_MAX + 32];
	int r, lock = -1;

	r = mb_store_lock(o->db, &lock, &err);
	if (r == 0)
		r = mb_store_open(o->db, &store, &err);
	if (r == 0)
		r = mb_store_forget_vm(store, o->forget_vm, &err);
	mb_store_close(store);
	mb_closep(&lock);
	snprintf(done, sizeof(done), "VM %s is forgotten", o->forget_vm);
	return end_with(r, &err, done);
}

static void on_damage(void *ctx, const char *text)
{
	(void)ctx;
	mb_warning("%s", text);
}

static int check(const struct options *o)
{
	struct mb_err err = { 0 };
	int r = mb_store_check(o->db, on_damage, NULL, &err);

	return end_with(r, &err, "all is well");
}

static int back_up(const struct options *o)
{
	struct mb_err err = { 0 };
	int r = mb_store_backup(o->db, o->backup, &err);

	return end_with(r, &err, o->backup);
}

static int restore(const struct options *o)
{
	struct mb_err err = { 0 };
	mb_autoclose int lock = -1;
	int r = mb_store_lock(o->db, &lock, &err);

	if (r == 0)
		r = mb_store_restore(o->db, o->restore, &err);
	return end_with(r, &err, "restored; agents will say what is newer");
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		NULL,
		"Keeps the fingerprints that agents send, computes who shares what with whom, and "
		"answers questions about it.",
		NULL,
		NULL,
		NULL,
	};
	mb_cleanup(mb_option_file_deinit) struct mb_option_file file = { 0 };
	struct options o = {
		.file = &file,
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
	struct server s = { .options = &o, .lock_fd = -1 };
	struct mb_err err = { 0 };
	int r;

	argp_err_exit_status = MB_EXIT_USAGE;
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		printf("mbserver (Memory Buddies) %s\n", mb_version);
		return MB_EXIT_OK;
	}
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	mb_heap_init();
	mb_log_init("mbserver", o.verbose ? MB_LOG_DEBUG : MB_LOG_INFO);
	signal(SIGPIPE, SIG_IGN);
	evthread_use_pthreads();
	/* A limit on files' size is an error like a full disk, not the end. */
	signal(SIGXFSZ, SIG_IGN);
	/* Before any file: they are that user's, and can be read again. */
	r = o.user ? mb_sandbox_become(o.user, &err) : 0;
	if (r == 0 && o.forget_vm)
		return forget_vm(&o);
	if (r == 0 && o.backup)
		return back_up(&o);
	if (r == 0 && o.restore)
		return restore(&o);
	if (r == 0 && o.check)
		return check(&o);
	if (r == 0)
		r = start(&s, &err);
	if (r == 0)
		r = mb_sandbox_close(o.sandbox, mb_supervisor_waits(), &err);
	if (r == 0)
		say_ready(&s);
	if (r == 0 && event_base_dispatch(s.base) < 0)
		r = mb_fail(&err, EIO, "the event loop failed");
	end(&s);
	if (r < 0)
		mb_error("%s", err.text);
	return r < 0 ? MB_EXIT_FAILED : MB_EXIT_OK;
}
