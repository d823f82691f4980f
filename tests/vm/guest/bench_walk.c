// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a walk costs, and what it takes away from others; no test. Each figure is the median of
 * several runs, and all come from the same boot: compare those only.
 *
 *	cost		a walk of all memory by each hash, and one that only looks for frames that
 *			are not what they were, against user space hashing as much memory, and
 *			only reading it
 *	slowdown	a program that computes and one that reads memory, while a walker is at
 *			it all the time, against the same undisturbed
 *
 * usage: bench_walk      prints JSON, an object a line, then the same as a table
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_content.h"
#include "util_test.h"
#include "util_walk.h"

enum { RUNS = 7, BUFFER = 64 << 20, STREAM = 16 << 20, CHASE = 8 << 20 };

struct cost {
	const char *what;
	size_t (*run)(void *arg); /* says how many pages it has done */
	void *arg;
	double ns[RUNS], instructions[RUNS]; /* a page */
};

static struct cost costs[10];
static size_t n_costs;
static volatile uint64_t sink;

/* --- measuring ----------------------------------------------------------------------------------
 */

static int counter = -1;

/* In the kernel, too: that is where a walk is. */
static void open_counter(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE,
					.size = sizeof attr,
					.config = PERF_COUNT_HW_INSTRUCTIONS };

	counter = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (counter < 0)
		say("no instructions are counted: %s", strerror(errno));
}

static uint64_t read_counter(void)
{
	uint64_t n = 0;

	if (counter >= 0 && read(counter, &n, sizeof n) != sizeof n)
		fail_errno("performance counter");
	return n;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, compare_doubles);
	return v[n / 2];
}

static void add_cost(const char *what, size_t (*run)(void *arg), void *arg)
{
	costs[n_costs++] = (struct cost){ .what = what, .run = run, .arg = arg };
}

static void measure_one(struct cost *c, int run)
{
	uint64_t before = read_counter();
	double start = now();
	size_t pages = c->run(c->arg);

	c->ns[run] = (now() - start) * 1e9 / pages;
	c->instructions[run] = (double)(read_counter() - before) / pages;
}

/* In turn, so that what else the host does hits all of them. */
static void measure_all(void)
{
	for (size_t i = 0; i < n_costs; i++)
		costs[i].run(costs[i].arg); /* caches, page tables */
	for (int run = 0; run < RUNS; run++)
		for (size_t i = 0; i < n_costs; i++)
			measure_one(&costs[i], run);
}

/* --- cost ---------------------------------------------------------------------------------------
 */

static int device;
static unsigned char *buffer;

struct how {
	enum mbwalk_algorithm algorithm;
	uint32_t parts;
	uint64_t *bitmap;
	uint8_t *known;
	struct walk w;
};

/* Pages hashed, or all that were looked at when none is to be. */
static size_t run_walk(void *arg)
{
	struct how *how = arg;
	struct mbwalk_scan args = walk_args(device, how->algorithm, MBWALK_SCAN_FREE);

	args.parts = how->parts;
	args.bitmap = (uintptr_t)how->bitmap;
	args.known = (uintptr_t)how->known;
	/* A batch as a program would take it; the check of each record is a small part. */
	args.cap_records = 4096;
	walk(device, &args, false, &how->w);
	return how->bitmap ? args.n : how->w.n;
}

static size_t run_xxh64(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < BUFFER; i += PAGE)
		sink += content_digest(MBWALK_XXH64, buffer + i);
	return BUFFER / PAGE;
}

static size_t run_sfh(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < BUFFER; i += PAGE)
		sink += content_digest(MBWALK_SUPERFASTHASH32, buffer + i);
	return BUFFER / PAGE;
}

/* Word by word: vectors are what an emulator is slowest at. */
__attribute__((optimize("no-tree-vectorize"))) static size_t run_read(void *arg)
{
	const uint64_t *p = (const uint64_t *)buffer, *end = p + BUFFER / sizeof *p;
	uint64_t a = 0, b = 0, c = 0, d = 0;

	(void)arg;
	for (; p < end; p += 4) {
		a += p[0];
		b += p[1];
		c += p[2];
		d += p[3];
	}
	sink += a + b + c + d;
	return BUFFER / PAGE;
}

static void measure_costs(void)
{
	struct how xxh = { .algorithm = MBWALK_XXH64 },
		   sfh = { .algorithm = MBWALK_SUPERFASTHASH32 };
	struct how clean = { .algorithm = MBWALK_XXH64 };
	struct how in4 = { .algorithm = MBWALK_XXH64, .parts = 4 };
	struct how in16 = { .algorithm = MBWALK_XXH64, .parts = 16 };
	struct mbwalk_info info;

	walk_info(device, &info);
	clean.bitmap = calloc(info.end_frame / 64 + 1, sizeof *clean.bitmap);
	clean.known = calloc(info.end_frame, 1);
	if (!clean.bitmap || !clean.known)
		fail("no memory");
	run_walk(&clean);
	for (size_t i = 0; i < clean.w.n; i++)
		clean.known[clean.w.records[i].frame] = clean.w.records[i].cls;
	add_cost("walk, xxh64", run_walk, &xxh);
	add_cost("walk, xxh64, 4 parts", run_walk, &in4);
	add_cost("walk, xxh64, 16 parts", run_walk, &in16);
	add_cost("walk, superfasthash", run_walk, &sfh);
	add_cost("walk, nothing new", run_walk, &clean);
	add_cost("user space, xxh64", run_xxh64, NULL);
	add_cost("user space, superfasthash", run_sfh, NULL);
	add_cost("user space, reading once", run_read, NULL);
	measure_all();
	walk_release(&xxh.w);
	walk_release(&in4.w);
	walk_release(&in16.w);
	walk_release(&sfh.w);
	walk_release(&clean.w);
}

/* --- slowdown -----------------------------------------------------------------------------------
 */

static void compute(void)
{
	uint64_t state = 1, sum = 0;

	for (int i = 0; i < 20000000; i++)
		sum += random64(&state);
	sink += sum;
}

static void stream(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 16; i++)
		for (size_t j = 0; j < STREAM; j += 8)
			sum += *(volatile uint64_t *)(buffer + j);
	sink += sum;
}

/* A ring through all lines of its memory, in an order that no prefetcher guesses. */
static void chase(void)
{
	static uint32_t *next;
	uint32_t at = 0;

	if (!next) {
		uint32_t n = CHASE / 64;

		next = (uint32_t *)(buffer + STREAM);
		for (uint32_t i = 0; i < n; i++)
			next[i * 16] = (i * 5 + 40503 * 2 + 1) % n; /* one ring: n is 2^k */
	}
	for (int i = 0; i < 4000000; i++)
		at = next[at * 16];
	sink += at;
}

static double time_of(void (*run)(void))
{
	double start = now();

	run();
	return now() - start;
}

static int start_walker(void)
{
	struct how how = { .algorithm = MBWALK_XXH64 };
	int pid = fork();

	if (pid)
		return pid;
	device = walk_open();
	for (;;)
		run_walk(&how);
}

static void measure_slowdown(int cpus)
{
	static const struct {
		const char *what;
		void (*run)(void);
	} programs[] = { { "computing", compute }, { "streaming", stream }, { "chasing", chase } };
	int status;

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		double idle[RUNS], busy[RUNS];

		programs[i].run();
		/* In turn, as above. */
		for (int j = 0; j < RUNS; j++) {
			int pid;

			idle[j] = time_of(programs[i].run);
			pid = start_walker();
			nap(0.1);
			busy[j] = time_of(programs[i].run);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
		}
		say("{\"bench\":\"slowdown\",\"program\":\"%s\",\"cpus\":%d,\"idle_ms\":%.1f,"
		    "\"walking_ms\":%.1f,\"slowdown\":%.3f}",
		    programs[i].what, cpus, median(idle, RUNS) * 1e3, median(busy, RUNS) * 1e3,
		    median(busy, RUNS) / median(idle, RUNS));
	}
}

/* All that we start stays there, too. */
static void use_cpus(int n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < n; i++)
		CPU_SET(i, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		fail_errno("sched_setaffinity");
}

static struct cost *cost_of(const char *what)
{
	for (size_t i = 0; i < n_costs; i++)
		if (strcmp(costs[i].what, what) == 0)
			return &costs[i];
	fail("no figure: %s", what);
}

static void report(void)
{
	double hash = median(cost_of("user space, xxh64")->ns, RUNS);
	double once = median(cost_of("user space, reading once")->ns, RUNS);

	for (size_t i = 0; i < n_costs; i++) {
		struct cost *c = &costs[i];
		double middle = median(c->ns, RUNS); /* sorts */

		say("{\"bench\":\"walk\",\"what\":\"%s\",\"ns_per_page\":%.1f,"
		    "\"ns_per_page_least\":%.1f,\"instructions_per_page\":%.0f}",
		    c->what, middle, c->ns[0], counter < 0 ? -1 : median(c->instructions, RUNS));
	}
	say("%-28s %12s %12s %14s %16s %14s", "", "ns a page", "least", "x user xxh64",
	    "x reading once", "instructions");
	for (size_t i = 0; i < n_costs; i++) {
		struct cost *c = &costs[i];
		char count[32] = "-";

		if (counter >= 0)
			snprintf(count, sizeof count, "%.0f", median(c->instructions, RUNS));
		say("%-28s %12.1f %12.1f %14.2f %16.2f %14s", c->what, median(c->ns, RUNS),
		    c->ns[0], median(c->ns, RUNS) / hash, median(c->ns, RUNS) / once, count);
	}
}

int main(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t seed = random_seed();

	device = walk_open();
	buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		fail_errno("mmap");
	for (size_t i = 0; i < BUFFER; i += 8)
		*(uint64_t *)(buffer + i) = random64(&seed);
	open_counter();
	measure_costs();
	report();
	for (int n = 1; n <= 2 && n <= cpus; n++) {
		use_cpus(n);
		measure_slowdown(n);
	}
	return 0;
}
