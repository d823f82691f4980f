// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/trace.h"
#include "server/ctl/analysis.h"
#include "server/ctl/load.h"

static const uint8_t key[MB_KEY_BYTES] = { 1, 2, 3 };
static char dir[] = "/tmp/mb-load-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *path, const void *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct mb_err err = { 0 };

	assert_true(fd >= 0);
	assert_ok(mb_write_all(fd, data, n, &err), &err);
	close(fd);
}

static void put_epoch(uint64_t epoch, const uint64_t *digests, size_t n, struct mb_buf *out)
{
	struct mb_trace_epoch e = { .epoch = epoch,
				    .pass = { .tracker = "none",
					      .taken_unix_ns = epoch * 1000000000 },
				    .fingerprint.pages = n };
	struct mb_page pages[8];
	struct mb_err err = { 0 };

	for (size_t i = 0; i < n; i++) {
		pages[i] = (struct mb_page){ .frame = i, .digest = digests[i] };
		mb_multiset_hash_add(&e.fingerprint.hash, digests[i], 1);
	}
	assert_ok(mb_trace_put_pages(pages, n, out, &err), &err);
	assert_ok(mb_trace_put_epoch(&e, out, &err), &err);
}

/* Two epochs, 3 and 9, of XXH64 digests. */
static void write_compact(const char *path, const char *domain, const uint8_t *with_key, bool ends)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_trace_header h = { .version = MB_PROTOCOL_VERSION,
				     .agent = "t",
				     .vm = "v",
				     .source = "s",
				     .memory_bytes = 1 << 20 };
	struct mb_digester d;
	struct mb_err err = { 0 };

	assert_ok(mb_digester_init(&d, MB_XXH64, 4096, 64, domain, with_key, &err), &err);
	h.identity = d.identity;
	assert_ok(mb_trace_put_header(&h, &b, &err), &err);
	if (ends) {
		put_epoch(3, (const uint64_t[]){ 7, 5, 7 }, 3, &b);
		put_epoch(9, (const uint64_t[]){ 8, 5, 7, d.identity.zero_digest }, 4, &b);
	}
	write_file(path, b.data, b.len);
}

static void test_seed_trace(void **state)
{
	struct mb_loads loads = { 0 };
	struct mb_err err = { 0 };
	const char *path = path_of("seed");

	(void)state;
	write_file(path, "5\n3051824092\n5\n4294967295", 25);
	assert_ok(mb_load_trace(&loads, path, false, NULL, &err), &err);
	assert_ok(mb_load_trace(&loads, path, true, NULL, &err), &err);
	assert_int_equal(loads.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(loads.items[i].label, path);
		assert_true(loads.items[i].seed);
		assert_int_equal(loads.items[i].fingerprint.n_pages, 4);
		assert_int_equal(loads.items[i].fingerprint.n_distinct, 3);
		assert_int_equal(loads.items[i].identity.bits, 32);
	}
	mb_loads_deinit(&loads);
}

static void test_compact_trace(void **state)
{
	struct mb_loads loads = { 0 };
	struct mb_err err = { 0 };
	const char *path = path_of("compact");
	char label[160];

	(void)state;
	write_compact(path, "dom", key, true);
	assert_ok(mb_load_trace(&loads, path, false, NULL, &err), &err);
	assert_int_equal(loads.n, 2);
	snprintf(label, sizeof(label), "%s#3", path);
	assert_string_equal(loads.items[0].label, label);
	assert_int_equal(loads.items[0].fingerprint.n_pages, 3);
	assert_int_equal(loads.items[1].epoch, 9);
	assert_string_equal(loads.items[1].identity.domain, "dom");
	assert_ok(mb_load_trace(&loads, path, true, NULL, &err), &err);
	assert_int_equal(loads.n, 3);
	assert_int_equal(loads.items[2].epoch, 9);
	mb_loads_deinit(&loads);
}

static void test_errors_name_file_and_place(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "", "/bad: empty file" },
		{ "1\nabc\n", "/bad: line 2: 'a' is no digit" },
		{ "1\n2\n4294967296\n", "/bad: line 3: number above 32 bits" },
		{ "MBxx", "/bad: trace frame 1" },
	};
	struct mb_loads loads = { 0 };
	struct mb_err err = { 0 };
	const char *path = path_of("bad");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_file(path, cases[i].text, strlen(cases[i].text));
		assert_fails(mb_load_trace(&loads, path, false, NULL, &err), EBADMSG, &err,
			     cases[i].words);
	}
	write_compact(path, "dom", key, false);
	assert_fails(mb_load_trace(&loads, path, false, NULL, &err), EBADMSG, &err,
		     "/bad: no epoch in it");
	unlink(path);
	assert_fails(mb_load_trace(&loads, path, false, NULL, &err), ENOENT, &err, "/bad: No such");
	assert_fails(mb_load_trace(&loads, dir, false, NULL, &err), EISDIR, &err, dir);
	assert_int_equal(loads.n, 0);
	assert_true(mb_load_trace(&loads, path, false, NULL, NULL) < 0);
	mb_loads_deinit(&loads);
}

static void test_as_sent(void **state)
{
	struct mb_loads loads = { 0 };
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	uint32_t bits;
	const char *path = path_of("sent");

	(void)state;
	write_file(path, "5\n6\n5\n", 6);
	assert_ok(mb_load_trace(&loads, path, false, NULL, &err), &err);
	write_compact(path, "", NULL, true);
	assert_ok(mb_load_trace(&loads, path, true, NULL, &err), &err);
	write_compact(path, "dom", key, true);
	assert_ok(mb_load_trace(&loads, path, true, NULL, &err), &err);

	assert_ok(mb_load_as_sent(&loads.items[0], 32, &fp, &bits, &err), &err);
	assert_int_equal(bits, 32);
	assert_fingerprint_equal(&fp, &loads.items[0].fingerprint);
	mb_fingerprint_deinit(&fp);

	/* A raw trace is keyed: other digests, the same multiset otherwise. */
	for (size_t i = 0; i < 2; i++) {
		assert_ok(mb_load_as_sent(&loads.items[i], 48, &fp, &bits, &err), &err);
		assert_int_equal(bits, 48);
		assert_int_equal(fp.n_pages, loads.items[i].fingerprint.n_pages);
		assert_int_equal(fp.n_distinct, loads.items[i].fingerprint.n_distinct);
		assert_int_equal(mb_fingerprint_find(&fp, 5), 0);
		assert_true(fp.digests[fp.n_distinct - 1] < (uint64_t)1 << 48);
		mb_fingerprint_deinit(&fp);
	}
	assert_fails(mb_load_as_sent(&loads.items[1], 32, &fp, &bits, &err), EINVAL, &err,
		     "only seed traces");

	/* A keyed one is what was sent. */
	assert_ok(mb_load_as_sent(&loads.items[2], 32, &fp, &bits, &err), &err);
	assert_int_equal(bits, 64);
	assert_fingerprint_equal(&fp, &loads.items[2].fingerprint);
	mb_fingerprint_deinit(&fp);
	mb_loads_deinit(&loads);
}

static json_int_t number(const json_t *list, size_t i, const char *name)
{
	const json_t *v = json_object_get(json_array_get(list, i), name);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static void test_analysis(void **state)
{
	struct mb_loads loads = { 0 };
	struct mb_err err = { 0 };
	const char *path = path_of("compact");
	const json_t *files, *pairs, *deltas;
	json_t *root;

	(void)state;
	write_compact(path, "dom", key, true);
	assert_ok(mb_load_trace(&loads, path, false, NULL, &err), &err);
	path = path_of("seed");
	write_file(path, "3051824092\n1\n3051824092\n1\n3051824092\n", 37);
	assert_ok(mb_load_trace(&loads, path, false, NULL, &err), &err);
	assert_ok(mb_analysis_make(&loads, 64, &root, &err), &err);
	files = json_object_get(root, "files");
	pairs = json_object_get(root, "pairs");
	deltas = json_object_get(root, "deltas");

	assert_int_equal(json_array_size(files), 3);
	assert_int_equal(number(files, 0, "epoch"), 3);
	assert_int_equal(number(files, 1, "zero"), 1);
	assert_int_equal(number(files, 2, "epoch"), -1);
	assert_int_equal(number(files, 2, "zero"), 3);
	assert_int_equal(number(files, 2, "self"), 3);
	assert_int_equal(number(files, 2, "self_nonzero"), 1);

	/* {5, 7, 7} and {5, 7, 8, zero} */
	assert_int_equal(json_array_size(pairs), 3);
	assert_int_equal(number(pairs, 0, "inter"), 2);
	assert_int_equal(number(pairs, 0, "overlap"), 2);
	assert_int_equal(number(pairs, 0, "saving"), 3);
	assert_true(json_is_null(json_object_get(json_array_get(pairs, 1), "inter")));
	assert_non_null(json_object_get(json_array_get(pairs, 1), "why"));

	assert_int_equal(json_array_size(deltas), 2);
	assert_int_equal(number(deltas, 0, "added"), 2);
	assert_int_equal(number(deltas, 0, "removed"), 1);
	assert_int_equal(number(deltas, 0, "added_distinct"), 2);
	assert_int_equal(number(deltas, 0, "removed_distinct"), 0);
	assert_true(number(deltas, 0, "wire_bytes") > 16);
	assert_true(json_is_null(json_object_get(json_array_get(deltas, 1), "added")));
	json_decref(root);
	assert_ok(mb_analysis_make(&loads, 0, &root, &err), &err);
	assert_null(json_object_get(root, "deltas"));
	json_decref(root);
	mb_loads_deinit(&loads);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "seed", "compact", "sent", "bad" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlink(path_of(names[i]));
	return rmdir(dir);
}

/* Epochs 3 and 9, as many seconds after 1970: 5 and 7 are in both. */
static void test_what_lasts(void **state)
{
	const char *path = path_of("lasts");
	struct mb_loads loads = { .durable_ns = 5000000000 };
	const struct mb_loaded *l;
	struct mb_err err = { 0 };

	(void)state;
	write_compact(path, "d", key, true);
	assert_ok(mb_load_trace(&loads, path, true, NULL, &err), &err);
	assert_int_equal(loads.n, 1);
	l = &loads.items[0];
	assert_int_equal(l->epoch, 9);
	assert_false(l->durable.whole);
	for (uint32_t i = 0; i < l->fingerprint.n_distinct; i++) {
		uint64_t d = l->fingerprint.digests[i];

		assert_int_equal(mb_durable_has(&l->durable, i), d == 5 || d == 7);
	}
	mb_loads_deinit(&loads);
	/* Known for less than that. */
	loads.durable_ns = 7000000000;
	assert_ok(mb_load_trace(&loads, path, true, NULL, &err), &err);
	assert_int_equal(loads.n, 1);
	assert_true(loads.items[0].durable.whole);
	mb_loads_deinit(&loads);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_lasts),
		cmocka_unit_test(test_seed_trace),
		cmocka_unit_test(test_compact_trace),
		cmocka_unit_test(test_errors_name_file_and_place),
		cmocka_unit_test(test_as_sent),
		cmocka_unit_test(test_analysis),
	};

	return cmocka_run_group_tests_name("load", tests, make_dir, remove_dir);
}
