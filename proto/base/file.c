// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "proto/base/cleanup.h"

static ssize_t read_some(int fd, void *data, size_t n)
{
	ssize_t got;

	do
		got = read(fd, data, n);
	while (got < 0 && errno == EINTR);
	return got;
}

int mb_file_read(const char *path, size_t max_bytes, struct mb_buf *ret, struct mb_err *err)
{
	mb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	mb_buf_clear(ret);
	if (fd < 0)
		return mb_fail(err, errno, "%s: %m", path);
	for (;;) {
		uint8_t *to = mb_buf_reserve(ret, 65536);
		ssize_t got;

		if (!to)
			return mb_fail_mem(err, path);
		got = read_some(fd, to, 65535);
		if (got < 0)
			return mb_fail(err, errno, "%s: %m", path);
		if (got == 0) {
			*to = 0;
			return 0;
		}
		ret->len += (size_t)got;
		if (ret->len > max_bytes)
			return mb_fail(err, EFBIG, "%s: more than %zu bytes", path, max_bytes);
	}
}

int mb_write_all(int fd, const void *data, size_t n, struct mb_err *err)
{
	const uint8_t *p = data;

	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return mb_fail(err, errno, "write: %m");
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

enum { CHUNK_BYTES = 131072 };

struct mb_file {
	int fd;
	char *path;
	uint64_t size_bytes, read_bytes;
	ZSTD_DCtx *zstd;  /* NULL for a plain file */
	size_t zstd_hint; /* 0 between zstd frames, where the input may end */
	bool ended;
	uint8_t in[CHUNK_BYTES];
	size_t in_pos, in_len;
};

static int refill(struct mb_file *f, struct mb_err *err)
{
	ssize_t got = read_some(f->fd, f->in, sizeof(f->in));

	if (got < 0)
		return mb_fail(err, errno, "read: %m");
	f->in_pos = 0;
	f->in_len = (size_t)got;
	f->read_bytes += (size_t)got;
	f->ended = got == 0;
	return 0;
}

static int read_plain(struct mb_file *f, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err)
{
	size_t take;

	if (f->in_pos == f->in_len) {
		int r = refill(f, err);

		if (r < 0)
			return r;
	}
	take = MB_MIN(n, f->in_len - f->in_pos);
	memcpy(data, f->in + f->in_pos, take);
	f->in_pos += take;
	*ret_n = take;
	return 0;
}

static int read_zstd(struct mb_file *f, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err)
{
	ZSTD_outBuffer out = { data, n, 0 };

	while (!out.pos) {
		ZSTD_inBuffer in;

		if (f->in_pos == f->in_len) {
			int r = refill(f, err);

			if (r < 0)
				return r;
			if (f->ended)
				break;
		}
		in = (ZSTD_inBuffer){ f->in, f->in_len, f->in_pos };
		f->zstd_hint = ZSTD_decompressStream(f->zstd, &out, &in);
		f->in_pos = in.pos;
		if (ZSTD_isError(f->zstd_hint))
			return mb_fail(err, EBADMSG, "zstd: %s", ZSTD_getErrorName(f->zstd_hint));
	}
	if (!out.pos && f->zstd_hint)
		return mb_fail(err, EBADMSG, "zstd: file ends inside a frame");
	*ret_n = out.pos;
	return 0;
}

static int file_read(void *ctx, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err)
{
	struct mb_file *f = ctx;

	*ret_n = 0;
	while (*ret_n < n && !f->ended) {
		size_t got = 0;
		int r = f->zstd ? read_zstd(f, data + *ret_n, n - *ret_n, &got, err) :
				  read_plain(f, data + *ret_n, n - *ret_n, &got, err);

		if (r < 0)
			return mb_fail_in(err, r, "%s", f->path);
		*ret_n += got;
	}
	return 0;
}

/* What tells the format: a pipe may give less at once. */
static int read_head(struct mb_file *f, struct mb_err *err)
{
	ssize_t got;

	do {
		got = read_some(f->fd, f->in + f->in_len, sizeof(f->in) - f->in_len);
		if (got < 0)
			return mb_fail(err, errno, "read: %m");
		f->in_len += (size_t)got;
	} while (got && f->in_len < 4);
	f->read_bytes = f->in_len;
	f->ended = f->in_len == 0;
	return 0;
}

int mb_file_open(const char *path, struct mb_file **ret, struct mb_err *err)
{
	static const uint8_t zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };
	struct mb_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int r;

	if (!f)
		return mb_fail_mem(err, "a file");
	f->path = strdup(path);
	f->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || !f->path || fstat(f->fd, &st) < 0) {
		r = mb_fail(err, errno, "%s: %m", path);
		goto failed;
	}
	if (S_ISDIR(st.st_mode)) {
		r = mb_fail(err, EISDIR, "%s: is a directory", path);
		goto failed;
	}
	f->size_bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	r = read_head(f, err);
	if (r < 0) {
		mb_fail_in(err, r, "%s", path);
		goto failed;
	}
	if (f->in_len >= 4 && memcmp(f->in, zstd_magic, 4) == 0) {
		f->zstd = ZSTD_createDCtx();
		if (!f->zstd) {
			r = mb_fail_mem(err, "zstd");
			goto failed;
		}
		/* A frame may ask for a window this large, and no larger. */
		ZSTD_DCtx_setParameter(f->zstd, ZSTD_d_windowLogMax, 27);
	}
	*ret = f;
	return 0;
failed:
	mb_file_close(f);
	return r;
}

void mb_file_close(struct mb_file *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	ZSTD_freeDCtx(f->zstd);
	free(f->path);
	free(f);
}

struct mb_reader mb_file_reader(struct mb_file *f)
{
	return (struct mb_reader){ file_read, f };
}

double mb_file_progress(const struct mb_file *f)
{
	return f->size_bytes ? (double)f->read_bytes / (double)f->size_bytes : 0;
}
