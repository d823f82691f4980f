// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A long time with agent and server, both as they are run, on a guest that has other things to do
 * (soak_load.h): what they take, hour by hour; no test, tests/bench/soak judges. With QEMU's
 * -icount shift=0,sleep=off a time in which nobody has anything to do is passed over, and a second
 * of CPU time is 10^9 instructions; no program is told to hurry, all clocks go on as ever.
 *
 * SOAK_HOURS in the environment (the kernel's command line puts it there): how long. The root has
 * what tests/bench/soak has put there: mbserver, certificates and a key in /soak.
 *
 * usage: bench_soak     prints JSON, two objects an hour, for agent and server
 */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak_figures.h"
#include "soak_load.h"
#include "util_file.h"
#include "util_test.h"

#define DB	SOAK_DISK "/fleet.db"
#define METRICS "/run/soak/agent.prom"
#define M	"memory_buddies_agent_"
/* As tests/bench/soak expects. */
#define KEEP_HISTORY "6h"

enum { MINUTES = 60, SAID_MAX = 40 };

/* One that must not end. */
struct daemon {
	const char *name, *log;
	int pid;
	struct figures first, last; /* at the hour's start, and by now */
	double anon_kib;	    /* of the hour's samples, their sum */
	uint64_t anon_most_kib;
	unsigned long warnings; /* that it has logged this hour */
};

static struct daemon server = { .name = "mbserver", .log = "/run/soak/server.log" };
static struct daemon agent = { .name = "mbagent", .log = "/run/soak/agent.log" };

static void start(struct daemon *d, const char *const *words)
{
	d->pid = fork();
	if (d->pid < 0)
		fail_errno("fork");
	if (!d->pid) {
		int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		int null = open("/dev/null", O_RDONLY);

		if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 ||
		    dup2(log, 2) < 0)
			_exit(126);
		close(log);
		close(null);
		execvp(words[0], (char *const *)words);
		_exit(127);
	}
}

/* Counts what it complains of, says the first ones, and empties the log: it is memory here. */
static void read_log(struct daemon *d)
{
	static int said;
	char line[1024];
	FILE *f = fopen(d->log, "r");

	if (!f)
		fail_errno("%s", d->log);
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, ": warning: ") && !strstr(line, ": error: "))
			continue;
		d->warnings++;
		line[strcspn(line, "\n")] = 0;
		if (said++ < SAID_MAX)
			say("%s", line);
	}
	fclose(f);
	if (truncate(d->log, 0) < 0)
		fail_errno("%s", d->log);
}

/* With all that it has said. */
static void check_alive(struct daemon *d)
{
	char line[1024];
	int status;
	FILE *f;

	if (waitpid(d->pid, &status, WNOHANG) == 0)
		return;
	f = fopen(d->log, "r");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		say("%s", line);
	}
	fail("%s has ended: %s %d", d->name, WIFSIGNALED(status) ? "signal" : "exit code",
	     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void start_both(void)
{
	start(&server,
	      (const char *const[]){ "mbserver", "--db", DB, "--listen", "tcp:127.0.0.1:9876",
				     "--tls-cert", "/soak/server.pem", "--http",
				     "unix:/run/soak/http", "--keep-history", KEEP_HISTORY, NULL });
	nap(5);
	check_alive(&server);
	start(&agent, (const char *const[]){ "mbagent", "run", "--source", "kmod", "--tracker",
					     "bpf", "--server", "tcp:127.0.0.1:9876", "--tls-cert",
					     "/soak/agent.pem", "--vm", "soak", "--host", "host1",
					     "--key", "/soak/key", "--metrics", METRICS, NULL });
}

/* --- an hour --- */

static void take_sample(struct daemon *d)
{
	check_alive(d);
	figures_of(d->pid, &d->last);
	d->anon_kib += (double)d->last.anon_kib;
	if (d->last.anon_kib > d->anon_most_kib)
		d->anon_most_kib = d->last.anon_kib;
}

static void begin_hour(struct daemon *d)
{
	d->first = d->last;
	d->anon_kib = 0;
	d->anon_most_kib = 0;
	d->warnings = 0;
}

/* Without the brace that ends it. */
static int put_daemon(char *text, size_t size, int hour, const struct daemon *d)
{
	return snprintf(text, size,
			"{\"bench\":\"soak\",\"program\":\"%s\",\"hour\":%d,\"rss_kib\":%llu,"
			"\"most_kib\":%llu,\"anon_kib\":%.1f,\"anon_most_kib\":%llu,\"fds\":%llu,"
			"\"threads\":%llu,\"cpu_s\":%.2f,\"warnings\":%lu",
			d->name, hour, (unsigned long long)d->last.rss_kib,
			(unsigned long long)d->last.most_kib, d->anon_kib / MINUTES,
			(unsigned long long)d->anon_most_kib, (unsigned long long)d->last.fds,
			(unsigned long long)d->last.threads, d->last.cpu_s - d->first.cpu_s,
			d->warnings);
}

static struct counters {
	double epochs, full, audits, read, changed, audit_changed, audit_stale, all_changed,
		all_stale;
} before;

static void say_agent(int hour)
{
	struct counters c = {
		.epochs = metric(METRICS, M "epochs_total", NULL),
		.full = metric(METRICS, M "full_walks_total", NULL),
		.audits = metric(METRICS, M "audits_total", NULL),
		.read = metric(METRICS, M "read_pages_total", NULL),
		.changed = metric(METRICS, M "changed_pages_total", NULL),
		.audit_changed = metric(METRICS, M "audit_changed_pages_total", "followed=\"1\""),
		.audit_stale = metric(METRICS, M "audit_stale_pages_total", "followed=\"1\""),
		.all_changed = metric(METRICS, M "audit_changed_pages_total", NULL),
		.all_stale = metric(METRICS, M "audit_stale_pages_total", NULL),
	};
	char text[900];
	int n = put_daemon(text, sizeof(text), hour, &agent);

	snprintf(text + n, sizeof(text) - (size_t)n,
		 ",\"bpf_s\":%.3f,\"bpf_runs\":%llu,\"bpf_missed\":%llu,\"epochs\":%.0f,"
		 "\"full\":%.0f,\"pages\":%.0f,\"read\":%.0f,\"changed\":%.0f,\"audits\":%.0f,"
		 "\"followed_changed\":%.0f,\"followed_stale\":%.0f,\"all_changed\":%.0f,"
		 "\"all_stale\":%.0f,\"wait_s\":%.1f}",
		 agent.last.bpf_s - agent.first.bpf_s,
		 (unsigned long long)(agent.last.bpf_runs - agent.first.bpf_runs),
		 (unsigned long long)(agent.last.bpf_missed - agent.first.bpf_missed),
		 c.epochs - before.epochs, c.full - before.full, metric(METRICS, M "pages", NULL),
		 c.read - before.read, c.changed - before.changed, c.audits - before.audits,
		 c.audit_changed - before.audit_changed, c.audit_stale - before.audit_stale,
		 c.all_changed - before.all_changed, c.all_stale - before.all_stale,
		 metric(METRICS, M "wait_seconds", NULL));
	before = c;
	say("%s", text);
}

static long long number(sqlite3 *db, const char *question)
{
	sqlite3_stmt *s;
	long long n;

	if (sqlite3_prepare_v2(db, question, -1, &s, NULL) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_ROW)
		fail("%s: %s", question, sqlite3_errmsg(db));
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

static long long kib(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : (long long)st.st_size / 1024;
}

/* As anybody else may, who knows SQLite. */
static void say_server(int hour)
{
	char text[900];
	int n = put_daemon(text, sizeof(text), hour, &server);
	sqlite3 *db;

	CHECK(sqlite3_open_v2(DB, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	snprintf(
		text + n, sizeof(text) - (size_t)n,
		",\"db_kib\":%lld,\"wal_kib\":%lld,\"history\":%lld,\"history_epochs\":%lld,"
		"\"history_s\":%lld,\"audit\":%lld,\"who\":%lld,\"sharing\":%lld,"
		"\"fingerprint\":%lld,\"slab_kib\":%llu,\"unreclaimable_kib\":%llu}",
		kib(DB), kib(DB "-wal"), number(db, "SELECT count(*) FROM history"),
		number(db, "SELECT coalesce(sum(epochs), 0) FROM history"),
		number(db,
		       "SELECT coalesce((max(acked_unix_ns) - min(acked_unix_ns)) / 1000000000, 0) "
		       "FROM history"),
		number(db, "SELECT count(*) FROM audit"), number(db, "SELECT count(*) FROM who"),
		number(db, "SELECT count(*) FROM sharing"),
		number(db, "SELECT count(*) FROM fingerprint"),
		(unsigned long long)meminfo_kib("Slab"),
		(unsigned long long)meminfo_kib("SUnreclaim"));
	sqlite3_close(db);
	say("%s", text);
}

static void check_load(int pid)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != 0)
		fail("the load has ended");
}

int main(void)
{
	const char *hours = getenv("SOAK_HOURS");
	int n = hours ? atoi(hours) : 24, load;
	double next;

	CHECK(n > 0);
	mkdir("/run/soak", 0700);
	if (run_program((const char *const[]){ "ip", "link", "set", "lo", "up", NULL }))
		fail("no loopback");
	soak_disk();
	/* Programs are timed all the time then, not in the agent's first epochs only. */
	if (!file_put("/proc/sys/kernel/bpf_stats_enabled", "1"))
		fail_errno("bpf_stats_enabled");
	load = soak_load_start();
	start_both();
	next = now() - 30;
	for (int hour = 1; hour <= n; hour++) {
		for (int minute = 0; minute < MINUTES; minute++) {
			/* In the middle between two epochs. */
			next += 60;
			nap(next > now() ? next - now() : 0);
			take_sample(&agent);
			take_sample(&server);
			check_load(load);
		}
		read_log(&agent);
		read_log(&server);
		say_agent(hour);
		say_server(hour);
		begin_hour(&agent);
		begin_hour(&server);
	}
	kill(agent.pid, SIGTERM);
	wait_good(agent.pid, "mbagent");
	kill(server.pid, SIGTERM);
	wait_good(server.pid, "mbserver");
	kill(-load, SIGKILL);
	return 0;
}
