// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `mbagent dirty` names who wrote, by process and cgroup, how many frames, and how. With both sets
 * of programs at work (agent/bpf_set.h), which must not count one thing as two.
 */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/track_bpf.h" /* the names of kinds */
#include "util_file.h"
#include "util_test.h"

enum { PAGES = 400, PAGE = 4096, NAMES = MB_WHO_MAX + 200 };

#define CGROUP "/sys/fs/cgroup"
#define LOG    "/tmp/dirty.log"
#define PID    "/tmp/dirty.pid"

static char *memory(size_t pages)
{
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (at == MAP_FAILED)
		fail_errno("mmap");
	madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	return at;
}

static void touch(char *at, char value)
{
	for (size_t i = 0; i < PAGES; i++)
		at[i * PAGE] = value;
}

static int said; /* a program's; the test hears of it here: that it is ready, that it has written */

/* Each is told by a byte to write, once. */
static bool told(int go)
{
	char c;

	CHECK(write(said, "", 1) == 1);
	return read(go, &c, 1) == 1;
}

static void rewrite(int go)
{
	char *at = memory(PAGES);

	touch(at, 1);
	if (told(go))
		touch(at, 2);
}

static void first_touch(int go)
{
	char *at = memory(PAGES);

	if (told(go))
		touch(at, 1);
}

static void copy_on_write(int go)
{
	char *at = memory(PAGES);

	touch(at, 1);
	if (fork() == 0) {
		prctl(PR_SET_NAME, "w-idle");
		pause();
	}
	if (told(go))
		touch(at, 2);
}

static void write_file(int go)
{
	static char page[PAGE];
	int fd = open("/tmp/dirty.file", O_RDWR | O_CREAT, 0600);

	for (size_t i = 0; i < PAGES; i++)
		CHECK(write(fd, page, PAGE) == PAGE);
	if (!told(go))
		return;
	for (size_t i = 0; i < PAGES; i++)
		CHECK(pwrite(fd, page, PAGE, (off_t)(i * PAGE)) == PAGE);
}

/* More names than there is room for. */
static void many(int go)
{
	char *at = memory(NAMES), name[16];

	if (!told(go))
		return;
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "m-%zu", i);
		prctl(PR_SET_NAME, name);
		at[i * PAGE] = 1;
	}
}

static const struct {
	const char *name;
	void (*run)(int go);
	enum mb_dirty_kind kind;
} programs[] = {
	{ "w-rewrite", rewrite, MB_DIRTY_REWRITE }, { "w-touch", first_touch, MB_DIRTY_TOUCH },
	{ "w-cow", copy_on_write, MB_DIRTY_COW },   { "w-write", write_file, MB_DIRTY_CACHE_WRITE },
	{ "w-many", many, MB_DIRTY_KINDS },
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

static int pids[PROGRAMS], gos[PROGRAMS], ears[PROGRAMS];
static bool cgroups;

static void start_all(void)
{
	for (size_t i = 0; i < PROGRAMS; i++) {
		char path[100], me[16];
		int go[2], ear[2];

		if (pipe(go) < 0 || pipe(ear) < 0)
			fail_errno("pipe");
		gos[i] = go[1];
		ears[i] = ear[0];
		said = ear[1];
		pids[i] = fork();
		if (pids[i]) {
			close(said);
			continue;
		}
		close(go[1]);
		snprintf(path, sizeof(path), CGROUP "/%s", programs[i].name);
		mkdir(path, 0700);
		strcat(path, "/cgroup.procs");
		snprintf(me, sizeof(me), "%d", (int)getpid());
		if (cgroups && !file_put(path, me))
			fail_errno("%s", path);
		prctl(PR_SET_NAME, programs[i].name);
		programs[i].run(go[0]);
		CHECK(write(said, "", 1) == 1);
		pause();
		_exit(0);
	}
}

/* Until it is ready, or has written. */
static void hear(size_t i)
{
	char c;

	if (read(ears[i], &c, 1) != 1)
		fail("%s has ended", programs[i].name);
}

static json_t *row_of(json_t *epoch, const char *process)
{
	json_t *rows = json_object_get(epoch, "by"), *row;
	size_t i;

	json_array_foreach(rows, i,
			   row) if (!strcmp(json_string_value(json_object_get(row, "process")),
					    process)) return row;
	return NULL;
}

static void check_program(json_t *epoch, size_t i)
{
	const char *kind = mb_dirty_kind_name(programs[i].kind), *cgroup;
	json_t *row = row_of(epoch, programs[i].name);
	long long n;

	if (!row)
		fail("%s is not among those who dirtied", programs[i].name);
	cgroup = json_string_value(json_object_get(row, "cgroup"));
	n = json_integer_value(json_object_get(json_object_get(row, "kinds"), kind));
	/* In many kernels nothing tells the two apart. */
	if (programs[i].kind == MB_DIRTY_COW)
		n += json_integer_value(json_object_get(json_object_get(row, "kinds"),
							mb_dirty_kind_name(MB_DIRTY_TOUCH)));
	say("%s in %s: %lld frames, %lld of them by %s", programs[i].name, cgroup,
	    (long long)json_integer_value(json_object_get(row, "frames")), n, kind);
	/* A page that was migrated or the like meanwhile counts for who did that. */
	if (n < PAGES * 9 / 10 || n > PAGES + 60)
		fail("%s: %lld frames by %s, not %d", programs[i].name, n, kind, PAGES);
	if (cgroups && (*cgroup != '/' || strcmp(cgroup + 1, programs[i].name) != 0))
		fail("%s is in another cgroup than %s", programs[i].name, cgroup);
}

static void check(FILE *from)
{
	json_t *epoch = json_loadf(from, JSON_DISABLE_EOF_CHECK, NULL), *others;
	long long frames, sum = 0;
	size_t i;
	json_t *row;

	if (!epoch)
		fail("mbagent dirty prints no JSON");
	for (i = 0; i < PROGRAMS; i++)
		if (programs[i].kind != MB_DIRTY_KINDS)
			check_program(epoch, i);
	others = row_of(epoch, "(others)");
	if (!others)
		fail("%d names, and no others", NAMES);
	say("others: %lld frames",
	    (long long)json_integer_value(json_object_get(others, "frames")));
	frames = json_integer_value(json_object_get(epoch, "frames"));
	json_array_foreach(json_object_get(epoch, "by"), i, row) sum +=
		json_integer_value(json_object_get(row, "frames"));
	say("%lld frames were dirtied, %lld have someone who did", frames, sum);
	/* Counted and taken one after the other, while the system goes on. */
	if (sum > frames + frames / 10 || sum < frames - frames / 10)
		fail("the rows do not add up");
}

int main(void)
{
	char text[1000];
	FILE *from;

	mkdir(CGROUP, 0700);
	cgroups = mount("none", CGROUP, "cgroup2", 0, NULL) == 0;
	if (!cgroups)
		say("no cgroup2 here");
	start_all();
	for (size_t i = 0; i < PROGRAMS; i++)
		hear(i);
	setenv("MB_DEBUG_TRACK", "double", 1);
	from = popen("echo $$ >" PID
		     "; exec mbagent dirty --interval 10m --epochs 1 --top 1024 --json"
		     " 2>" LOG,
		     "r");
	if (!from)
		fail_errno("popen");
	while (!file_get(LOG, text, sizeof(text)) || !strstr(text, "following"))
		nap(.1);
	for (size_t i = 0; i < PROGRAMS; i++) {
		/* The last one leaves no room for others. */
		for (size_t k = 0; i == PROGRAMS - 1 && k < i; k++)
			hear(k);
		CHECK(write(gos[i], "", 1) == 1);
	}
	hear(PROGRAMS - 1);
	/* All have written: the epoch may end. */
	CHECK(kill((pid_t)file_number(PID), SIGUSR1) == 0);
	check(from);
	if (pclose(from) != 0)
		fail("mbagent dirty ends with an error");
	return 0;
}
