// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes a compact trace of made-up memory and prints the hash of its last epoch's fingerprint, as
 * the database has it.
 * usage: tool_trace FILE EPOCHS PAGES CHANGED_PER_EPOCH SEED [each]
 * With "each" it prints the hashes of all epochs, a line each.
 * A third of the contents is the same for every seed, so that traces share.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/multiset_hash.h"
#include "proto/trace.h"

static uint64_t state;

static uint64_t next(void)
{
	return mb_mix64(state += 0x9e3779b97f4a7c15u);
}

static uint64_t content(uint64_t seed, uint64_t n_pages)
{
	uint64_t v = next();

	/* Drawn from a pool of the size of memory: some pages are alike. */
	return mb_mix64(v % 3 == 0 ? v % n_pages : v % n_pages + (seed + 1) * 1000003u);
}

static int write_epoch(int fd, uint64_t epoch, const struct mb_page *pages, size_t n,
		       struct mb_fingerprint_id *ret, struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	mb_autofree uint64_t *digests = calloc(n, sizeof(*digests));
	mb_cleanup(mb_buf_deinit) struct mb_buf out = { 0 };
	/* A minute each. */
	struct mb_trace_epoch end = {
		.epoch = epoch, .pass = { .tracker = "none", .taken_unix_ns = epoch * 60000000000 }
	};
	int r;

	for (size_t i = 0; digests && i < n; i++)
		digests[i] = pages[i].digest;
	r = digests ? mb_fingerprint_from_digests(&fp, digests, n, err) : -ENOMEM;
	end.fingerprint = *ret = mb_fingerprint_id(&fp);
	if (r < 0 || (r = mb_trace_put_pages(pages, n, &out, err)) < 0 ||
	    (r = mb_trace_put_epoch(&end, &out, err)) < 0)
		return r;
	return mb_write_all(fd, out.data, out.len, err);
}

static void print_hash(struct mb_multiset_hash h)
{
	for (int i = 0; i < 16; i++)
		printf("%02X", (unsigned int)((i < 8 ? h.lo : h.hi) >> (i % 8 * 8) & 0xff));
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct mb_trace_header h = { .version = MB_PROTOCOL_VERSION,
				     .agent = "tool_trace",
				     .vm = "",
				     .source = "made up",
				     .stable_frames = true };
	mb_cleanup(mb_buf_deinit) struct mb_buf out = { 0 };
	struct mb_fingerprint_id id = { 0 };
	mb_autofree struct mb_page *pages = NULL;
	uint64_t epochs, n, changed, seed;
	struct mb_digester d;
	struct mb_err err = { 0 };
	int fd, r;

	if (argc != 6 && (argc != 7 || strcmp(argv[6], "each") != 0))
		return 2;
	epochs = strtoull(argv[2], NULL, 10);
	n = strtoull(argv[3], NULL, 10);
	changed = strtoull(argv[4], NULL, 10);
	state = seed = strtoull(argv[5], NULL, 10);
	pages = calloc(n, sizeof(*pages));
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!pages || fd < 0)
		return 1;
	h.memory_bytes = n * MB_PAGE_BYTES;
	r = mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "", NULL, &err);
	h.identity = d.identity;
	if (r == 0)
		r = mb_trace_put_header(&h, &out, &err);
	if (r == 0)
		r = mb_write_all(fd, out.data, out.len, &err);
	for (uint64_t i = 0; i < n; i++)
		pages[i] = (struct mb_page){ .frame = 2 * i, .digest = content(seed, n) };
	for (uint64_t e = 1; r == 0 && e <= epochs; e++) {
		for (uint64_t i = 0; e > 1 && i < changed; i++)
			pages[next() % n].digest = content(seed, n);
		r = write_epoch(fd, e, pages, n, &id, &err);
		if (r == 0 && (argc == 7 || e == epochs))
			print_hash(id.hash);
	}
	if (r < 0)
		fprintf(stderr, "tool_trace: %s\n", err.text);
	return r < 0;
}
