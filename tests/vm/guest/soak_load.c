// SPDX-License-Identifier: GPL-2.0-or-later
#include "soak_load.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_content.h"
#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"

enum {
	DISK_MIB = 32,
	HEAP_PAGES = 1024,
	WORKER_PAGES = 512,
	WORKERS = 2,
	WORKER_MINUTES = 25,
	FILE_PAGES = 48,   /* of new page cache, a piece */
	FILE_MINUTES = 30, /* that a file stays */
	DB_KEYS = 20000,
	PIECE_S = 60,
};

/* How busy each quarter of an hour is. */
static const int level[4] = { 1, 2, 1, 0 };

static uint64_t seed = 1;
static char *heap;
static sqlite3 *db;

void soak_disk(void)
{
	/* All of the image is there from the start: what ext4 has not used yet must not look like
	 * growth. */
	static const char *const make[] = { "sh", "-c",
					    "dd if=/dev/zero of=/tmp/soak.image bs=1M count=$0 && "
					    "mke2fs -F -b 4096 /tmp/soak.image && "
					    "losetup /dev/loop3 /tmp/soak.image",
					    NULL, NULL };
	const char *words[sizeof(make) / sizeof(*make)];
	char mib[16];

	memcpy(words, make, sizeof(make));
	snprintf(mib, sizeof(mib), "%d", DISK_MIB);
	words[3] = mib;
	if (run_program(words))
		fail("no disk");
	mkdir(SOAK_DISK, 0755);
	if (mount("/dev/loop3", SOAK_DISK, "ext4", 0, NULL) < 0)
		fail_errno("%s", SOAK_DISK);
}

static void sql(const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail("SQLite: %s", sqlite3_errmsg(db));
}

static void open_db(void)
{
	CHECK(sqlite3_open(SOAK_DISK "/load.db", &db) == SQLITE_OK);
	sql("PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b INT, c TEXT)");
}

/* A trickle even in quiet hours, as monitoring or mail would be. */
static void use_db(int busy)
{
	char text[200];

	for (int i = 0; i < 2 + 10 * busy; i++) {
		sql("BEGIN");
		for (int k = 0; k < 10; k++) {
			snprintf(text, sizeof(text),
				 "INSERT OR REPLACE INTO t VALUES(%u, %d, '%016llx%016llx')",
				 (unsigned int)(random64(&seed) % DB_KEYS), i,
				 (unsigned long long)random64(&seed),
				 (unsigned long long)random64(&seed));
			sql(text);
		}
		sql("COMMIT");
	}
	sql("SELECT count(*), sum(b) FROM t WHERE a % 7 = 3");
}

/* Names that come again, so that the folder does not grow. */
static void use_files(int minute, int busy)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	char name[64];
	int fd;

	snprintf(name, sizeof(name), SOAK_DISK "/file.%d", minute % FILE_MINUTES);
	unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fail_errno("%s", name);
	for (int i = 0; i < busy * FILE_PAGES; i++) {
		content_fill(page, random64(&seed));
		if (write(fd, page, PAGE) != PAGE)
			fail_errno("%s", name);
	}
	close(fd);
	if (minute % FILE_MINUTES == FILE_MINUTES - 1)
		file_put("/proc/sys/vm/drop_caches", "3");
}

static void use_heap(char *at, int pages, int n)
{
	for (int i = 0; i < n; i++)
		content_fill(at + random64(&seed) % (uint64_t)pages * PAGE, random64(&seed));
}

static char *memory(int pages)
{
	char *at = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail_errno("mmap");
	return at;
}

/* Lives on for a while with a heap of its own. */
static _Noreturn void work(uint64_t own_seed)
{
	char *at = memory(WORKER_PAGES);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "soak-worker");
	seed = own_seed;
	for (int i = 0; i < WORKER_MINUTES; i++) {
		use_heap(at, WORKER_PAGES, i ? 32 : WORKER_PAGES);
		nap(PIECE_S);
	}
	_exit(0);
}

/* A worker that has ended is followed by another. */
static void keep_workers(void)
{
	static int n;
	int pid;

	while (n && waitpid(-1, NULL, WNOHANG) > 0)
		n--;
	if (n == WORKERS)
		return;
	pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (!pid)
		work(random64(&seed));
	n++;
}

static void use_processes(int busy)
{
	static const char *const program[] = {
		"sh", "-c",
		"sed s/a/b/g /init > /tmp/soak.1 && sort /tmp/soak.1 | gzip -c > /tmp/soak.2;"
		" md5sum /tmp/soak.2 > " SOAK_DISK "/sum; rm /tmp/soak.?",
		NULL
	};

	for (int i = 0; i < busy; i++) {
		if (run_program(program))
			fail("a program of the load fails");
	}
}

static _Noreturn void go_on(void)
{
	double next = now();

	prctl(PR_SET_NAME, "soak-load");
	heap = memory(HEAP_PAGES);
	use_heap(heap, HEAP_PAGES, HEAP_PAGES);
	open_db();
	for (int minute = 0;; minute++) {
		int busy = level[minute / 15 % 4];

		keep_workers();
		use_processes(busy);
		use_files(minute, busy);
		use_db(busy);
		use_heap(heap, HEAP_PAGES, 16 + 64 * busy);
		next += PIECE_S;
		nap(next > now() ? next - now() : 0);
	}
}

int soak_load_start(void)
{
	int pid = fork();

	if (pid < 0)
		fail_errno("fork");
	if (!pid) {
		setpgid(0, 0);
		go_on();
	}
	setpgid(pid, pid);
	return pid;
}
