// SPDX-License-Identifier: GPL-2.0-or-later
/* Four walkers at once, of two processes with two threads on one descriptor
 * each: all are right. */
#include <pthread.h>
#include <unistd.h>

#include "util_content.h"
#include "util_plant.h"
#include "util_test.h"
#include "util_walk.h"

enum { N = 500, ROUNDS = 4 };

struct walker {
	const struct plants *plants;
	int fd;
	enum mbwalk_algorithm algorithm;
	unsigned int flags;
	uint64_t cap;
};

/* The planted frames were looked up before; they are told from others by their
 * digests alone. */
static void check(const struct walker *me, const struct walk *w, const uint64_t *digests)
{
	const struct plant *plant = &me->plants->list[0];

	for (size_t i = 0; i < N; i++) {
		const struct mbwalk_record *r = walk_find(w, plant->frames[i]);

		if (!r || r->digest != digests[i] || r->cls != MBWALK_ANON)
			fail("algorithm %d: planted frame %llx has %s, digest %llx", me->algorithm,
			     (unsigned long long)plant->frames[i],
			     r ? class_name(r->cls) : "no record", r ? r->digest : 0);
	}
}

static void *run(void *arg)
{
	const struct walker *me = arg;
	struct mbwalk_scan args = walk_args(me->fd, me->algorithm, me->flags);
	const struct plant *plant = &me->plants->list[0];
	uint64_t digests[N];
	struct walk w = { 0 };

	for (size_t i = 0; i < N; i++)
		digests[i] = content_digest(me->algorithm, plant->at + i * PAGE);
	args.cap_records = me->cap;
	for (int i = 0; i < ROUNDS; i++) {
		walk(me->fd, &args, false, &w);
		CHECK(w.n + walk_counted(&w) == args.n);
		check(me, &w, digests);
	}
	say("%s, %s: %zu records in %zu calls", me->algorithm == MBWALK_XXH64 ? "xxh64" : "sfh",
	    me->flags & MBWALK_SCAN_FREE ? "free ones too" : "in use", w.n, w.calls);
	walk_release(&w);
	return NULL;
}

static void run_two(const struct plants *plants, int process)
{
	int fd = walk_open();
	struct walker walkers[2] = {
		{ plants, fd, MBWALK_XXH64, process ? 0 : MBWALK_SCAN_FREE, process ? 777 : 0 },
		{ plants, fd, MBWALK_SUPERFASTHASH32, 0, process ? 0 : 5000 },
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
	struct plants plants = { .n = 0 };
	uint64_t content = random_seed();
	unsigned char *at = plant_memory(N);
	int pids[2];

	for (size_t i = 0; i < N; i++)
		content_fill(at + i * PAGE, content++);
	plant_add(&plants, "anonymous", at, N, MBWALK_ANON, 0);
	plant_look(&plants);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			run_two(&plants, i);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		wait_good(pids[i], "walkers");
	if (!plant_look(&plants))
		skip("the planted pages have been moved meanwhile");
	return 0;
}
