// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/load.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/trace.h"

static void file_closep(struct mb_file **f)
{
	mb_file_close(*f);
}

static void trace_closep(struct mb_trace **t)
{
	mb_trace_close(*t);
}

static void loaded_deinit(struct mb_loaded *l)
{
	free(l->label);
	mb_fingerprint_deinit(&l->fingerprint);
	mb_durable_deinit(&l->durable);
	*l = (struct mb_loaded){ 0 };
}

void mb_loads_deinit(struct mb_loads *l)
{
	for (size_t i = 0; i < l->n; i++)
		loaded_deinit(&l->items[i]);
	free(l->items);
	*l = (struct mb_loads){ 0 };
}

/* A reader that shows how far it is. */
struct shown_reader {
	struct mb_reader from;
	const struct mb_file *file;
	struct mb_load_progress *progress;
};

static int read_shown(void *ctx, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err)
{
	struct shown_reader *s = ctx;
	struct mb_load_progress *p = s->progress;

	if (p)
		mb_progress_update(&p->bar, ((double)p->file + mb_file_progress(s->file)) /
						    (double)p->n_files);
	return s->from.read(s->from.ctx, data, n, ret_n, err);
}

static int from_pages(const struct mb_page *pages, size_t n, struct mb_fingerprint *ret,
		      struct mb_err *err)
{
	mb_autofree uint64_t *digests = malloc((n + 1) * sizeof(*digests));

	if (!digests)
		return mb_fail_mem(err, "a trace's digests");
	for (size_t i = 0; i < n; i++)
		digests[i] = pages[i].digest;
	return mb_fingerprint_from_digests(ret, digests, n, err);
}

/* Paths may be any bytes, JSON only UTF-8. */
static void make_utf8(char *label)
{
	json_t *checked = json_string(label);

	if (!checked)
		for (char *p = label; *p; p++)
			*p = *p & 0x80 ? '?' : *p;
	json_decref(checked);
}

static int append(struct mb_loads *to, const char *path, const struct mb_trace *trace,
		  const struct mb_trace_epoch *epoch, const struct mb_page *pages, size_t n,
		  struct mb_err *err)
{
	struct mb_loaded *l;
	int r;

	if (to->n == to->cap) {
		size_t cap = to->cap ? 2 * to->cap : 16;

		l = realloc(to->items, cap * sizeof(*l));
		if (!l)
			return mb_fail_mem(err, "the list of traces");
		to->items = l;
		to->cap = cap;
	}
	l = &to->items[to->n];
	*l = (struct mb_loaded){ .epoch = epoch->epoch,
				 .taken_ns = epoch->pass.taken_unix_ns,
				 .seed = mb_trace_is_seed(trace),
				 .identity = mb_trace_get_header(trace)->identity };
	r = l->seed ? asprintf(&l->label, "%s", path) :
		      asprintf(&l->label, "%s#%" PRIu64, path, epoch->epoch);
	if (r < 0) {
		l->label = NULL;
		return mb_fail_mem(err, "a name");
	}
	make_utf8(l->label);
	r = from_pages(pages, n, &l->fingerprint, err);
	if (r < 0) {
		loaded_deinit(l);
		return r;
	}
	mb_durable_start(&l->durable, l->fingerprint.n_distinct, l->taken_ns);
	to->n++;
	return 0;
}

/* Of the last two epochs only the last, which keeps what lasted since the one before. */
static int fold(struct mb_loads *to, struct mb_err *err)
{
	struct mb_loaded *next = &to->items[to->n - 1], *prev = next - 1;
	const struct mb_digest_list from = { prev->fingerprint.digests,
					     prev->fingerprint.n_distinct };
	const struct mb_digest_list list = { next->fingerprint.digests,
					     next->fingerprint.n_distinct };
	int r = mb_durable_carry(&next->durable, &prev->durable, &from, &list, next->taken_ns,
				 to->durable_ns, err);

	loaded_deinit(prev);
	*prev = *next;
	to->n--;
	return r;
}

static int load(struct mb_loads *to, const char *path, bool only_last,
		struct mb_load_progress *progress, struct mb_err *err)
{
	mb_cleanup(file_closep) struct mb_file *file = NULL;
	mb_cleanup(trace_closep) struct mb_trace *trace = NULL;
	size_t before = to->n;
	struct shown_reader shown;
	struct mb_reader reader = { read_shown, &shown };
	int r = mb_file_open(path, &file, err);

	if (r < 0)
		return r;
	shown = (struct shown_reader){ mb_file_reader(file), file, progress };
	r = mb_trace_open(&reader, &trace, err);
	while (r == 0) {
		const struct mb_page *pages;
		struct mb_trace_epoch epoch;
		size_t n;

		r = mb_trace_next(trace, &pages, &n, &epoch, err);
		if (r == -ENODATA)
			return to->n > before ? 0 : mb_fail(err, EBADMSG, "no epoch in it");
		if (r < 0)
			break;
		r = append(to, path, trace, &epoch, pages, n, err);
		if (r == 0 && only_last && to->n - before == 2)
			r = fold(to, err);
	}
	return r;
}

/* The errors of file.h name their file, those of trace.h do not. */
static bool names_path(const char *text, const char *path)
{
	size_t n = strlen(path);

	for (const char *p = text; (p = strstr(p, path)); p++)
		if (strncmp(p + n, ": ", 2) == 0 && (p == text || p[-1] == ' '))
			return true;
	return false;
}

int mb_load_trace(struct mb_loads *to, const char *path, bool only_last,
		  struct mb_load_progress *progress, struct mb_err *err)
{
	struct mb_err none;
	int r;

	err = err ? err : &none;
	r = load(to, path, only_last, progress, err);
	return r < 0 && !names_path(err->text, path) ? mb_fail_in(err, r, "%s", path) : r;
}

int mb_load_traces(struct mb_loads *to, char *const *paths, size_t n_paths, struct mb_err *err)
{
	struct mb_load_progress progress = { .n_files = n_paths };
	int r = 0;

	mb_progress_begin(&progress.bar, "reading traces");
	for (size_t i = 0; i < n_paths && r == 0; i++) {
		progress.file = i;
		r = mb_load_trace(to, paths[i], false, &progress, err);
	}
	mb_progress_end(&progress.bar);
	return r;
}

/* Keyed digests sort otherwise, and cut ones may fall together: built anew from all pages. */
static int blind(const struct mb_fingerprint *from, const struct mb_digester *d,
		 struct mb_fingerprint *ret, struct mb_err *err)
{
	mb_autofree uint64_t *digests = malloc((from->n_pages + 1) * sizeof(*digests));
	uint32_t cursor = 0;
	size_t n = 0;

	if (!digests)
		return mb_fail_mem(err, "keyed digests");
	for (uint32_t i = 0; i < from->n_distinct; i++) {
		uint32_t copies = mb_fingerprint_copies(from, &cursor, i);
		uint64_t v = from->digests[i];

		mb_blind(d, &v, 1);
		while (copies--)
			digests[n++] = v;
	}
	return mb_fingerprint_from_digests(ret, digests, n, err);
}

int mb_load_as_sent(const struct mb_loaded *from, uint32_t bits, struct mb_fingerprint *ret,
		    uint32_t *ret_bits, struct mb_err *err)
{
	/* Any key does: what is measured is the size of digests that look random. */
	static const uint8_t key[MB_KEY_BYTES] = "mbctl analyze";
	const struct mb_identity *id = &from->identity;
	struct mb_digester d;
	int r;

	if (id->keyed || (bits == 32 && id->bits == 32)) {
		*ret_bits = id->bits;
		return mb_fingerprint_copy(&from->fingerprint, ret, err);
	}
	*ret_bits = bits;
	if (bits == 32)
		return mb_fail(err, EINVAL, "%s: only seed traces have 32-bit digests; this has %s",
			       from->label, mb_algorithm_name(id->algorithm));
	r = mb_digester_init(&d, id->algorithm, id->page_bytes, bits, "analyze", key, err);
	if (r == 0)
		r = blind(&from->fingerprint, &d, ret, err);
	return r < 0 ? mb_fail_in(err, r, "%s", from->label) : 0;
}
