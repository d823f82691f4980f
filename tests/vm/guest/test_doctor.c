// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `mbagent doctor` on a machine with two NUMA nodes, hugetlbfs and swap: what it says that these
 * cost is what was planted, and its fix mends it. Needs hugepages=8 and two nodes.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/doctor.h" /* jansson comes with it */
#include "util_file.h"
#include "util_swap.h"
#include "util_test.h"

enum { PAGE = 4096, PAGES = 2048, CONTENTS = 512, HUGE_BYTES = 16 << 20 };

#define KSM    "/sys/kernel/mm/ksm/"
#define REPORT "/tmp/doctor.json"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum kind { NODE0, NODE1, HUGETLB, SWAPPED, KINDS };

static int pids[KINDS];

static void hold(enum kind kind)
{
	size_t bytes = kind == HUGETLB ? HUGE_BYTES : PAGES * PAGE;
	int huge = kind == HUGETLB ? MAP_HUGETLB : 0;
	unsigned long node = 1ul << (kind == NODE1);
	double end = now() + 30;
	enum { BIND = 2 };
	char *at;

	/* Who had huge pages in the test before may still be about to end. */
	while ((at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | huge,
			  -1, 0)) == MAP_FAILED) {
		if (now() > end)
			fail_errno("mmap");
		nap(.1);
	}
	if (kind <= NODE1 && syscall(SYS_mbind, at, bytes, BIND, &node, 64, 0) < 0)
		fail_errno("mbind");
	if (kind != HUGETLB &&
	    (madvise(at, bytes, MADV_NOHUGEPAGE) < 0 || madvise(at, bytes, MADV_MERGEABLE) < 0))
		fail_errno("madvise");
	/* Of the huge pages half: the others are not there. */
	for (size_t i = 0; i < PAGES; i++)
		snprintf(at + i * PAGE, 64, "content %zu", i % CONTENTS);
	if (kind == SWAPPED && madvise(at, bytes, MADV_PAGEOUT) < 0)
		fail_errno("MADV_PAGEOUT");
}

static void start(enum kind kind)
{
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		fail_errno("pipe");
	pids[kind] = fork();
	if (pids[kind] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hold(kind);
		if (write(ready[1], "", 1) != 1)
			fail_errno("write");
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		fail("process %d has not got its memory", (int)kind);
	close(ready[0]);
}

static void say_findings(const json_t *report)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(report, "findings"), i, f)
		say("%s: %s: %s", json_string_value(json_object_get(f, "severity")),
		    json_string_value(json_object_get(f, "id")),
		    json_string_value(json_object_get(f, "text")));
}

/* What it says of them, or of the machine only. */
static json_t *ask(bool processes, int exit_code)
{
	char command[256] = "mbagent doctor --json";
	json_error_t why;
	json_t *root;
	int code;

	for (size_t i = 0, n; processes && i < KINDS; i++) {
		n = strlen(command);
		if (pids[i])
			snprintf(command + n, sizeof command - n, " --source process:%d", pids[i]);
	}
	strcat(command, " >" REPORT);
	code = system(command);
	root = json_load_file(REPORT, 0, &why);
	if (!root)
		fail("%s: %s", REPORT, why.text);
	if (exit_code >= 0 && code != exit_code << 8) {
		say_findings(root);
		fail("%s: %#x", command, code);
	}
	return root;
}

/* NULL: there is none. `pid`: of that process. */
static const json_t *find(const json_t *report, const char *id, int pid)
{
	const json_t *f;
	char who[32];
	size_t i;

	snprintf(who, sizeof who, "pid %d ", pid);
	json_array_foreach(json_object_get(report, "findings"), i, f)
	{
		if (strcmp(json_string_value(json_object_get(f, "id")), id) == 0 &&
		    (!pid || strncmp(json_string_value(json_object_get(f, "of")), who,
				     strlen(who)) == 0))
			return f;
	}
	return NULL;
}

static const char *text(const json_t *f, const char *key)
{
	if (!json_is_string(json_object_get(f, key)))
		fail("no %s", key);
	return json_string_value(json_object_get(f, key));
}

static void expect(const json_t *report, const char *id, int pid, const char *severity,
		   long long lost)
{
	const json_t *f = find(report, id, pid);

	if (!f)
		fail("no %s", id);
	say("%s: %s", id, text(f, "text"));
	if (strcmp(text(f, "severity"), severity) != 0)
		fail("%s is a %s, not a %s", id, text(f, "severity"), severity);
	if (lost >= 0 && json_integer_value(json_object_get(f, "lost_pages")) != lost)
		fail("%s costs %lld pages, not %lld", id,
		     (long long)json_integer_value(json_object_get(f, "lost_pages")), lost);
}

static json_t *wait_for_merged(long long pages)
{
	double end = now() + 240;

	for (;;) {
		json_t *report = ask(true, -1);
		long long got = json_integer_value(json_object_get(
			json_object_get(report, "predicted"), "by_ksm_pages"));

		if (got == pages)
			return report;
		json_decref(report);
		if (now() > end)
			fail("KSM saves %lld pages, not %lld", got, pages);
		nap(0.5);
	}
}

/* A module that is there, and one that is not. */
static void check_module(void)
{
	char dir[128], path[160];
	struct utsname u;
	json_t *report;

	report = ask(false, 0);
	expect(report, "ksm-off", 0, "note", -1);
	CHECK(!find(report, "module-missing", 0) && !find(report, "module-unloaded", 0));
	json_decref(report);
	CHECK(system("rmmod mbwalk") == 0);
	report = ask(false, 0);
	expect(report, "module-missing", 0, "note", -1);
	json_decref(report);
	uname(&u);
	snprintf(dir, sizeof dir, "/lib/modules/%.64s/extra", u.release);
	snprintf(path, sizeof path, "mkdir -p %s", dir);
	CHECK(system(path) == 0);
	snprintf(path, sizeof path, "%s/mbwalk.ko", dir);
	if (symlink(getenv("MODULE"), path) < 0)
		fail_errno("%s", path);
	report = ask(false, 0);
	expect(report, "module-unloaded", 0, "note", -1);
	CHECK(!find(report, "tracker-fails", 0) && !find(report, "tracker", 0));
	json_decref(report);
	CHECK(system("mbagent check | grep -q '^tracker  bpf .* not known yet'") == 0);
	CHECK(system("mbagent check | grep -q 'auto takes it'") != 0);
	unlink(path);
	CHECK(system("insmod $MODULE") == 0);
}

int main(void)
{
	const json_t *f;
	json_t *report;
	bool swap;

	if (!file_exists(KSM "run"))
		skip("this kernel has no KSM");
	/* What other tests have merged would be in the way. */
	if (!file_put(KSM "run", "2") || !file_put(KSM "run", "0"))
		fail_errno(KSM "run");
	if (!file_put(KSM "merge_across_nodes", "0"))
		skip("this kernel knows one node only");
	check_module();
	swap = swap_on_zram();
	for (enum kind k = NODE0; k < KINDS; k++)
		if (k != SWAPPED || swap)
			start(k);

	report = ask(true, 1);
	expect(report, "ksm-off", 0, "problem", 2 * PAGES - CONTENTS);
	expect(report, "hugetlb", pids[HUGETLB], "problem", PAGES);
	CHECK(strncmp(text(find(report, "hugetlb", 0), "text"), "8.0 MB", 6) == 0);
	if (swap) {
		expect(report, "swapped", pids[SWAPPED], "note", -1);
		CHECK(strncmp(text(find(report, "swapped", 0), "text"), "2048 pages", 10) == 0);
	}
	json_decref(report);

	file_put(KSM "pages_to_scan", "2000");
	CHECK(file_put(KSM "run", "1"));
	report = wait_for_merged(2 * (PAGES - CONTENTS));
	expect(report, "ksm-numa", 0, "problem", CONTENTS);
	f = find(report, "ksm-numa", 0);
	CHECK(system(text(f, "fix")) == 0);
	json_decref(report);
	report = wait_for_merged(2 * PAGES - CONTENTS);
	expect(report, "ksm-numa", 0, "ok", -1);
	expect(report, "hugetlb", pids[HUGETLB], "problem", PAGES);
	json_decref(report);

	/* Not mended, but gone. */
	kill(pids[HUGETLB], SIGKILL);
	pids[HUGETLB] = 0;
	json_decref(ask(true, 0));
	file_put(KSM "run", "2");
	if (!swap)
		say("without swap, which there is not");
	return 0;
}
