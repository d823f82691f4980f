// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "proto/base/file.h"

static char dir[] = "/tmp/mb-test-file-XXXXXX";
static char path[sizeof(dir) + 8];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void put(const void *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct mb_err err = { 0 };

	assert_true(fd >= 0);
	assert_ok(mb_write_all(fd, data, n, &err), &err);
	close(fd);
}

/* Reads the file as a stream in odd pieces, to its end. */
static int read_stream(const char *from, struct mb_buf *ret, struct mb_err *err)
{
	struct mb_reader reader;
	struct mb_file *f;
	size_t n;
	int r = mb_file_open(from, &f, err);

	mb_buf_clear(ret);
	if (r < 0)
		return r;
	reader = mb_file_reader(f);
	do {
		uint8_t *to = mb_buf_reserve(ret, 50021);

		assert_non_null(to);
		r = reader.read(reader.ctx, to, 50021, &n, err);
		if (r == 0)
			ret->len += n;
	} while (r == 0 && n == 50021);
	if (r == 0) {
		uint8_t more[4];

		/* The end stays the end. */
		assert_ok(reader.read(reader.ctx, more, sizeof(more), &n, err), err);
		assert_int_equal(n, 0);
		if (strcmp(from, path) == 0 && ret->len)
			assert_true(mb_file_progress(f) == 1);
	}
	mb_file_close(f);
	return r;
}

static uint8_t *noise(size_t n)
{
	struct rng rng = { n };
	uint8_t *p = malloc(n + 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rng_next(&rng);
	return p;
}

static void test_read_whole(void **state)
{
	static const size_t sizes[] = { 0, 1, 65534, 65535, 65536, 200000 };
	struct mb_buf b = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint8_t *p = noise(sizes[i]);

		put(p, sizes[i]);
		assert_ok(mb_file_read(path, sizes[i], &b, &err), &err);
		assert_int_equal(b.len, sizes[i]);
		assert_memory_equal(b.data, p, b.len);
		assert_int_equal(b.data[b.len], 0);
		if (sizes[i])
			assert_fails(mb_file_read(path, sizes[i] - 1, &b, &err), EFBIG, &err,
				     "more than");
		assert_ok(read_stream(path, &b, &err), &err);
		assert_int_equal(b.len, sizes[i]);
		assert_memory_equal(b.data, p, b.len);
		free(p);
	}
	assert_fails(mb_file_read("/tmp/no/such", 1, &b, &err), ENOENT, &err, "/tmp/no/such: No");
	assert_fails(mb_file_read(dir, 1, &b, &err), EISDIR, &err, dir);
	assert_fails(read_stream("/tmp/no/such", &b, &err), ENOENT, &err, "/tmp/no/such: No");
	assert_fails(read_stream(dir, &b, &err), EISDIR, &err, dir);
	mb_buf_deinit(&b);
}

static void test_zstd_is_unpacked(void **state)
{
	enum { N = 700000 };
	size_t bound = ZSTD_compressBound(N), n;
	uint8_t *raw = noise(N), *z = malloc(2 * bound);
	struct mb_buf b = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_non_null(z);
	/* Half noise, half not: output pending at the ends of chunks. */
	memset(raw + N / 2, 7, N / 4);
	n = ZSTD_compress(z, bound, raw, N, 1);
	assert_false(ZSTD_isError(n));
	put(z, n);
	assert_ok(read_stream(path, &b, &err), &err);
	assert_int_equal(b.len, N);
	assert_memory_equal(b.data, raw, N);

	/* Two zstd frames, one after the other. */
	memcpy(z + n, z, n);
	put(z, 2 * n);
	assert_ok(read_stream(path, &b, &err), &err);
	assert_int_equal(b.len, 2 * N);
	assert_memory_equal(b.data + N, raw, N);

	put(z, n - 1);
	assert_fails(read_stream(path, &b, &err), EBADMSG, &err, "ends inside");
	put(z, n / 2);
	assert_fails(read_stream(path, &b, &err), EBADMSG, &err, "ends inside");
	put(z, 4);
	assert_fails(read_stream(path, &b, &err), EBADMSG, &err, "ends inside");
	memcpy(z + n, "garbage", 7);
	put(z, n + 7);
	assert_fails(read_stream(path, &b, &err), EBADMSG, &err, "zstd");
	put(z, n + 2);
	assert_fails(read_stream(path, &b, &err), EBADMSG, &err, "zstd");
	free(raw);
	free(z);
	mb_buf_deinit(&b);
}

/* A window of 1 GiB would be allocated before the first byte comes out. */
static void test_zstd_window_is_capped(void **state)
{
	/* Magic, no content size, window 2^(10 + 20), an empty last raw block. */
	static const uint8_t z[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00 };
	struct mb_buf b = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	put(z, sizeof(z));
	assert_fails(read_stream(path, &b, &err), EBADMSG, &err, "memory");
	mb_buf_deinit(&b);
}

static int trickle_fd;
static const uint8_t *trickle_data;
static size_t trickle_len;

static void *trickle(void *arg)
{
	for (size_t i = 0; i < trickle_len; i++) {
		if (write(trickle_fd, trickle_data + i, 1) != 1)
			break;
		usleep(i < 8 ? 3000 : 0);
	}
	close(trickle_fd);
	return arg;
}

/* A pipe gives as little as it likes: the format is told by four bytes, not by the first read. */
static void test_standard_input_by_the_byte(void **state)
{
	uint8_t z[256];
	size_t n = ZSTD_compress(z, sizeof(z), "in small pieces", 15, 1);
	int stdin_copy = dup(0), fds[2];
	struct mb_buf b = { 0 };
	struct mb_err err = { 0 };
	pthread_t thread;

	(void)state;
	for (int zipped = 0; zipped < 2; zipped++) {
		assert_int_equal(pipe(fds), 0);
		dup2(fds[0], 0);
		close(fds[0]);
		trickle_fd = fds[1];
		trickle_data = zipped ? z : (const uint8_t *)"in small pieces";
		trickle_len = zipped ? n : 15;
		assert_int_equal(pthread_create(&thread, NULL, trickle, NULL), 0);
		assert_ok(read_stream("-", &b, &err), &err);
		pthread_join(thread, NULL);
		assert_int_equal(b.len, 15);
		assert_memory_equal(b.data, "in small pieces", 15);
	}
	dup2(stdin_copy, 0);
	close(stdin_copy);
	mb_buf_deinit(&b);
}

static void test_write_fails(void **state)
{
	int fd = open("/dev/full", O_WRONLY);
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_write_all(fd, "", 0, &err), &err);
	assert_fails(mb_write_all(fd, "x", 1, &err), ENOSPC, &err, "No space");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_whole),
		cmocka_unit_test(test_zstd_is_unpacked),
		cmocka_unit_test(test_zstd_window_is_capped),
		cmocka_unit_test(test_standard_input_by_the_byte),
		cmocka_unit_test(test_write_fails),
	};

	return cmocka_run_group_tests_name("file", tests, setup, teardown);
}
