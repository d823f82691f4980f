// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `mbagent churn` of a whole guest, with the tracker by BPF: what a workload dirties is in its
 * epochs by class, by kind of event and by process.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/workload.h" /* how it asks for epochs */
#include "util_test.h"

enum { PAGES = 1600, PAGE = 4096, STEPS = 4 };

#define REPORT "/tmp/churn.json"

static void epoch(void)
{
	const char *ask = getenv("MB_EPOCH_ASK_FD"), *done = getenv("MB_EPOCH_DONE_FD");
	char byte = 0;

	if (!ask || !done || write(atoi(ask), &byte, 1) != 1 || read(atoi(done), &byte, 1) != 1)
		exit(9);
}

static int workload(void)
{
	char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (at == MAP_FAILED)
		return 8;
	prctl(PR_SET_NAME, "w-churn");
	madvise(at, PAGES * PAGE, MADV_NOHUGEPAGE);
	for (int step = 0; step <= STEPS; step++) {
		/* Of contents that nobody else has. */
		for (size_t i = 0; i < PAGES; i++)
			((size_t *)(at + i * PAGE))[1] = (i + 1) << 20 | (size_t)step << 8 | 0xa5;
		epoch();
	}
	return 0;
}

static long long number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void check_epochs(const json_t *run)
{
	const json_t *epochs = json_object_get(run, "epochs"), *row;
	size_t i;

	CHECK(json_array_size(epochs) == STEPS + 1);
	json_array_foreach(epochs, i, row)
	{
		const json_t *anon = json_object_get(json_object_get(row, "classes"), "anon");

		printf("epoch %zu: %lld pages, anon: %lld changed, %lld came; rewrite: %lld\n", i,
		       number(row, "pages"), number(anon, "changed"), number(anon, "came"),
		       number(json_object_get(row, "kinds"), "rewrite"));
		if (!i)
			continue;
		CHECK(number(anon, "changed") >= PAGES);
		/* Others write, too, but little. */
		CHECK(number(anon, "changed") < 2 * PAGES);
		/* One frame in eight is counted, times eight. */
		CHECK(number(json_object_get(row, "kinds"), "rewrite") > PAGES * 6 / 10);
		CHECK(number(json_object_get(row, "kinds"), "rewrite") < PAGES * 2);
	}
}

static void check_who(const json_t *run)
{
	const json_t *by = json_object_get(json_object_get(run, "who"), "by"), *w;
	long long rewrite = 0;
	size_t i;

	json_array_foreach(by, i, w)
	{
		const char *name = json_string_value(json_object_get(w, "process"));

		if (name && strcmp(name, "w-churn") == 0)
			rewrite += number(json_object_get(w, "kinds"), "rewrite");
	}
	printf("w-churn: %lld frames rewritten\n", rewrite);
	CHECK(rewrite > STEPS * PAGES * 7 / 10);
	CHECK(rewrite < STEPS * PAGES * 14 / 10);
}

int main(int argc, char **argv)
{
	json_error_t why;
	json_t *root, *run;

	if (argc > 1)
		return workload();
	(void)argv;
	CHECK(system("mbagent churn --source kmod --tracker bpf --asks --windows 1ms "
		     "--json-file " REPORT " -- /tests/test_churn workload") == 0);
	root = json_load_file(REPORT, 0, &why);
	if (!root)
		fail("%s: %s", REPORT, why.text);
	run = json_array_get(json_object_get(root, "runs"), 0);
	CHECK(strcmp(json_string_value(json_object_get(root, "tracker")), "bpf") == 0);
	CHECK(strcmp(json_string_value(json_object_get(root, "by")), "frame") == 0);
	check_epochs(run);
	check_who(run);
	json_decref(root);
	return 0;
}
