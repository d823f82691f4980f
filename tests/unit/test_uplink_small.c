// SPDX-License-Identifier: GPL-2.0-or-later
/* Of samples, and of digests that are cut. */
#include "tests/unit/util_uplink.h"

/* An agent that offers 1 in 4, and has an epoch; the server agrees to `agreed`. */
static void open_with_offer(struct scene *s, uint32_t agreed)
{
	uplink_prepare(s, 2 * MS, 8 * MS);
	s->config.hello.sample_shift = 2;
	s->sample_shift = agreed;
	assert_ok(mb_uplink_create(&s->config, &s->uplink, &s->err), &s->err);
	start_listening(s);
	offer(s, 100, 500);
	greet(s);
}

/* What the server holds is all digests of offer(first, n), or those in the first quarter. */
static void assert_holds(const struct scene *s, uint64_t first, size_t n, uint32_t shift)
{
	uint32_t light = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t digest = mb_mix64(first + i);
		bool in = digest <= UINT64_MAX >> shift;

		light += in;
		assert_int_equal(mb_fingerprint_find(&s->fp, digest), in);
	}
	assert_int_equal(s->fp.n_distinct, light);
	assert_true(shift == 0 || light < n / 2);
}

static void assert_is_sample(struct came c, size_t n)
{
	assert_int_equal(c.sample.shift, 2);
	assert_int_equal(c.sample.pages, n);
	assert_int_equal(c.sample.distinct, n);
	assert_int_equal(c.sample.zero, 0);
}

static void test_sample(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_offer(&s, 2);
	c = take_delta(&s, true);
	assert_int_equal(s.in.len, 0);
	assert_is_sample(c, 500);
	assert_holds(&s, 100, 500, 2);
	ack(&s);
	/* From sample to sample. */
	offer(&s, 200, 600);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_is_sample(c, 600);
	assert_holds(&s, 200, 600, 2);
	/* Arrived, but the ack is lost. */
	greet(&s);
	for (int i = 0; i < 1000 && s.n_acked < 2; i++)
		must_turn(&s);
	assert_int_equal(s.acked_epoch, 2);
	/* Never arrived: the sample is taken anew. */
	offer(&s, 300, 500);
	take_delta(&s, false);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_is_sample(c, 500);
	assert_holds(&s, 300, 500, 2);
	ack(&s);
	/* Lost by the server, with none that waits: the same sample again. */
	mb_fingerprint_deinit(&s.fp);
	s.epoch = 0;
	s.boot = (struct mb_boot){ 0 };
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 3);
	assert_is_sample(c, 500);
	assert_holds(&s, 300, 500, 2);
	ack(&s);
	assert_int_equal(s.n_warnings, 3); /* each lost connection */
	uplink_close(&s);
}

static void test_server_takes_no_sample(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_offer(&s, 0);
	c = take_delta(&s, true);
	assert_non_null(strstr(s.said, "connected"));
	assert_int_equal(s.n_warnings, 1);
	assert_int_equal(c.sample.shift, 0);
	assert_holds(&s, 100, 500, 0);
	ack(&s);
	assert_works(&s, 200);
	uplink_close(&s);
	/* One that agrees to what nobody offered knows not what it says. */
	open_with_offer(&s, 3);
	assert_goes_away(&s, "agreed to what was not offered");
	s.sample_shift = 2;
	greet(&s);
	c = take_delta(&s, true);
	assert_is_sample(c, 500);
	ack(&s);
	uplink_close(&s);
}

static void test_cut_digests(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_prepare(&s, 2 * MS, 8 * MS);
	s.config.hello.cut_bits = s.cut_bits = 20;
	assert_ok(mb_uplink_create(&s.config, &s.uplink, &s.err), &s.err);
	start_listening(&s);
	for (uint64_t i = 0; i < 3; i++) {
		offer(&s, 100 + 50 * i, 500);
		if (i != 1)
			greet(&s);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, i);
		assert_int_equal(c.sample.shift, 0);
		assert_int_equal(c.sample.cut_bits, 20);
		assert_int_equal(c.sample.distinct, 500);
		for (size_t k = 0; k < 500; k++)
			assert_int_equal(
				mb_fingerprint_find(&s.fp, mb_mix64(100 + 50 * i + k) >> 44), 1);
		assert_in_range(s.fp.n_distinct, 490, 500);
		ack(&s);
	}
	/* Offered one way, agreed in the other. */
	hang_up(&s);
	s.cut_bits = 0;
	s.sample_shift = 2;
	greet(&s);
	s.said[0] = 0;
	assert_goes_away(&s, "agreed to what was not offered");
	uplink_close(&s);
}

/* The server is another one now: what was not acked goes as it wants it. */
static void test_server_takes_no_sample_any_more(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	for (int acked = 0; acked < 2; acked++) {
		open_with_offer(&s, 2);
		take_delta(&s, acked);
		if (acked)
			ack(&s);
		mb_fingerprint_deinit(&s.fp);
		s.epoch = 0;
		s.boot = (struct mb_boot){ 0 };
		s.sample_shift = 0;
		greet(&s);
		for (int i = 0; acked && i < 20; i++)
			must_turn(&s);
		/* Of what was acked only the sample is left: nothing to send. */
		assert_int_equal(mb_uplink_idle(s.uplink), acked);
		if (acked)
			offer(&s, 100, 500);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_int_equal(c.epoch, 1 + acked);
		assert_int_equal(c.sample.shift, 0);
		assert_int_equal(c.pass.epochs, 1);
		assert_holds(&s, 100, 500, 0);
		ack(&s);
		/* And back. */
		s.sample_shift = 2;
		s.epoch = 0;
		mb_fingerprint_deinit(&s.fp);
		s.boot = (struct mb_boot){ 0 };
		greet(&s);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_is_sample(c, 500);
		assert_holds(&s, 100, 500, 2);
		ack(&s);
		uplink_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_cut_digests),
		cmocka_unit_test(test_server_takes_no_sample),
		cmocka_unit_test(test_server_takes_no_sample_any_more),
	};

	return cmocka_run_group_tests_name("uplink_small", tests, NULL, NULL);
}
