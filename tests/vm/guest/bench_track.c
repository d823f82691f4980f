// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What incremental passes cost, and what tracking takes from others; no test. All figures are of
 * one boot, each the median of several runs, and meant to be seen as ratios. With a clock that
 * counts instructions (QEMU's -icount shift=0) nanoseconds are instructions.
 *
 *	pass	an incremental pass with so many pages rewritten, against a full walk
 *	op	single operations with the tracker's hooks and without; `rewrite` after an epoch,
 *		which is when writes are faults
 *
 * usage: bench_track     prints JSON, an object a line
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/pass.h"
#include "agent/track_bpf.h"
#include "util_content.h"
#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"

enum { RUNS = 5, OPS = 1000 };

static uint64_t seed = 1;
static char *region;
static size_t region_pages;

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double v[RUNS])
{
	qsort(v, RUNS, sizeof(*v), by_size);
	return v[RUNS / 2];
}

/* --- passes --- */

static struct mb_tracker *tracker;

static void check(int r, const struct mb_err *err)
{
	if (r < 0)
		fail("%s", err->text);
}

static void open_tracker(uint32_t who)
{
	struct mb_err err = { 0 };

	check(mb_track_bpf.open(&(struct mb_tracker_options){ .who = who }, &tracker, &err), &err);
}

static void close_tracker(void)
{
	tracker->ops->close(tracker);
	tracker = NULL;
}

static void epoch(void)
{
	const struct mb_frame_set *dirty;
	const char *doubt;
	struct mb_err err = { 0 };

	check(tracker->ops->epoch(tracker, &dirty, &doubt, &err), &err);
}

/* Each has its own page table. */
static double run_pass(struct mb_pass *p, struct mb_pass_info *ret)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	double start = now(), ns;

	check(mb_pass_run(p, &e, &err), &err);
	ns = (now() - start) * 1e9;
	*ret = e.info;
	mb_fingerprint_deinit(&e.fingerprint);
	return ns;
}

static void rewrite(double share)
{
	size_t n = (size_t)(share * (double)region_pages);
	/* Scattered, each once. */
	size_t step = region_pages / (n ? n : 1);

	for (size_t i = 0; i < n; i++)
		*(volatile uint64_t *)(region + i * step * PAGE + 8) = random64(&seed);
}

static void bench_passes(void)
{
	static const double shares[] = { 0, .01, .05, .2, .5 };
	struct mb_source_options options = { .algorithm = MB_XXH64 };
	struct mb_pass_info info;
	struct mb_source *source;
	struct mb_tracker *none;
	struct mb_pass all, some;
	struct mb_err err = { 0 };
	double ns[RUNS], full;
	uint64_t pages;

	check(mb_source_open("kmod", &options, &source, &err), &err);
	check(mb_track_none.open(&(struct mb_tracker_options){ 0 }, &none, &err), &err);
	open_tracker(0);
	check(mb_pass_init(&all, source, none, 64, "", NULL, &err), &err);
	check(mb_pass_init(&some, source, tracker, 64, "", NULL, &err), &err);
	mb_rehash_init(&some.rehash, mb_track_bpf.follows, 16);
	run_pass(&all, &info);
	for (int i = 0; i < RUNS; i++)
		ns[i] = run_pass(&all, &info);
	full = median(ns);
	pages = info.pages_read;
	say("{\"bench\":\"pass\",\"dirty\":null,\"pages\":%llu,\"ns\":%.0f}",
	    (unsigned long long)pages, full);
	mb_pass_deinit(&all);
	/* Until quiet pages are known as such. Audits raise the caps; here nothing else would. */
	for (int i = 0; i < 4; i++)
		mb_rehash_judge(&some.rehash, &(struct mb_audit){ .audits = 1 },
				(uint64_t[MB_CLASS_END]){ 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 });
	for (int i = 0; i < 32; i++)
		run_pass(&some, &info);
	for (size_t k = 0; k < sizeof(shares) / sizeof(*shares); k++) {
		uint64_t read = 0;

		for (int i = 0; i < RUNS; i++) {
			rewrite(shares[k]);
			ns[i] = run_pass(&some, &info);
			read += info.pages_read;
		}
		say("{\"bench\":\"pass\",\"dirty\":%.2f,\"pages\":%llu,\"read\":%llu,\"ns\":%.0f,"
		    "\"of_full\":%.4f}",
		    shares[k], (unsigned long long)pages, (unsigned long long)read / RUNS,
		    median(ns), median(ns) / full);
	}
	mb_pass_deinit(&some);
	close_tracker();
	source->ops->close(source);
}

/* --- single operations --- */

static void op_fault(void)
{
	char *at =
		mmap(NULL, OPS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(at, OPS * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < OPS; i++)
		at[i * PAGE] = 1;
	munmap(at, OPS * PAGE);
}

/* The child holds the pages while its parent writes to all of them. */
static void op_cow(void)
{
	int pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	for (size_t i = 0; i < OPS; i++)
		region[i * PAGE] = 1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void op_rewrite(void)
{
	for (size_t i = 0; i < OPS; i++)
		region[i * PAGE] = 2;
}

static void op_exec(void)
{
	static const char *const program[] = { "true", NULL };

	for (int i = 0; i < OPS / 100; i++)
		run_program(program);
}

static void op_write(void)
{
	static char page[PAGE];
	int fd = open("/tmp/bench.file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (size_t i = 0; i < OPS; i++)
		CHECK(write(fd, page, PAGE) == PAGE);
	close(fd);
}

static void op_pipe(void)
{
	int ends[2];
	char c = 0;

	CHECK(pipe(ends) == 0);
	for (int i = 0; i < OPS; i++)
		CHECK(write(ends[1], &c, 1) == 1 && read(ends[0], &c, 1) == 1);
	close(ends[0]);
	close(ends[1]);
}

static const struct {
	const char *name;
	void (*run)(void);
	int n;
} ops[] = {
	{ "anon fault", op_fault, OPS },      { "COW fault", op_cow, OPS },
	{ "rewrite", op_rewrite, OPS },	      { "fork + exec", op_exec, OPS / 100 },
	{ "write 4K, tmpfs", op_write, OPS }, { "pipe", op_pipe, OPS },
};
enum { N_OPS = sizeof(ops) / sizeof(ops[0]) };

/*
 * The tracker of operations is a process of its own, as an agent is: what this one forks would have
 * its memory, too.
 */
static struct {
	int pid, ask, answer;
} apart;

static void ask_apart(void)
{
	char c;

	CHECK(write(apart.ask, "", 1) == 1 && read(apart.answer, &c, 1) == 1);
}

static void start_apart(uint32_t who)
{
	int ask[2], answer[2];
	char c;

	CHECK(pipe2(ask, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
	apart.pid = fork();
	if (!apart.pid) {
		close(ask[1]);
		open_tracker(who);
		while (read(ask[0], &c, 1) == 1) {
			epoch();
			CHECK(write(answer[1], &c, 1) == 1);
		}
		_exit(0);
	}
	close(ask[0]);
	close(answer[1]);
	apart.ask = ask[1];
	apart.answer = answer[0];
	/* Until the kernel does not time programs any more. */
	for (int i = 0; i < 20; i++) {
		op_fault();
		ask_apart();
	}
}

static void stop_apart(void)
{
	close(apart.ask);
	close(apart.answer);
	waitpid(apart.pid, NULL, 0);
	apart.pid = 0;
}

static void measure_ops(double ret[N_OPS])
{
	for (size_t k = 0; k < N_OPS; k++) {
		double ns[RUNS];

		ops[k].run();
		for (int i = 0; i < RUNS; i++) {
			double start;

			if (apart.pid)
				ask_apart();
			start = now();
			ops[k].run();
			ns[i] = (now() - start) * 1e9 / ops[k].n;
		}
		ret[k] = median(ns);
	}
}

static void bench_ops(void)
{
	static const uint32_t who[] = { 0, 8, 1 };
	double without[N_OPS], with[3][N_OPS];

	measure_ops(without);
	for (int i = 0; i < 3; i++) {
		start_apart(who[i]);
		measure_ops(with[i]);
		stop_apart();
	}
	for (size_t k = 0; k < N_OPS; k++)
		say("{\"bench\":\"op\",\"what\":\"%s\",\"ns\":%.0f,\"tracked_ns\":%.0f,\"ratio\":%."
		    "3f,\"who_8_ratio\":%.3f,\"who_1_ratio\":%.3f}",
		    ops[k].name, without[k], with[0][k], with[0][k] / without[k],
		    with[1][k] / without[k], with[2][k] / without[k]);
}

int main(void)
{
	long long memory = meminfo_frames("MemTotal");

	region_pages = (size_t)memory / 2;
	region = mmap(NULL, region_pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED)
		fail_errno("mmap");
	madvise(region, region_pages * PAGE, MADV_NOHUGEPAGE);
	/* Children get just what they are to copy. */
	madvise(region + OPS * PAGE, (region_pages - OPS) * PAGE, MADV_DONTFORK);
	for (size_t i = 0; i < region_pages; i++)
		*(uint64_t *)(region + i * PAGE) = random64(&seed);
	bench_ops();
	bench_passes();
	return 0;
}
