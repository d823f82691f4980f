// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/util_fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

void must_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

void must_ok(int r, const struct mb_err *err)
{
	if (r != 0)
		fprintf(stderr, "%d: %s\n", r, err->text);
	must(r == 0);
}

void must_fail(int r, const struct mb_err *err)
{
	must(r < 0 && r > -4096);
	must(*err->text);
}

uint64_t take(struct mb_slice *in, unsigned int bytes)
{
	uint64_t v = 0;
	uint8_t b;

	for (unsigned int i = 0; i < bytes && mb_slice_get_u8(in, &b); i++)
		v |= (uint64_t)b << 8 * i;
	return v;
}

struct mb_slice take_bytes(struct mb_slice *in, size_t n)
{
	struct mb_slice got = { in->data, MB_MIN(n, in->len) };

	in->data += got.len;
	in->len -= got.len;
	return got;
}

static int read_slice(void *ctx, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err)
{
	struct mb_slice got = take_bytes(ctx, n);

	(void)err;
	if (got.len)
		memcpy(data, got.data, got.len);
	*ret_n = got.len;
	return 0;
}

struct mb_reader slice_reader(struct mb_slice *in)
{
	return (struct mb_reader){ read_slice, in };
}

const char *memory_file(const void *data, size_t n, size_t min)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("input", MFD_CLOEXEC);
		must(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	must(ftruncate(fd, 0) == 0);
	must(pwrite(fd, data, n, 0) == (ssize_t)n);
	must(n >= min || ftruncate(fd, (off_t)min) == 0);
	return path;
}
