// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fleet of agents, played by one process, against a real server (tests/bench/fleet starts it, and
 * kills it): a line of figures every few seconds, and a verdict at the end. Epochs come as fast as
 * acks allow. Fails if an ack was lost, or if in the end the server holds anything but what each
 * agent was acked.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "tests/bench/util_bench.h"
#include "tests/bench/util_load.h"

enum { VERIFY_WAIT_S = 180 };
enum {
	OPT_SERVER = 1,
	OPT_CERT,
	OPT_AGENTS,
	OPT_PAGES,
	OPT_CHANGED,
	OPT_TIME,
	OPT_PAUSE,
	OPT_EVERY,
	OPT_EPOCHS,
	OPT_EPOCH_IS,
	OPT_PID
};

struct options {
	struct bench_options bench;
	const char *server, *pid_file;
	struct mb_tls_files tls;
	uint64_t agents, pages, changed_permille, time_ns, pause_ns, every_ns, epochs, epoch_ns;
	bool by_the_hour;
};

struct run {
	const struct options *o;
	struct event_base *base;
	struct load *load;
	struct event *tick, *end, *give_up;
	uint64_t start_ns, since_ns;
	size_t acks_before; /* of the last line */
	uint64_t rss_first, rss_last, rss_most;
	int pid, starts; /* of the server */
	bool timed_out;
};

static struct mb_err err;

static int read_pid(const char *path)
{
	mb_autofclose FILE *f = path ? fopen(path, "re") : NULL;
	int pid = 0;

	return f && fscanf(f, "%d", &pid) == 1 ? pid : 0;
}

static void look_at_server(struct run *r)
{
	int pid = read_pid(r->o->pid_file);
	uint64_t rss;

	if (!pid)
		return;
	r->starts += pid != r->pid;
	r->pid = pid;
	rss = bench_rss_bytes(pid);
	if (!rss)
		return;
	r->rss_last = rss;
	r->rss_most = MB_MAX(r->rss_most, rss);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

struct quantiles {
	double p50_ms, p99_ms, max_ms;
};

static struct quantiles quantiles(const uint32_t *us, size_t n)
{
	mb_autofree uint32_t *sorted = bench_alloc(n * sizeof(*sorted));

	if (!n)
		return (struct quantiles){ 0 };
	memcpy(sorted, us, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return (struct quantiles){ sorted[n / 2] / 1e3, sorted[n - 1 - n / 100] / 1e3,
				   sorted[n - 1] / 1e3 };
}

static void print_line(const struct run *r, const char *what, double seconds, size_t from)
{
	const struct load_counts *c = load_counts(r->load);
	const struct load_times *acks = load_acks(r->load);
	size_t n = acks->n;
	struct quantiles t = quantiles(acks->us + from, n - from);

	if (r->o->bench.json)
		printf("{\"bench\":\"fleet\",\"what\":\"%s\",\"s\":%.1f,\"acks\":%zu,"
		       "\"acks_per_s\":%.1f,\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"max_ms\":%.1f,"
		       "\"server_rss_mb\":%.1f,\"server_starts\":%d,\"connects\":%" PRIu64
		       ",\"losses_of_connection\":%" PRIu64 ",\"refused_for_now\":%" PRIu64
		       ",\"lost_acks\":%" PRIu64 ",\"resyncs\":%" PRIu64 "}\n",
		       what, seconds, n - from, (double)(n - from) / seconds, t.p50_ms, t.p99_ms,
		       t.max_ms, (double)r->rss_last / 1048576, r->starts, c->connects,
		       c->losses_of_connection, c->refused_for_now, c->lost_acks, c->resyncs);
	else
		printf("%-6s %7.1f s %9zu acks %8.0f acks/s  p50 %7.1f p99 %8.1f max %8.1f ms"
		       "  server %7.1f MB, start %d, lost %" PRIu64 "\n",
		       what, seconds, n - from, (double)(n - from) / seconds, t.p50_ms, t.p99_ms,
		       t.max_ms, (double)r->rss_last / 1048576, r->starts, c->lost_acks);
	fflush(stdout);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;
	uint64_t now = mb_now_ns();

	(void)fd;
	(void)what;
	look_at_server(r);
	if (now - r->since_ns < r->o->every_ns)
		return;
	if (!r->rss_first)
		r->rss_first = r->rss_last;
	print_line(r, "now", (double)(now - r->since_ns) / 1e9, r->acks_before);
	r->acks_before = load_acks(r->load)->n;
	r->since_ns = now;
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval give_up = { .tv_sec = VERIFY_WAIT_S };
	struct run *r = ctx;

	(void)fd;
	(void)what;
	print_line(r, "total", (double)(mb_now_ns() - r->start_ns) / 1e9, 0);
	event_add(r->give_up, &give_up);
	load_verify(r->load);
}

static void on_give_up(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;

	(void)fd;
	(void)what;
	r->timed_out = true;
	event_base_loopbreak(r->base);
}

static int judge(const struct run *r)
{
	const struct load_counts *c = load_counts(r->load);
	bool good = c->acks && !c->lost_acks && !c->resyncs && c->verified == r->o->agents;
	double hours = (double)c->acks / (double)r->o->agents * (double)r->o->epoch_ns / 3600e9;
	const struct load_times *ways = load_ways_back(r->load);
	struct quantiles back = quantiles(ways->us, ways->n);

	if (r->o->bench.json)
		printf("{\"bench\":\"fleet\",\"what\":\"verdict\",\"good\":%s,\"acks\":%" PRIu64
		       ",\"acks_in_welcome\":%" PRIu64 ",\"verified\":%" PRIu64
		       ",\"lost_acks\":%" PRIu64 ",\"resyncs\":%" PRIu64 ",\"bytes\":%" PRIu64
		       ",\"server_starts\":%d,\"epochs_as_hours\":%.1f,"
		       "\"ways_back\":%zu,\"back_p50_ms\":%.1f,\"back_p99_ms\":%.1f,"
		       "\"back_max_ms\":%.1f,"
		       "\"rss_first_mb\":%.1f,\"rss_last_mb\":%.1f,\"rss_most_mb\":%.1f}\n",
		       good ? "true" : "false", c->acks, c->acks_in_welcome, c->verified,
		       c->lost_acks, c->resyncs, c->bytes_sent, r->starts, hours, ways->n,
		       back.p50_ms, back.p99_ms, back.max_ms,
		       (double)r->rss_first / 1048576, (double)r->rss_last / 1048576,
		       (double)r->rss_most / 1048576);
	else
		printf("%" PRIu64 " epochs acked (%" PRIu64
		       " of them told by Welcome), as many as in "
		       "%.1f hours of an epoch every %.0f min; %.1f MB sent; server started %d "
		       "times, RSS %.1f MB first, %.1f last, %.1f most\n%" PRIu64
		       " connections, %" PRIu64 " of them lost; %zu ways back: p50 %.1f p99 %.1f "
		       "max %.1f ms\n%" PRIu64 " acks lost, %" PRIu64
		       " resyncs; %" PRIu64 " of %" PRIu64
		       " agents found just what they were acked: %s\n",
		       c->acks, c->acks_in_welcome, hours, (double)r->o->epoch_ns / 60e9,
		       (double)c->bytes_sent / 1e6, r->starts,
		       (double)r->rss_first / 1048576, (double)r->rss_last / 1048576,
		       (double)r->rss_most / 1048576, c->connects, c->losses_of_connection, ways->n,
		       back.p50_ms, back.p99_ms, back.max_ms, c->lost_acks, c->resyncs, c->verified, r->o->agents,
		       good	    ? "good" :
		       r->timed_out ? "FAILED, and not all came back in time" :
				      "FAILED");
	return good ? MB_EXIT_OK : MB_EXIT_FAILED;
}

static void raise_descriptor_limit(uint64_t agents)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < agents + 64) {
		limit.rlim_cur = MB_MIN(limit.rlim_max, agents + 64);
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	int r = 0;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->bench;
		break;
	case OPT_SERVER:
		o->server = arg;
		break;
	case OPT_CERT:
		o->tls.cert = arg;
		break;
	case OPT_PID:
		o->pid_file = arg;
		break;
	case OPT_AGENTS:
		r = mb_parse_u64(arg, 1, 60000, "--agents", &o->agents, &err);
		break;
	case OPT_PAGES:
		r = mb_parse_u64(arg, 100, 1 << 24, "--pages", &o->pages, &err);
		break;
	case OPT_CHANGED:
		o->by_the_hour = strcmp(arg, "day") == 0;
		if (!o->by_the_hour)
			r = mb_parse_u64(arg, 0, 1000, "--changed", &o->changed_permille, &err);
		break;
	case OPT_TIME:
		r = mb_parse_duration_ns(arg, "--time", &o->time_ns, &err);
		break;
	case OPT_PAUSE:
		r = mb_parse_duration_ns(arg, "--pause", &o->pause_ns, &err);
		break;
	case OPT_EPOCHS:
		r = mb_parse_u64(arg, 1, UINT32_MAX, "--epochs", &o->epochs, &err);
		break;
	case OPT_EPOCH_IS:
		r = mb_parse_duration_ns(arg, "--epoch-is", &o->epoch_ns, &err);
		break;
	case OPT_EVERY:
		r = mb_parse_duration_ns(arg, "--every", &o->every_ns, &err);
		break;
	case ARGP_KEY_END:
		if (!o->server)
			argp_error(state, "--server: missing");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		argp_error(state, "%s", err.text);
	return 0;
}

static struct timeval in_ns(uint64_t ns)
{
	return (struct timeval){ .tv_sec = (time_t)(ns / 1000000000),
				 .tv_usec = (suseconds_t)(ns % 1000000000 / 1000) };
}

static int run(const struct options *o)
{
	const struct timeval second = { .tv_sec = 1 }, until = in_ns(o->time_ns);
	struct run r = { .o = o, .base = event_base_new() };
	struct load_config c = {
		.base = r.base,
		.tls_name = "127.0.0.1",
		.n_agents = (uint32_t)o->agents,
		.n_pages = (uint32_t)o->pages,
		.changed_pages = (uint32_t)(o->pages * o->changed_permille / 1000),
		.by_the_hour = o->by_the_hour,
		.epoch_ns = o->epoch_ns,
		.pause_ns = o->pause_ns,
		.max_epochs = o->epochs,
		.boot = mb_unix_ns(),
	};
	int code;

	bench_must(r.base ? 0 : mb_fail_mem(&err, "the event loop"), &err);
	bench_must(mb_uri_parse(o->server, &c.address, &err), &err);
	if (o->tls.cert)
		bench_must(mb_tls_create(false, &o->tls, &c.tls, &err), &err);
	raise_descriptor_limit(o->agents);
	look_at_server(&r);
	r.load = load_start(&c);
	r.start_ns = r.since_ns = mb_now_ns();
	r.tick = event_new(r.base, -1, EV_PERSIST, on_tick, &r);
	r.end = evtimer_new(r.base, on_end, &r);
	r.give_up = evtimer_new(r.base, on_give_up, &r);
	bench_must(r.tick && r.end && r.give_up ? 0 : mb_fail_mem(&err, "the event loop"), &err);
	event_add(r.tick, &second);
	event_add(r.end, &until);
	event_base_dispatch(r.base);
	look_at_server(&r);
	code = judge(&r);
	load_free(r.load);
	event_free(r.tick);
	event_free(r.end);
	event_free(r.give_up);
	mb_tls_destroy(c.tls);
	event_base_free(r.base);
	libevent_global_shutdown();
	return code;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "server", OPT_SERVER, "ADDRESS", 0, "tcp:HOST:PORT or unix:PATH", 0 },
		{ "tls-cert", OPT_CERT, "FILE", 0,
		  "TLS: a certificate for all VMs (mbctl pki agent NAME --vm '*')", 0 },
		{ "agents", OPT_AGENTS, "N", 0, "how many (1000)", 0 },
		{ "pages", OPT_PAGES, "N", 0, "of each VM (16384)", 0 },
		{ "changed", OPT_CHANGED, "N", 0,
		  "pages of 1000 that change in an epoch (20), or \"day\": by the hour, from 20 to 250",
		  0 },
		{ "epoch-is", OPT_EPOCH_IS, "TIME", 0, "what an epoch is taken for (1m)", 0 },
		{ "time", OPT_TIME, "TIME", 0, "how long (60s)", 0 },
		{ "epochs", OPT_EPOCHS, "N", 0, "end sooner, when each has had so many", 0 },
		{ "pause", OPT_PAUSE, "TIME", 0, "from an ack to the next epoch (0)", 0 },
		{ "every", OPT_EVERY, "TIME", 0, "between lines of figures (10s)", 0 },
		{ "pid-file", OPT_PID, "FILE", 0, "where the server's process is named", 0 },
		{ 0 },
	};
	static const struct argp_child children[] = { { &bench_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { options, parse, NULL, NULL, children, NULL, NULL };
	struct options o = { .agents = 1000,
			     .pages = 16384,
			     .changed_permille = 20,
			     .time_ns = 60000000000,
			     .epoch_ns = 60000000000,
			     .every_ns = 10000000000 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	signal(SIGPIPE, SIG_IGN);
	return run(&o);
}
