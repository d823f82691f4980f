// SPDX-License-Identifier: GPL-2.0-or-later
/* What passes that were not sent count with those that are. */
#include "tests/unit/util_uplink.h"

/* A guest that swapped so many bytes within so long; 0: not known. */
static void offer_guest(struct scene *s, uint64_t first, uint64_t bytes, uint64_t ns)
{
	struct mb_epoch e = { .info = { .epochs = 1,
					.tracker = "none",
					.guest = { .known = true,
						   .free_bytes = first,
						   .swapped_bytes = bytes,
						   .swapped_ns = ns } } };
	uint64_t digest = mb_mix64(first);

	assert_ok(mb_fingerprint_from_digests(&e.fingerprint, &digest, 1, &s->err), &s->err);
	mb_uplink_offer(s->uplink, &e);
}

static void assert_audits(const struct came *c, uint32_t audits, uint32_t doubted, uint32_t follows,
			  uint64_t changed, uint64_t stale, uint64_t flagged)
{
	const struct mb_audit *a = &c->pass.audit;

	assert_int_equal(a->audits, audits);
	assert_int_equal(a->doubted, doubted);
	assert_int_equal(a->follows, follows);
	assert_int_equal(a->changed[MB_CLASS_ANON], changed);
	assert_int_equal(a->stale[MB_CLASS_ANON], stale);
	assert_int_equal(a->flagged, flagged);
	assert_int_equal(a->flagged_changed, flagged);
}

/* None is lost, none is counted twice, and the last one says what is followed. */
static void test_audits_are_summed(void **state)
{
	static const struct mb_audit first = { .audits = 1,
					       .doubted = 1,
					       .follows = 2,
					       .changed = { 0, 10 },
					       .stale = { 0, 3 },
					       .flagged = 8,
					       .flagged_changed = 8 };
	static const struct mb_audit last = { .audits = 1,
					      .follows = 6,
					      .changed = { 0, 100 },
					      .stale = { 0, 40 },
					      .flagged = 70,
					      .flagged_changed = 70 };
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer_audited(&s, 100, 50, &first);
	offer(&s, 200, 50);
	offer_audited(&s, 300, 50, &last);
	offer(&s, 400, 50);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 4);
	assert_audits(&c, 2, 1, 6, 110, 43, 78);
	ack(&s);
	/* None, one, and one that was in flight when the connection broke. */
	offer(&s, 500, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.audit.audits, 0);
	ack(&s);
	offer_audited(&s, 600, 50, &last);
	c = take_delta(&s, false);
	assert_audits(&c, 1, 0, 6, 100, 40, 70);
	offer_audited(&s, 700, 50, &first);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 2);
	assert_audits(&c, 2, 1, 2, 110, 43, 78);
	ack(&s);
	uplink_close(&s);
}

/* Swapping of passes that are sent as one is that of all of them; the rest is the last one's. */
static void test_guests_swapping_adds_up(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer_guest(&s, 1, 0, 0);
	offer_guest(&s, 2, 700, 10);
	offer_guest(&s, 3, 50, 30);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_true(c.pass.guest.known);
	assert_int_equal(c.pass.guest.free_bytes, 3);
	assert_int_equal(c.pass.guest.swapped_bytes, 750);
	assert_int_equal(c.pass.guest.swapped_ns, 40);
	ack(&s);
	/* What was acked is not counted again. */
	offer_guest(&s, 4, 700, 10);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.guest.swapped_bytes, 700);
	ack(&s);
	uplink_close(&s);
}

/* An epoch in which one of several programs has rewritten so many frames. */
static void offer_who(struct scene *s, uint64_t first, const char *process, uint64_t frames)
{
	struct mb_who_row row = { .cgroup = "/", .frames[MB_WHO_REWRITE] = frames };
	struct mb_who who = { 0 };

	snprintf(row.process, sizeof(row.process), "%s", process);
	mb_who_put(&who, &row);
	offer_with(s, first, 50, NULL, &who);
}

static uint64_t frames_of(const struct came *c, const char *process)
{
	for (uint32_t i = 0; i < c->who.n; i++)
		if (strcmp(c->who.rows[i].process, process) == 0)
			return mb_who_frames(c->who.rows[i].frames);
	return 0;
}

/* The same for who dirtied memory: as many names as are asked for, the rest in one. */
static void test_who_is_summed(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer_who(&s, 100, "a", 10);
	offer_who(&s, 200, "b", 20);
	offer(&s, 300, 50);
	offer_who(&s, 400, "c", 25);
	offer_who(&s, 500, "a", 11);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 5);
	assert_int_equal(c.who.n, 2);
	assert_int_equal(frames_of(&c, "a"), 21);
	assert_int_equal(frames_of(&c, "c"), 25);
	assert_int_equal(c.who.others[MB_WHO_REWRITE], 20);
	ack(&s);
	/* Nobody counted. */
	offer(&s, 600, 50);
	c = take_delta(&s, true);
	assert_false(c.who.counted);
	ack(&s);
	/* One that was in flight when the connection broke, and did not arrive ... */
	offer_who(&s, 700, "a", 1);
	c = take_delta(&s, false);
	assert_int_equal(frames_of(&c, "a"), 1);
	offer_who(&s, 800, "a", 2);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(frames_of(&c, "a"), 3);
	/* ... and one that did, though its ack was lost. */
	offer_who(&s, 900, "a", 4);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(frames_of(&c, "a"), 4);
	ack(&s);
	uplink_close(&s);
}

/* A server that has lost what it acked gets it again, as a snapshot: but not who, who was counted.
 */
static void test_who_is_not_counted_twice(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	offer_who(&s, 100, "a", 10);
	greet(&s);
	take_delta(&s, true);
	ack(&s);
	s.boot.id[0]++;
	s.epoch++;
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 1);
	assert_false(c.who.counted);
	ack(&s);
	uplink_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guests_swapping_adds_up),
		cmocka_unit_test(test_audits_are_summed),
		cmocka_unit_test(test_who_is_summed),
		cmocka_unit_test(test_who_is_not_counted_twice),
	};

	return cmocka_run_group_tests_name("uplink_sums", tests, NULL, NULL);
}
