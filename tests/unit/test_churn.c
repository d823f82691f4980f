// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn.h"

#include "tests/unit/util_test.h"

enum { FRAMES = 120, EPOCHS = 14, ZERO = 1, SPACE = 40 };

/* A VM in plain arrays: digest 0 is no page. Digests are small, so that many are alike. */
struct model {
	uint64_t digest[EPOCHS][FRAMES];
	uint8_t cls[EPOCHS][FRAMES];
	uint64_t at_ns[EPOCHS];
	uint64_t reference[SPACE]; /* 1: it has the digest */
};

static void make(struct model *m, uint64_t seed)
{
	struct rng r = { .state = seed };

	for (int e = 0; e < EPOCHS; e++) {
		m->at_ns[e] = e ? m->at_ns[e - 1] + 1 + rng_below(&r, 20) : 1000;
		for (int f = 0; f < FRAMES; f++) {
			bool again = e && rng_below(&r, 8);

			m->digest[e][f] = again		   ? m->digest[e - 1][f] :
					  rng_below(&r, 5) ? 1 + rng_below(&r, SPACE - 1) :
							     0;
			m->cls[e][f] =
				again ? m->cls[e - 1][f] : (uint8_t)rng_below(&r, MB_CLASS_END);
		}
	}
	for (int d = 0; d < SPACE; d++)
		m->reference[d] = rng_below(&r, 2);
}

static void fingerprint(const uint64_t *digests, size_t n, struct mb_fingerprint *ret)
{
	uint64_t *copy = calloc(n + 1, sizeof(*copy));
	struct mb_err err = { 0 };
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (digests[i])
			copy[k++] = digests[i];
	assert_ok(mb_fingerprint_from_digests(ret, copy, k, &err), &err);
	free(copy);
}

static int copies(const struct model *m, int e, uint64_t d)
{
	int n = 0;

	for (int f = 0; f < FRAMES; f++)
		n += m->digest[e][f] == d;
	return n;
}

static bool sharable(const struct model *m, enum mb_churn_kind k, int e, uint64_t d)
{
	if (d == ZERO)
		return false;
	return k == MB_CHURN_SELF ? copies(m, e, d) > 1 : copies(m, e, d) && m->reference[d];
}

/* Since when the page has been as it is. */
static uint64_t age(const struct model *m, int e, int f)
{
	int s = e;

	while (s && m->digest[s - 1][f] == m->digest[e][f])
		s--;
	return m->at_ns[e] - m->at_ns[s];
}

static uint64_t durable(const struct model *m, enum mb_churn_kind k, int e, uint64_t window,
			bool by_frame)
{
	uint64_t sum = 0;

	for (uint64_t d = 2; d < SPACE; d++) {
		int n = 0;

		if (by_frame) {
			for (int f = 0; f < FRAMES; f++)
				n += m->digest[e][f] == d && age(m, e, f) >= window;
		} else {
			/* As many copies as there always were. */
			int s = e;

			n = copies(m, e, d);
			while (m->at_ns[e] - m->at_ns[s] < window)
				s--;
			for (; s < e; s++)
				n = copies(m, s, d) < n ? copies(m, s, d) : n;
		}
		if (k == MB_CHURN_SELF)
			sum += n > 1 ? (uint64_t)n - 1 : 0;
		else
			sum += n && m->reference[d];
	}
	return sum;
}

static void check_kind(const struct model *m, enum mb_churn_kind k, int e,
		       const struct mb_churn_config *c, const struct mb_churn_row *row)
{
	const struct mb_churn_sharable *got = &row->sharable[k];
	uint64_t digests = 0, pages = 0, before = 0, kept = 0, survivors = 0;

	for (uint64_t d = 1; d < SPACE; d++) {
		bool now = sharable(m, k, e, d), always = now;

		digests += now;
		pages += now ? (k == MB_CHURN_SELF ? (uint64_t)copies(m, e, d) - 1 : 1) : 0;
		before += e && sharable(m, k, e - 1, d);
		kept += e && now && sharable(m, k, e - 1, d);
		for (int s = 0; s < e; s++)
			always = always && sharable(m, k, s, d);
		survivors += always;
	}
	assert_int_equal(got->digests, digests);
	assert_int_equal(got->pages, pages);
	assert_int_equal(got->before, before);
	assert_int_equal(got->kept, kept);
	assert_int_equal(got->survivors, survivors);
	for (uint32_t w = 0; w < c->n_windows; w++) {
		bool known = m->at_ns[e] - m->at_ns[0] >= c->windows_ns[w];

		assert_int_equal(w < row->windows_known, known);
		assert_int_equal(got->durable_pages[w],
				 known ? durable(m, k, e, c->windows_ns[w], c->by_frame) : 0);
	}
}

static void check_pages(const struct model *m, int e, bool by_frame, const struct mb_churn_row *row)
{
	struct mb_churn_class expected[MB_CLASS_END] = { 0 };
	uint64_t gained = 0, lost = 0, gained_digests = 0, lost_digests = 0;

	for (uint64_t d = 1; e && d < SPACE; d++) {
		int a = copies(m, e - 1, d), b = copies(m, e, d);

		gained += b > a ? (uint64_t)(b - a) : 0;
		lost += a > b ? (uint64_t)(a - b) : 0;
		gained_digests += b && !a;
		lost_digests += a && !b;
	}
	for (int f = 0; f < FRAMES; f++) {
		uint64_t now = m->digest[e][f], old = e ? m->digest[e - 1][f] : 0;
		int cls = by_frame ? m->cls[e][f] : MB_CLASS_UNKNOWN;

		expected[cls].pages += now != 0;
		if (!e || !by_frame)
			continue;
		expected[cls].changed += now && old && now != old;
		expected[cls].came += now && !old;
		expected[m->cls[e - 1][f]].went += !now && old;
	}
	if (!by_frame)
		expected[MB_CLASS_UNKNOWN].came = gained, expected[MB_CLASS_UNKNOWN].went = lost;
	assert_memory_equal(row->classes, expected, sizeof(expected));
	assert_int_equal(row->gained_pages, gained);
	assert_int_equal(row->lost_pages, lost);
	assert_int_equal(row->gained_digests, gained_digests);
	assert_int_equal(row->lost_digests, lost_digests);
	assert_int_equal(row->zero, copies(m, e, ZERO));
	assert_int_equal(row->at_ns, m->at_ns[e] - m->at_ns[0]);
	assert_int_equal(row->epoch, e);
}

static void run(uint64_t seed, bool by_frame)
{
	struct mb_churn_config config = { .zero_digest = ZERO,
					  .by_frame = by_frame,
					  .windows_ns = { 1, 25, 60, 1000 },
					  .n_windows = 4 };
	static struct model m;
	struct mb_fingerprint reference, fp;
	uint64_t digests[SPACE] = { 0 };
	struct mb_err err = { 0 };
	struct mb_churn *c;

	make(&m, seed);
	for (uint64_t d = 1; d < SPACE; d++)
		digests[d] = m.reference[d] ? d : 0;
	fingerprint(digests, SPACE, &reference);
	config.reference = &reference;
	assert_ok(mb_churn_create(&config, &c, &err), &err);
	for (int e = 0; e < EPOCHS; e++) {
		struct mb_page pages[FRAMES];
		struct mb_frame_array array = { .pages = pages };
		struct mb_frame_stream stream = { mb_frame_array_next, &array };
		struct mb_churn_row row;

		for (uint64_t f = 0; f < FRAMES; f++)
			if (m.digest[e][f])
				pages[array.n++] = (struct mb_page){ .frame = f,
								     .digest = m.digest[e][f],
								     .cls = m.cls[e][f] };
		fingerprint(m.digest[e], FRAMES, &fp);
		assert_ok(mb_churn_feed(c, m.at_ns[e], &fp, by_frame ? &stream : NULL, &row, &err),
			  &err);
		assert_null(fp.digests);
		check_pages(&m, e, by_frame, &row);
		check_kind(&m, MB_CHURN_SELF, e, &config, &row);
		check_kind(&m, MB_CHURN_REFERENCE, e, &config, &row);
	}
	mb_churn_destroy(c);
	mb_fingerprint_deinit(&reference);
}

static void test_by_frame(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++)
		run(seed, true);
}

static void test_by_content(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++)
		run(seed, false);
}

static void test_misuse(void **state)
{
	struct mb_churn_config config = { .by_frame = true };
	const struct mb_page wrong[] = { { .frame = 4, .digest = 9 }, { .frame = 3, .digest = 9 } };
	struct mb_frame_array array = { wrong, 0, 2 };
	struct mb_frame_stream stream = { mb_frame_array_next, &array };
	const uint64_t nines[] = { 9, 9 };
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_churn_row row;
	struct mb_churn *c;

	(void)state;
	assert_ok(mb_churn_create(&config, &c, &err), &err);
	fingerprint(nines, 2, &fp);
	assert_fails(mb_churn_feed(c, 0, &fp, NULL, &row, &err), EINVAL, &err, "by frame");
	assert_null(fp.digests);
	fingerprint(nines, 2, &fp);
	assert_fails(mb_churn_feed(c, 0, &fp, &stream, &row, &err), EBADMSG, &err, "frame 3");
	mb_churn_destroy(c);
	/* A fingerprint of other pages. */
	assert_ok(mb_churn_create(&config, &c, &err), &err);
	array = (struct mb_frame_array){ wrong, 0, 1 };
	fingerprint(nines, 2, &fp);
	assert_fails(mb_churn_feed(c, 0, &fp, &stream, &row, &err), EBADMSG, &err, "1 pages");
	mb_churn_destroy(c);
	mb_churn_destroy(NULL);
}

/* A clock that goes back stands still. */
static void test_clock(void **state)
{
	struct mb_churn_config config = { .windows_ns = { 5 }, .n_windows = 1 };
	const uint64_t at[] = { 100, 90, 104, 105 }, since[] = { 0, 0, 4, 5 };
	const uint64_t nines[] = { 9, 9 };
	struct mb_err err = { 0 };
	struct mb_churn_row row;
	struct mb_churn *c;

	(void)state;
	assert_ok(mb_churn_create(&config, &c, &err), &err);
	for (int i = 0; i < 4; i++) {
		struct mb_fingerprint fp;

		fingerprint(nines, 2, &fp);
		assert_ok(mb_churn_feed(c, at[i], &fp, NULL, &row, &err), &err);
		assert_int_equal(row.at_ns, since[i]);
		assert_int_equal(row.windows_known, i == 3);
	}
	assert_int_equal(row.sharable[MB_CHURN_SELF].durable_pages[0], 1);
	mb_churn_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_frame),
		cmocka_unit_test(test_by_content),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
