// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_source.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"

const struct mb_source_options with_xxh64 = { .algorithm = MB_XXH64 };

struct mb_source *open_source(const char *uri)
{
	struct mb_source *s = NULL;
	struct mb_err err = { 0 };

	assert_ok(mb_source_open(uri, &with_xxh64, &s, &err), &err);
	return s;
}

void assert_open_fails(const char *uri, int code, const char *word)
{
	struct mb_source *s = NULL;
	struct mb_err err = { 0 };

	assert_fails(mb_source_open(uri, &with_xxh64, &s, &err), code, &err, word);
	assert_null(s);
}

int read_epoch(struct mb_source *s, size_t cap, struct taken *ret, struct mb_err *err)
{
	size_t room = 0, n;
	int r;

	*ret = (struct taken){ 0 };
	do {
		double progress;

		if (room - ret->n < cap) {
			room = 2 * room + cap;
			ret->pages = realloc(ret->pages, room * sizeof(*ret->pages));
			assert_non_null(ret->pages);
		}
		r = s->ops->read(s, ret->pages + ret->n, cap, &n, err);
		if (r < 0)
			return r;
		assert_true(n <= cap);
		for (size_t i = ret->n; i < ret->n + n; i++)
			if (i && ret->pages[i].frame <= ret->pages[i - 1].frame)
				fail_msg("frames do not ascend");
		ret->n += n;
		progress = s->ops->progress(s);
		assert_true(progress >= 0 && progress <= 1);
	} while (n);
	assert_true(s->ops->progress(s) == 1);
	s->ops->unread(s, ret->unread);
	return 0;
}

void take_epoch(struct mb_source *s, const struct mb_frame_set *only, size_t cap, struct taken *ret)
{
	struct mb_err err = { 0 };

	assert_ok(s->ops->begin(s, only, &err), &err);
	assert_ok(read_epoch(s, cap, ret, &err), &err);
}

void free_taken(struct taken *t)
{
	free(t->pages);
	*t = (struct taken){ 0 };
}

const struct mb_page *find_frame(const struct taken *t, uint64_t frame)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->pages[mid].frame < frame)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->n && t->pages[lo].frame == frame ? &t->pages[lo] : NULL;
}

void fill_page(uint8_t page[MB_PAGE_BYTES], uint32_t salt, uint32_t i)
{
	struct rng r = { .state = (uint64_t)salt << 32 | i };

	for (size_t k = 0; k < MB_PAGE_BYTES; k += 8) {
		uint64_t v = i % 6 == 5 ? 0 : rng_next(&r);

		memcpy(page + k, &v, sizeof(v));
	}
}

void assert_page(const struct taken *t, uint64_t frame, uint32_t salt, uint32_t i)
{
	const struct mb_page *got = find_frame(t, frame);
	uint8_t page[MB_PAGE_BYTES];

	if (!got)
		fail_msg("frame %llu was not read", (unsigned long long)frame);
	fill_page(page, salt, i);
	assert_int_equal(got->digest, mb_raw_hash(MB_XXH64, page, sizeof(page)));
	assert_int_equal(got->flags, i % 6 == 5 ? MB_PAGE_ZERO : 0);
}

static char dir[64];
static char *paths[64];
static size_t n_paths;

static void remove_files(void)
{
	for (size_t i = 0; i < n_paths; i++) {
		unlink(paths[i]);
		free(paths[i]);
	}
	rmdir(dir);
}

const char *temp_file(const char *name, const void *data, size_t n)
{
	struct mb_err err = { 0 };
	mb_autoclose int fd = -1;
	char path[128];
	size_t i;

	if (!*dir) {
		strcpy(dir, "/tmp/mbtest.XXXXXX");
		assert_non_null(mkdtemp(dir));
		atexit(remove_files);
	}
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (i = 0; i < n_paths && strcmp(paths[i], path) != 0;)
		i++;
	if (i == n_paths) {
		assert_true(n_paths < MB_ARRAY_LEN(paths));
		paths[n_paths++] = strdup(path);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_ok(mb_write_all(fd, data, n, &err), &err);
	return paths[i];
}
