// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Four walkers at once, of two processes with two threads on one descriptor each: all are right, as
 * long as none of them is alone.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util_content.h"
#include "util_frame.h"
#include "util_plant.h"
#include "util_test.h"
#include "util_walk.h"

enum { N = 500, ROUNDS = 4, WALKERS = 4, LIMIT = 100 };

struct walker {
	unsigned int number;
	const unsigned char *pages; /* N */
	int fd;
	enum mbwalk_algorithm algorithm;
	unsigned int flags;
	uint64_t cap;
};

/* Of all processes. */
struct shared {
	atomic_uint ready, rounds[WALKERS];
};

static struct shared *shared;

static bool all_done(void)
{
	for (int i = 0; i < WALKERS; i++)
		if (atomic_load(&shared->rounds[i]) < ROUNDS)
			return false;
	return true;
}

/* How many pages lay in the same frame before and after: the kernel may move others at any time. */
static size_t check(const struct walker *me, const struct walk *w, const uint64_t *before,
		    const uint64_t *after, const uint64_t *digests)
{
	size_t stayed = 0;

	for (size_t i = 0; i < N; i++) {
		const struct mbwalk_record *r;

		if (before[i] == NO_FRAME || before[i] != after[i])
			continue;
		stayed++;
		r = walk_find(w, before[i]);
		if (!r || r->digest != digests[i] || r->cls != MBWALK_ANON)
			fail("walker %u: planted frame %llx has %s, digest %llx", me->number,
			     (unsigned long long)before[i], r ? class_name(r->cls) : "no record",
			     r ? r->digest : 0);
	}
	return stayed;
}

static void *run(void *arg)
{
	const struct walker *me = arg;
	struct mbwalk_scan args = walk_args(me->fd, me->algorithm, me->flags);
	uint64_t digests[N], before[N], after[N];
	double end = now() + LIMIT;
	unsigned int rounds = 0;
	struct walk w = { 0 };
	size_t stayed = 0;

	for (size_t i = 0; i < N; i++)
		digests[i] = content_digest(me->algorithm, me->pages + i * PAGE);
	args.cap_records = me->cap;
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < WALKERS)
		nap(0.001);
	do {
		frames_of(me->pages, N, before);
		walk(me->fd, &args, false, &w);
		frames_of(me->pages, N, after);
		CHECK(w.n + walk_counted(&w) == args.n);
		stayed += check(me, &w, before, after, digests);
		atomic_store(&shared->rounds[me->number], ++rounds);
		if (now() > end)
			fail("walker %u: waits for the others, %u rounds", me->number, rounds);
	} while (!all_done());
	say("walker %u: %u rounds of %zu calls, %zu records, %zu planted pages right", me->number,
	    rounds, w.calls, w.n, stayed);
	if (stayed < (size_t)rounds * N / 2)
		fail("too many have moved");
	walk_release(&w);
	return NULL;
}

static void run_two(const unsigned char *pages, unsigned int process)
{
	int fd = walk_open();
	struct walker walkers[2] = {
		{ 2 * process, pages, fd, MBWALK_XXH64, process ? 0 : MBWALK_SCAN_FREE,
		  process ? 777 : 0 },
		{ 2 * process + 1, pages, fd, MBWALK_SUPERFASTHASH32, 0, process ? 0 : 5000 },
	};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, run, &walkers[i]))
			fail("no thread");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close(fd);
}

int main(void)
{
	uint64_t content = random_seed();
	unsigned char *pages = plant_memory(N);
	int pids[2];

	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(shared != MAP_FAILED);
	for (size_t i = 0; i < N; i++)
		content_fill(pages + i * PAGE, content++);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			run_two(pages, i);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		wait_good(pids[i], "walkers");
	return 0;
}
