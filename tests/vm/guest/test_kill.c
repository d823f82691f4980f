// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A walk ends at once when its process is killed, and leaves nothing behind;
 * another signal makes it stop early, to be resumed.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"

enum { KILLS = 100, CANARY = 0x55 };

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

static long long references(void)
{
	return file_number("/sys/module/" MBWALK_DEVICE "/refcnt");
}

static int start_walker(int i, volatile int *started)
{
	struct walk w = { 0 };
	int pid = fork(), fd;

	if (pid)
		return pid;
	fd = walk_open();
	*started = 1;
	for (;;)
		walk_all(fd, i % 2 ? MBWALK_XXH64 : MBWALK_SUPERFASTHASH32, MBWALK_SCAN_FREE, &w);
}

/* Seconds until it was gone. */
static double kill_it(int pid)
{
	double start = now();
	int status;

	if (kill(pid, SIGKILL) < 0)
		fail_errno("kill");
	for (;;) {
		int r = waitpid(pid, &status, WNOHANG);

		if (r == pid)
			break;
		if (now() > start + 20)
			fail("does not die: killed 20 s ago");
		nap(0.001);
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("ended by itself: status %#x", status);
	return now() - start;
}

static void check_kills(uint64_t *seed)
{
	volatile int *started =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double longest = 0;

	CHECK(started != MAP_FAILED);
	for (int i = 0; i < KILLS; i++) {
		int pid;
		double took;

		*started = 0;
		pid = start_walker(i, started);
		while (!*started)
			nap(0.0005);
		nap(random64(seed) % 50000 * 1e-6);
		took = kill_it(pid);
		longest = took > longest ? took : longest;
	}
	say("%d kills, each dead after at most %.0f ms", KILLS, longest * 1e3);
	if (longest > 2)
		fail("too long");
	/* Files of the dead are closed by then, or a moment later. */
	for (int i = 0; i < 100 && references() != 0; i++)
		nap(0.02);
	if (references() != 0)
		fail("the module has %lld references left", references());
}

static void set_alarm(long microseconds)
{
	struct itimerval t = { .it_interval = { 0, microseconds },
			       .it_value = { 0, microseconds } };

	if (setitimer(ITIMER_REAL, &t, NULL) < 0)
		fail_errno("setitimer");
}

/* Refused: the struct is as it was, and no record was written. */
static void check_nothing_done(const struct mbwalk_scan *args, const struct mbwalk_scan *before,
			       const struct mbwalk_record *records)
{
	const unsigned char *at = (const unsigned char *)records;

	if (memcmp(args, before, sizeof *args) != 0)
		fail("EINTR, but the struct was written: next %llx, %llu records", args->next,
		     args->n_records);
	for (size_t i = 0; i < PAGE; i++)
		if (at[i] != CANARY)
			fail("EINTR, but byte %zu of the records was written", i);
}

/* One pass; how many of its calls the alarm has cut short, and how many it has
 * kept from starting. */
static void check_alarms(long microseconds, size_t *cut, size_t *refused)
{
	int fd = walk_open();
	struct mbwalk_scan args = walk_args(fd, MBWALK_XXH64, MBWALK_SCAN_FREE), before;
	uint64_t end = args.n, sum = 0, first = 0;
	size_t bytes = args.n * sizeof(struct mbwalk_record);
	struct mbwalk_record *records = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(records != MAP_FAILED);
	*cut = *refused = 0;
	args.records = (uintptr_t)records;
	args.cap_records = args.n;
	set_alarm(microseconds);
	while (first < end) {
		args.first = first;
		args.n = end - first;
		/* Once in a while without alarms, so that it ends on a slow machine, too.
		 */
		if (*cut + *refused == 2000)
			set_alarm(0);
		args.next = args.n_records = args.generation = 0xdddddddd;
		memset(args.counts, 0xdd, sizeof args.counts);
		memset(records, CANARY, PAGE);
		before = args;
		if (ioctl(fd, MBWALK_SCAN, &args) < 0) {
			if (errno != EINTR)
				fail_errno("MBWALK_SCAN");
			check_nothing_done(&args, &before, records);
			++*refused;
			continue;
		}
		CHECK(args.next > first && args.next <= end);
		*cut += args.next < end;
		sum += args.n_records;
		for (size_t i = 0; i < MBWALK_COUNTS; i++)
			sum += args.counts[i];
		first = args.next;
	}
	set_alarm(0);
	CHECK(sum == end);
	munmap(records, bytes);
	close(fd);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */
	uint64_t seed = random_seed();
	size_t cut, refused;
	long long before = references();

	CHECK(before == 0);
	check_kills(&seed);
	sigaction(SIGALRM, &action, NULL);
	check_alarms(20000, &cut, &refused);
	say("alarm every 20 ms: %zu calls cut short, %zu refused, all frames seen", cut, refused);
	CHECK(cut > 0);
	check_alarms(200, &cut, &refused);
	say("alarm every 0.2 ms: %zu calls cut short, %zu refused, all frames seen", cut, refused);
	CHECK(cut + refused > 0 && references() == 0);
	return 0;
}
