// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ELF core file. The input is its start, headers above all; zeros fill it up, so that small
 * inputs have pages. Pages come exactly as the checked headers say, with the file's content.
 */
#include "agent/core_file.h"
#include "agent/source.h"
#include "proto/base/cleanup.h"
#include "tests/fuzz/util_fuzz.h"

enum { FILE_MIN = 4 * MB_PAGE_BYTES, AT_ONCE = 3 };

struct file {
	const uint8_t *data; /* [0, n), then zeros up to `bytes` */
	size_t n, bytes;
};

static uint64_t digest_at(const struct file *f, uint64_t offset)
{
	uint8_t page[MB_PAGE_BYTES] = { 0 };

	must(offset <= f->bytes && f->bytes - offset >= MB_PAGE_BYTES);
	if (offset < f->n)
		memcpy(page, f->data + offset, MB_MIN(f->n - (size_t)offset, sizeof(page)));
	return mb_raw_hash(MB_XXH64, page, sizeof(page));
}

static void check_segments(const struct mb_core *c, const struct file *f)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct mb_core_segment *s = &c->segments[i];

		must(s->pages > 0 && s->data_pages <= s->pages);
		must(s->frame < 1ull << 52 && s->pages <= (1ull << 52) - s->frame);
		must(!i || s[-1].frame + s[-1].pages <= s->frame);
		must(!s->data_pages ||
		     (s->file_offset <= f->bytes &&
		      s->data_pages * MB_PAGE_BYTES <= f->bytes - s->file_offset));
	}
}

/* One epoch of the frames in `only`, held against the segments. */
static void check_epoch(struct mb_source *s, const struct mb_core *c, const struct file *f,
			const struct mb_frame_set *only)
{
	uint64_t unread[MB_UNREAD_REASONS], without_data = 0;
	struct mb_page pages[AT_ONCE];
	struct mb_err err = { 0 };
	size_t n = 0, i = 0;

	must_ok(s->ops->begin(s, only, &err), &err);
	for (size_t k = 0; k < c->n; k++) {
		const struct mb_core_segment *seg = &c->segments[k];

		for (uint64_t p = 0; p < seg->data_pages; p++) {
			if (!mb_frame_set_has(only, seg->frame + p))
				continue;
			if (i == n) {
				must_ok(s->ops->read(s, pages, AT_ONCE, &n, &err), &err);
				must(n > 0 && n <= AT_ONCE);
				i = 0;
			}
			must(pages[i].frame == seg->frame + p);
			must(pages[i].digest == digest_at(f, seg->file_offset + p * MB_PAGE_BYTES));
			i++;
		}
		without_data += seg->pages - seg->data_pages;
		for (uint64_t p = 0; only && p < only->n; p++) {
			uint64_t at = only->first + p - seg->frame;

			without_data -= only->first + p >= seg->frame && at >= seg->data_pages &&
					at < seg->pages && !mb_frame_set_has(only, only->first + p);
		}
	}
	must(i == n);
	must_ok(s->ops->read(s, pages, AT_ONCE, &n, &err), &err);
	must(n == 0 && s->ops->progress(s) == 1);
	s->ops->unread(s, unread);
	for (int k = 0; k < MB_UNREAD_REASONS; k++)
		must(unread[k] == (k == MB_UNREAD_NO_DATA ? without_data : 0));
}

static void check_source(const char *path, const struct mb_core *c, const struct file *f,
			 const struct mb_frame_set *only)
{
	static const struct mb_source_options options = { .algorithm = MB_XXH64 };
	struct mb_source_info info;
	struct mb_source *s;
	struct mb_err err = { 0 };
	uint64_t pages = 0;

	must_ok(mb_source_elf.open(path, &options, &s, &err), &err);
	s->ops->describe(s, &info);
	for (size_t i = 0; i < c->n; i++)
		pages += c->segments[i].pages;
	must(info.memory_bytes == pages * MB_PAGE_BYTES);
	check_epoch(s, c, f, only);
	must(s->ops->begin(s, NULL, &err) == -ENODATA);
	s->ops->close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct file f = { data, n, MB_MAX(n, (size_t)FILE_MIN) };
	const char *path = memory_file(data, n, FILE_MIN);
	struct mb_frame_set only = { .n = 64 };
	struct mb_err err = { 0 };
	struct mb_core c;
	uint64_t word;
	int r = mb_core_open(&c, path, &err);

	if (r < 0) {
		must_fail(r, &err);
		return 0;
	}
	check_segments(&c, &f);
	check_source(path, &c, &f, NULL);
	/* Some of the frames around the last segment's start. */
	word = data[n / 2] * 0x0101010101010101u ^ data[n / 3];
	only.words = &word;
	only.first = c.n ? c.segments[c.n - 1].frame : 0;
	only.first -= MB_MIN(only.first, 9u);
	check_source(path, &c, &f, &only);
	mb_core_close(&c);
	return 0;
}
