// SPDX-License-Identifier: GPL-2.0-or-later
/* mbserver: opens everything, runs the event loop, closes everything. */
#include <event2/event.h>
#include <event2/thread.h>
#include <inttypes.h>
#include <signal.h>
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
#include "server/options.h"
#include "server/recall.h"
#include "server/rotations.h"
#include "server/sandbox.h"
#include "server/session.h"
#include "server/sharing.h"
#include "server/store.h"
#include "server/store_copy.h"
#include "server/supervisor.h"

/* --- the server ------------------------------------------------------------------------------- */

struct server {
	const struct mb_server_options *options;
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
	const struct mb_server_options *o = s->options;
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
	const struct mb_server_options *o = s->options;
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
	const struct mb_server_options *o = s->options;
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

static int forget_vm(const struct mb_server_options *o)
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

static int check(const struct mb_server_options *o)
{
	struct mb_err err = { 0 };
	int r = mb_store_check(o->db, on_damage, NULL, &err);

	return end_with(r, &err, "all is well");
}

static int back_up(const struct mb_server_options *o)
{
	struct mb_err err = { 0 };
	int r = mb_store_backup(o->db, o->backup, &err);

	return end_with(r, &err, o->backup);
}

static int restore(const struct mb_server_options *o)
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
	mb_cleanup(mb_option_file_deinit) struct mb_option_file file = { 0 };
	struct mb_server_options o;
	struct server s = { .options = &o, .lock_fd = -1 };
	struct mb_err err = { 0 };
	int r;

	mb_server_options_init(&o, &file);
	argp_err_exit_status = MB_EXIT_USAGE;
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		printf("mbserver (Memory Buddies) %s\n", mb_version);
		return MB_EXIT_OK;
	}
	argp_parse(&mb_server_argp, argc, argv, 0, NULL, &o);
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
