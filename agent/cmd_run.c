// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbagent run`: epoch after epoch to a server. */
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/cmd.h"
#include "agent/config.h"
#include "agent/metrics_file.h"
#include "agent/pace.h"
#include "agent/privileges.h"
#include "agent/schedule.h"
#include "agent/secure.h"
#include "agent/tell.h"
#include "agent/ticker.h"
#include "agent/tracking.h"
#include "agent/guest_memory.h"
#include "agent/uplink.h"
#include "proto/base/backoff.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "proto/cut.h"

struct options {
	struct mb_agent_config agent;
	struct mb_schedule schedule;
	struct mb_tracking tracking;
	struct mb_secure secure;
	const char *server, *host, *metrics;
	uint64_t retry_ns;
	uint32_t sample_shift, cut_bits;
	bool verbose;
};

/* Of the page frames that are dirtied so many stand for whom: few enough to cost nearly nothing. */
enum { WHO_SAMPLE = 8 };

/* Between epochs that are so far apart, what is free goes back to the system. */
#define GIVE_BACK_NS ((uint64_t)1000000000)

enum { OPT_HOST = 1, OPT_RETRY, OPT_METRICS, OPT_SAMPLE, OPT_BLOOM };

static const struct argp_option run_options[] = {
	{ "server", 'S', "ADDRESS", 0,
	  MB_URI_FORMS
	  " (tcp:127.0.0.1:9876). In a guest: vsock:host:PORT, or its end of a serial line to the "
	  "host, such as serial:/dev/virtio-ports/NAME",
	  0 },
	{ "host", OPT_HOST, "NAME", 0, "the host that the VM runs on, where that is known", 0 },
	{ "retry", OPT_RETRY, "TIME", 0,
	  "after a lost connection wait up to that long, at random; doubles up to 15 s (500ms)",
	  0 },
	{ "metrics", OPT_METRICS, "FILE", 0,
	  "keep metrics there for node_exporter's textfile collector (docs/metrics.md)", 0 },
	{ "sample", OPT_SAMPLE, "N", 0,
	  "send one in N of the VM's distinct digests, N a power of two up to 65536, to a server "
	  "that "
	  "takes samples: for thin links and huge VMs. What it says is then an estimate, with its "
	  "error "
	  "(1: all of them)",
	  0 },
	{ "bloom", OPT_BLOOM, "BITS", 0,
	  "send a Bloom filter of 2^BITS bits, 16 to 31, in the place of digests, to a server that "
	  "takes "
	  "them: it says what each two VMs share, but plans do not know of it (docs/succinct.md)",
	  0 },
	{ "verbose", 'v', 0, 0, "say more", 0 },
	{ 0 },
};

static int parse_sample(const char *arg, uint32_t *ret_shift, struct mb_err *err)
{
	uint64_t n;
	int r = mb_parse_u64(arg, 1, 1u << MB_SAMPLE_SHIFT_MAX, "--sample", &n, err);

	if (r < 0)
		return r;
	if (n & (n - 1))
		return mb_fail(err, EINVAL, "--sample: \"%s\" is no power of two", arg);
	*ret_shift = (uint32_t)__builtin_ctzll(n);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;
	uint64_t n;

	switch (key) {
	case 'S':
		o->server = arg;
		return 0;
	case OPT_HOST:
		if (mb_name_check(arg, "host", &err) < 0)
			argp_error(state, "--host: %s", err.text);
		o->host = arg;
		return 0;
	case OPT_RETRY:
		if (mb_parse_duration_ns(arg, "--retry", &o->retry_ns, &err) < 0)
			argp_error(state, "%s", err.text);
		o->retry_ns = MB_MIN(MB_MAX(o->retry_ns, 1000000u), MB_RETRY_MAX_NS);
		return 0;
	case OPT_METRICS:
		o->metrics = arg;
		return 0;
	case OPT_BLOOM:
		if (mb_parse_u64(arg, MB_CUT_BITS_MIN, MB_CUT_BITS_MAX, "--bloom", &n, &err) < 0)
			argp_error(state, "%s", err.text);
		o->cut_bits = (uint32_t)n;
		return 0;
	case OPT_SAMPLE:
		if (parse_sample(arg, &o->sample_shift, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case ARGP_KEY_END:
		if (o->sample_shift && o->cut_bits)
			argp_error(state, "--sample and --bloom: one of the two");
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->agent;
		state->child_inputs[1] = &o->schedule;
		state->child_inputs[2] = &o->tracking;
		state->child_inputs[3] = &o->secure;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct run {
	struct mb_agent agent;
	struct mb_uplink *uplink;
	struct mb_ticker ticker;
	struct mb_pace pace;
	struct mb_metrics_file metrics;
	bool metrics_fail; /* told once, until it goes again */
	uint64_t cpu_ns;   /* CPU time that this process had taken when the last epoch ended */
	bool exhausted;	   /* the source has no further epoch */
	bool sees_guest;   /* the source is this machine: how short of memory it is goes along */
	struct mb_guest_memory guest;
};

static void on_say(void *ctx, enum mb_log_level level, const char *text)
{
	(void)ctx;
	mb_log(level, "%s", text);
}

static void write_metrics(struct run *run)
{
	struct mb_err err = { 0 };
	bool fails = mb_metrics_file_write(&run->metrics, &run->pace, &err) < 0;

	if (fails && !run->metrics_fail)
		mb_warning("metrics: %s", err.text);
	run->metrics_fail = fails;
}

static void on_acked(void *ctx, uint64_t epoch, size_t wire_bytes)
{
	struct run *run = ctx;

	mb_metrics_file_acked(&run->metrics, epoch, wire_bytes, mb_unix_ns());
	write_metrics(run);
	mb_info("epoch %" PRIu64 " acked, %zu bytes sent", epoch, wire_bytes);
}

/* A pass over much memory takes long: the server is not kept waiting, nor who wants to stop. */
static int on_progress(void *ctx, double done, struct mb_err *err)
{
	struct run *run = ctx;

	(void)done;
	mb_ticker_take(&run->ticker);
	if (run->ticker.stop)
		return mb_fail(err, EINTR, "stopped in the middle of an epoch");
	return mb_uplink_run(run->uplink, 0, -1, err);
}

static int take_epoch(struct run *run, struct mb_err *err)
{
	char text[MB_TELL_MAX];
	struct mb_epoch e;
	int r = mb_pass_run(&run->agent.pass, &e, err);

	if (r == -ENODATA && run->agent.pass.epochs) {
		run->exhausted = true;
		return 0;
	}
	if (r < 0)
		return r;
	if (run->sees_guest)
		mb_guest_memory_look(&run->guest, mb_now_ns(), &e.info.guest);
	mb_tell_epoch(&e, run->agent.pass.epochs, text);
	mb_info("%s", text);
	if (e.info.audit.audits) {
		mb_tell_audit(&e, text);
		if (run->agent.tracker->ops->strength == MB_STRENGTH_PROOF && !e.doubt &&
		    mb_audit_sum(e.info.audit.stale, e.info.audit.follows))
			mb_warning("%s: a tracker that is to miss nothing has", text);
		else
			mb_info("%s", text);
	}
	mb_metrics_file_epoch(&run->metrics, &e);
	mb_uplink_offer(run->uplink, &e);
	return 0;
}

/* The cost is counted from one epoch's end to the next one's: what is sent costs, too. */
static int take_epoch_in_time(struct run *run, struct mb_err *err)
{
	uint64_t start_ns = mb_now_ns(), begun_cpu_ns = mb_cpu_ns();
	uint64_t end_ns, ended_cpu_ns, cost_ns;
	struct mb_tracker *tracker = run->agent.tracker;
	enum mb_pace_news news;
	char text[MB_TELL_MAX];
	int r = take_epoch(run, err);

	if (r < 0 || run->exhausted)
		return r;
	end_ns = mb_now_ns();
	ended_cpu_ns = mb_cpu_ns();
	cost_ns = ended_cpu_ns - (run->cpu_ns ? run->cpu_ns : begun_cpu_ns) +
		  tracker->ops->cost_ns(tracker);
	run->cpu_ns = ended_cpu_ns;
	news = mb_pace_epoch(&run->pace, start_ns, end_ns, cost_ns);
	if (news != MB_PACE_NO_NEWS) {
		mb_pace_say(&run->pace, end_ns - start_ns, cost_ns, text, sizeof(text));
		mb_log(news == MB_PACE_LONGER ? MB_LOG_WARNING : MB_LOG_INFO, "%s", text);
	}
	write_metrics(run);
	/* Buffers are as large as the pass: each that is the largest yet would find no room in a
	 * heap that keeps the old ones, and the heap grow. */
	if (run->pace.wait_ns >= GIVE_BACK_NS)
		malloc_trim(0);
	return 0;
}

/* Stopping a run without an end is how it ends; one that was to bring N epochs has not done so. */
static int stopped(const struct run *run, const struct options *o, struct mb_err *err)
{
	if (!o->schedule.epochs)
		return 0;
	return mb_fail(err, EINTR,
		       "stopped before %" PRIu64 " epochs were acked (%" PRIu64 " taken)",
		       o->schedule.epochs, run->agent.pass.epochs);
}

static void say_key(const struct mb_identity *identity)
{
	char text[MB_KEY_ID_TEXT];

	mb_key_id_format(mb_identity_key_id(identity), text);
	if (identity->keyed)
		mb_info("trust domain %s, key %s", identity->domain, text);
}

/* The server must know nothing of old epochs: their digests and the new ones are strangers. */
static void reload_key(struct run *run, const struct mb_agent_config *config)
{
	const struct mb_identity *identity = &run->agent.pass.digester.identity;
	struct mb_boot boot;
	struct mb_err err = { 0 };
	int r = mb_boot_make(&boot, &err);

	if (r == 0)
		r = mb_agent_reload_key(&run->agent, config, &err);
	if (r < 0)
		mb_error("%s; the key of before stays in force", err.text);
	if (r <= 0)
		return;
	mb_uplink_begin_anew(run->uplink, &boot, identity);
	run->ticker.epoch_now = true;
	say_key(identity);
}

/* The connection goes on as it is: what was read counts from the next one on. */
static void reload_tls(const struct mb_secure *secure)
{
	struct mb_err err = { 0 };

	if (!secure->tls)
		return;
	if (mb_tls_reload(secure->tls, &err) < 0)
		mb_error("certificates: %s; those of before stay in force", err.text);
	else
		mb_info("certificates read again");
}

static int loop(struct run *run, const struct options *o, struct mb_err *err)
{
	for (;;) {
		bool idle = mb_uplink_idle(run->uplink);
		bool done = run->exhausted ||
			    (o->schedule.epochs && run->agent.pass.epochs >= o->schedule.epochs);
		bool timed = run->pace.interval_ns || run->pace.budget > 0;
		bool due = timed ? mb_now_ns() >= run->pace.next_ns : idle;
		int r;

		mb_ticker_take(&run->ticker);
		if (run->ticker.reload) {
			reload_tls(&o->secure);
			reload_key(run, &o->agent);
		}
		run->ticker.reload = false;
		if (done && idle)
			return 0;
		if (run->ticker.stop)
			return stopped(run, o, err);
		if (!done && (due || run->ticker.epoch_now)) {
			run->ticker.epoch_now = false;
			r = take_epoch_in_time(run, err);
			if (r < 0)
				return run->ticker.stop && r == -EINTR ? stopped(run, o, err) : r;
			/* Nothing may be left to wait for. */
			continue;
		}
		r = mb_uplink_run(run->uplink, done || !timed ? UINT64_MAX : run->pace.next_ns,
				  run->ticker.fd, err);
		if (r < 0)
			return r;
	}
}

static void say_boot(const struct mb_boot *boot)
{
	char hex[2 * MB_BOOT_BYTES + 1];

	for (int i = 0; i < MB_BOOT_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", boot->id[i]);
	mb_debug("boot %s", hex);
}

static void on_refused(void *ctx, const char *name, const char *reason)
{
	(void)ctx;
	mb_warning("tracker %s: %s", name, reason);
}

static int open_agent(struct run *run, const struct options *o, struct mb_err *err)
{
	struct mb_tracker_wish wish = { .name = o->tracking.tracker,
					.options = { .btf = o->tracking.btf,
						     .who = o->tracking.who ? WHO_SAMPLE : 0 },
					.refused = on_refused };
	struct mb_pass *pass = &run->agent.pass;
	int r = mb_agent_open(&run->agent, &o->agent, &wish, err);

	if (r < 0)
		return r;
	pass->audit_every = o->tracking.audit_every;
	mb_rehash_init(&pass->rehash, pass->tracker->ops->follows, o->tracking.rehash_every);
	run->pace.interval_ns = o->schedule.interval_ns;
	run->pace.budget =
		mb_tracking_budget(&o->tracking, run->agent.info.live, o->schedule.interval_ns);
	return 0;
}

/* Before privileges go. A guest without /proc is no reason to end. */
static void open_guest(struct run *run)
{
	struct mb_err err = { 0 };

	if (!run->agent.info.this_machine)
		return;
	run->sees_guest = mb_guest_memory_open(&run->guest, "/proc", &err) == 0;
	if (!run->sees_guest)
		mb_warning("how short of memory this guest is will not be told: %s", err.text);
}

static int start(struct run *run, struct options *o, char *host_name, size_t size,
		 struct mb_err *err)
{
	struct mb_uplink_config c = {
		.uri = o->server,
		.retry_min_ns = o->retry_ns,
		.retry_max_ns = MB_RETRY_MAX_NS,
		.who_rows = o->tracking.who,
		.say = on_say,
		.acked = on_acked,
		.ctx = run,
	};
	int r;

	if ((r = mb_uri_parse(o->server, &c.address, err)) < 0 ||
	    (r = mb_secure_open(&o->secure, o->server, &c.address, err)) < 0 ||
	    (r = open_agent(run, o, err)) < 0)
		return r;
	c.tls = o->secure.tls;
	c.tls_name = o->secure.name;
	if (!o->schedule.vm)
		o->schedule.vm = *run->agent.info.vm ? run->agent.info.vm : host_name;
	if (o->schedule.vm == host_name && gethostname(host_name, size - 1) < 0)
		return mb_fail(err, errno, "host name: %m");
	c.hello = (struct mb_hello){
		.version = MB_PROTOCOL_OLDEST,
		.newest_version = MB_PROTOCOL_VERSION,
		.agent = mb_version,
		.vm = o->schedule.vm,
		.host = o->host,
		.identity = run->agent.pass.digester.identity,
		.memory_bytes = run->agent.info.memory_bytes,
		.source = run->agent.info.text,
		.sample_shift = o->sample_shift,
		.cut_bits = o->cut_bits,
	};
	if (!c.hello.identity.keyed)
		mb_warning(
			"no --key: whoever sees a digest can test a guess at the page's content");
	say_key(&c.hello.identity);
	/* Whoever has left it in the environment should know why figures are wrong. */
	if (getenv("MB_DEBUG_TRACK"))
		mb_warning("MB_DEBUG_TRACK=%s: tracking is not as it should be, on purpose",
			   getenv("MB_DEBUG_TRACK"));
	mb_info("VM %s, %s; tracker %s", o->schedule.vm, run->agent.info.text,
		run->agent.tracker->ops->name);
	if ((r = mb_boot_make(&c.hello.boot, err)) < 0 ||
	    (r = mb_ticker_open(&run->ticker, err)) < 0)
		return r;
	run->metrics = (struct mb_metrics_file){ .path = o->metrics,
						 .vm = o->schedule.vm,
						 .tracker = run->agent.tracker->ops->name };
	/* A wrong path should show now. */
	if ((r = mb_metrics_file_write(&run->metrics, &run->pace, err)) < 0)
		return mb_fail_in(err, r, "--metrics");
	run->ticker.reloads = o->secure.tls || o->agent.key_file;
	say_boot(&c.hello.boot);
	open_guest(run);
	/* All is open. Others' memory (process:) is opened again when it changes. */
	if (run->agent.info.this_machine &&
	    (r = mb_privileges_drop(run->agent.tracker->ops->keeps | MB_KEEP_KMOD, err)) < 0)
		return r;
	run->agent.pass.progress = on_progress;
	run->agent.pass.ctx = run;
	return mb_uplink_create(&c, &run->uplink, err);
}

int mb_cmd_run(int argc, char **argv)
{
	static const struct argp_child children[] = { { &mb_agent_argp, 0, NULL, 0 },
						      { &mb_schedule_argp, 0, NULL, 0 },
						      { &mb_tracking_argp, 0, NULL, 0 },
						      { &mb_secure_argp, 0, NULL, 0 },
						      { 0 } };
	static const struct argp argp = {
		run_options,
		parse,
		NULL,
		"Takes epochs of a source and keeps a server's view of the VM up to date. Ends "
		"when "
		"the source has no further epoch. SIGUSR1 asks for an epoch now.",
		children,
		NULL,
		NULL,
	};
	struct options o = {
		.agent = mb_agent_config_default,
		.server = "tcp:127.0.0.1:9876",
		.host = "",
		.schedule.interval_ns = 60000000000,
		.tracking = mb_tracking_default,
		.retry_ns = MB_RETRY_MIN_NS,
	};
	struct run run = { .ticker.fd = -1 };
	struct mb_err err = { 0 };
	char host_name[MB_NAME_MAX] = "";
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	mb_log_init("mbagent", o.verbose ? MB_LOG_DEBUG : MB_LOG_INFO);
	/* OpenSSL writes to sockets as to files. */
	signal(SIGPIPE, SIG_IGN);
	r = start(&run, &o, host_name, sizeof(host_name), &err);
	if (r == 0)
		r = loop(&run, &o, &err);
	mb_uplink_destroy(run.uplink);
	mb_secure_close(&o.secure);
	mb_ticker_close(&run.ticker);
	if (run.sees_guest)
		mb_guest_memory_close(&run.guest);
	mb_agent_close(&run.agent);
	return r < 0 ? mb_agent_failed(&err) : MB_EXIT_OK;
}
