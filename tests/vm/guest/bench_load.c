// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What tracking takes from whole programs, as who runs them sees it: a long mixed load, with epochs
 * as far apart as an agent's; no test. The load is a build of many small processes and SQLite, in
 * turn. With a clock that counts instructions (QEMU's -icount shift=N) seconds are 10^9 / 2^N
 * instructions.
 *
 * Each line is of the same work: without a tracker, then with one, and an epoch at the start and
 * after every so many seconds.
 *
 * With LOAD=parts in the environment (the kernel's command line puts it there): shorter, with one
 * part of the tracker at a time, or without one.
 *
 * usage: bench_load     prints JSON, an object a line
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/track_bpf.h"
#include "util_content.h"
#include "util_file.h"
#include "util_test.h"

/* Of the load, not tracked. */
enum { SECONDS = 60, PARTS_SECONDS = 0 /* one piece */ };

static uint64_t seed;
static volatile uint32_t *epochs; /* since the load began; shared with who takes them */

/* --- the load --- */

/* As make does it: a shell a file, which runs a few programs over it. */
static void load_build(void)
{
	static const char *const program[] = {
		"sh", "-c",
		"for i in $(seq 8); do"
		" for f in /tests/test_*.sh /init; do"
		"  sed 's/a/b/g' $f > /tmp/b.1 && sort /tmp/b.1 > /tmp/b.2 && gzip -c /tmp/b.2 > "
		"/tmp/b.3;"
		"  grep -c x /tmp/b.2 > /tmp/b.4; md5sum /tmp/b.3 >> /tmp/b.4; rm /tmp/b.?;"
		" done; done",
		NULL
	};

	run_program(program);
}

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail("SQLite: %s", sqlite3_errmsg(db));
}

static void load_sqlite(void)
{
	char text[200];
	sqlite3 *db;

	seed = 1; /* the same work each time */
	unlink("/tmp/bench.db");
	CHECK(sqlite3_open("/tmp/bench.db", &db) == SQLITE_OK);
	sql(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b INT, c TEXT)");
	for (int i = 0; i < 1000; i++) {
		sql(db, "BEGIN");
		for (int k = 0; k < 10; k++) {
			snprintf(text, sizeof(text),
				 "INSERT OR REPLACE INTO t VALUES(%u, %d, '%016llx%016llx')",
				 (unsigned int)(random64(&seed) % 20000), i,
				 (unsigned long long)random64(&seed),
				 (unsigned long long)random64(&seed));
			sql(db, text);
		}
		sql(db, "COMMIT");
	}
	sql(db, "SELECT count(*), sum(b) FROM t WHERE c LIKE '%7f%'");
	sqlite3_close(db);
}

/* --- the tracker --- */

struct run {
	int every_s;	   /* between epochs; 0: no tracker */
	uint32_t who;	   /* counted, of one frame in so many; 0: not */
	const char *part;  /* NULL: the tracker as it is */
	const char *debug; /* what makes it so (MB_DEBUG_TRACK) */
};

static void check(int r, const struct mb_err *err)
{
	if (r < 0)
		fail("%s", err->text);
}

static void epoch(struct mb_tracker *t)
{
	const struct mb_frame_set *dirty;
	const char *doubt;
	struct mb_err err = { 0 };

	check(t->ops->epoch(t, &dirty, &doubt, &err), &err);
}

/* What an agent's tracker does meanwhile, on the same CPU, after its first epochs. */
static _Noreturn void take_epochs(const struct run *run, int ready)
{
	struct mb_tracker *t;
	struct mb_err err = { 0 };

	if (run->part)
		setenv("MB_DEBUG_TRACK", run->debug, 1);
	check(mb_track_bpf.open(&(struct mb_tracker_options){ .who = run->who }, &t, &err), &err);
	for (int i = 0; i < 20; i++) {
		nap(.01);
		epoch(t);
	}
	CHECK(write(ready, "", 1) == 1);
	for (;;) {
		nap(run->every_s);
		epoch(t);
		++*epochs;
	}
}

static int start_epochs(const struct run *run)
{
	int ready[2], pid;
	char c;

	CHECK(pipe(ready) == 0);
	pid = fork();
	if (!pid)
		take_epochs(run, ready[1]);
	CHECK(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* So many pieces of each kind; how long they took. */
static void measure(const struct run *run, int pieces, double *ret_build, double *ret_sqlite)
{
	int pid = run->every_s ? start_epochs(run) : 0;

	*ret_build = *ret_sqlite = 0;
	for (int i = 0; i < pieces; i++) {
		double a = now(), b;

		load_build();
		b = now();
		load_sqlite();
		*ret_build += b - a;
		*ret_sqlite += now() - b;
	}
	if (pid) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void measure_all(const struct run *runs, size_t n, int seconds)
{
	double build, sqlite, build0 = 0, sqlite0 = 0;
	int pieces;

	epochs = mmap(NULL, sizeof(*epochs), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(epochs != MAP_FAILED);
	measure(&runs[0], 1, &build, &sqlite);
	measure(&runs[0], 1, &build, &sqlite);
	pieces = (int)(seconds / (build + sqlite)) + 1;
	for (size_t i = 0; i < n; i++) {
		*epochs = 0;
		measure(&runs[i], pieces, &build, &sqlite);
		if (!i) {
			build0 = build;
			sqlite0 = sqlite;
		}
		say("{\"bench\":\"load\",\"every_s\":%d,\"who\":%u,\"part\":\"%s\",\"pieces\":%d,"
		    "\"epochs\":%u,\"build_s\":%.2f,\"sqlite_s\":%.2f,\"build\":%.4f,"
		    "\"sqlite\":%.4f,\"mixed\":%.4f}",
		    runs[i].every_s, runs[i].who, runs[i].part ? runs[i].part : "", pieces, *epochs,
		    build, sqlite, build / build0, sqlite / sqlite0,
		    (build + sqlite) / (build0 + sqlite0));
	}
}

int main(void)
{
	/* The first one is what the others are held against. */
	static const struct run all[] = {
		{ .every_s = 0 },
		{ .every_s = 60, .who = 8 }, /* as an agent does that is told nothing else */
		{ .every_s = 10, .who = 8 },
	};
	/* One piece each: an epoch comes before it, so that its refaults are in it. */
	static const struct run parts[] = {
		{ .every_s = 0 },
		{ 60, 0, "hooks alone", "no-protect" },
		{ 60, 8, "hooks alone, who of 1 in 8", "no-protect" },
		{ 60, 0, "hooks but folio_mark_dirty", "no-protect,without-folio_mark_dirty," },
		{ 60, 0, "hooks but sched_process_exec", "no-protect,without-sched_process_exec," },
		{ 60, 0, "hooks but __do_fault", "no-protect,without-__do_fault," },
		{ 60, 0, "hooks but filemap_map_pages", "no-protect,without-filemap_map_pages," },
		{ 60, 0, "hooks and an epoch before", "" },
	};
	const char *which = getenv("LOAD");

	if (which && !strcmp(which, "parts"))
		measure_all(parts, sizeof(parts) / sizeof(*parts), PARTS_SECONDS);
	else
		measure_all(all, sizeof(all) / sizeof(*all), SECONDS);
	return 0;
}
