// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_uplink.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/frame.h"

/* Another key: a new Hello, a snapshot, and of the old epochs not a word, whatever was under way.
 */
static void test_begin_anew(void **state)
{
	static const uint8_t key[MB_KEY_BYTES] = { 2 };

	(void)state;
	for (int in_flight = 0; in_flight < 2; in_flight++) {
		struct mb_identity identity;
		struct mb_digester d;
		struct mb_msg hello;
		struct came c;
		struct scene s;

		open_with_epoch_acked(&s);
		offer(&s, 300, 50);
		if (in_flight)
			take_delta(&s, false);
		assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "d", key, &s.err),
			  &s.err);
		identity = d.identity;
		s.config.hello.boot = (struct mb_boot){ { 9 } };
		mb_uplink_begin_anew(s.uplink, &s.config.hello.boot, &identity);
		assert_true(mb_uplink_idle(s.uplink));
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		assert_memory_equal(&hello.hello.boot, &s.config.hello.boot, MB_BOOT_BYTES);
		assert_int_equal(mb_identity_compare(&hello.hello.identity, &identity, NULL), 0);
		mb_msg_deinit(&hello);
		welcome(&s);
		offer(&s, 1000, 50);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_int_equal(c.pass.epochs, 1);
		ack(&s);
		assert_works(&s, 1010);
		assert_int_equal(s.n_warnings, 0);
		uplink_close(&s);
	}
}

static void test_first_and_next(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	assert_true(mb_uplink_idle(s.uplink));
	offer(&s, 100, 50);
	assert_false(mb_uplink_idle(s.uplink));
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 1);
	assert_int_equal(c.pass.epochs, 1);
	assert_false(mb_uplink_idle(s.uplink));
	ack(&s);
	assert_int_equal(s.acked_bytes, s.frame_bytes);
	assert_true(mb_uplink_idle(s.uplink));
	/* Now only what changed. */
	offer(&s, 110, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_int_equal(c.epoch, 2);
	ack(&s);
	/* An epoch without a page is one, too. */
	offer(&s, 0, 0);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_int_equal(s.fp.n_pages, 0);
	ack(&s);
	assert_works(&s, 5);
	assert_int_equal(s.n_warnings, 0);
	uplink_close(&s);
}

static void test_net_delta_while_away(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer(&s, 100, 50);
	must_turn(&s);
	offer(&s, 200, 60);
	offer(&s, 301, 70);
	must_turn(&s);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 3);
	/* Sums ... */
	assert_int_equal(c.pass.epochs, 3);
	assert_int_equal(c.pass.pages_read, 50 + 60 + 70);
	assert_int_equal(c.pass.pages_changed, 6);
	assert_int_equal(c.pass.duration_ns, 30);
	assert_int_equal(c.pass.cpu_ns, 15);
	/* ... but for what is dated. */
	assert_int_equal(c.pass.taken_unix_ns, 301);
	assert_int_equal(c.pass.pages_unread, 301);
	assert_true(c.pass.full);
	assert_int_equal(s.fp.n_pages, 70);
	ack(&s);
	/* While one is in flight, the same; what was sent is not counted twice. */
	offer(&s, 400, 10);
	take_delta(&s, true);
	offer(&s, 500, 10);
	offer(&s, 600, 10);
	must_turn(&s);
	ack(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 4);
	assert_int_equal(c.epoch, 6);
	assert_int_equal(c.pass.epochs, 2);
	ack(&s);
	uplink_close(&s);
}

static void resync(struct scene *s)
{
	struct mb_msg msg = { .type = MB_MSG_RESYNC, .resync_reason = "not what I hold" };

	send_msg(s, &msg);
}

static void test_resync(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	offer(&s, 200, 50);
	take_delta(&s, false);
	resync(&s);
	c = take_delta(&s, false);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 2);
	assert_int_equal(c.pass.epochs, 1);
	assert_non_null(strstr(s.said, "not what I hold"));
	/* Who wants a snapshot instead of a snapshot would want one for ever. */
	s.said[0] = 0;
	resync(&s);
	assert_goes_away(&s, "asked for a snapshot, but got one");
	greet(&s);
	c = take_delta(&s, true);
	assert_non_null(strstr(s.said, "sending a snapshot"));
	assert_int_equal(c.base_epoch, 0);
	ack(&s);
	/* With another epoch that waits: that one is the snapshot. */
	offer(&s, 300, 50);
	take_delta(&s, false);
	offer(&s, 400, 50);
	resync(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 4);
	assert_int_equal(c.pass.epochs, 2);
	ack(&s);
	assert_works(&s, 9);
	uplink_close(&s);
}

/* Bytes come one by one, and several messages at once. */
static void test_any_segmentation(void **state)
{
	struct mb_msg hello, msg = { .type = MB_MSG_WELCOME };
	struct mb_buf b = { 0 };
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	wait_for_agent(&s);
	receive(&s, MB_MSG_HELLO, &hello);
	mb_msg_deinit(&hello);
	msg.welcome.version = 1;
	msg.welcome.server = "slow";
	msg.welcome.max_frame_bytes = 1 << 20;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	for (size_t i = 0; i < b.len; i++) {
		server_sends(&s, b.data + i, 1);
		must_turn(&s);
	}
	assert_works(&s, 100);
	/* Refused in the same breath. */
	mb_buf_clear(&b);
	offer(&s, 200, 10);
	take_delta(&s, true);
	msg = (struct mb_msg){ .type = MB_MSG_ACK };
	msg.ack.epoch = s.epoch;
	msg.ack.fingerprint = mb_fingerprint_id(&s.fp);
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	msg = (struct mb_msg){ .type = MB_MSG_REFUSAL,
			       .refusal = { MB_REFUSED_SERVER, "disk full" } };
	s.said[0] = 0;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	server_sends(&s, b.data, b.len);
	assert_goes_away(&s, "disk full");
	greet(&s);
	assert_int_equal(s.acked_epoch, 2);
	assert_works(&s, 300);
	mb_buf_deinit(&b);
	uplink_close(&s);
}

static void test_wakes(void **state)
{
	uint64_t start = mb_now_ns();
	struct scene s;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	open_with_epoch_acked(&s);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	assert_ok(mb_uplink_run(s.uplink, start + 60000 * MS, pipe_fds[0], &s.err), &s.err);
	assert_ok(mb_uplink_run(s.uplink, start, -1, &s.err), &s.err);
	assert_true(mb_now_ns() - start < 10000 * MS);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	uplink_close(&s);
}

size_t __attribute__((weak)) __sanitizer_get_current_allocated_bytes(void);

static size_t allocated(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void test_memory_is_bounded(void **state)
{
	enum { PAGES = 20000, FP_BYTES = PAGES * 8 };
	size_t start, full;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	start = allocated();
	offer(&s, 1, PAGES);
	greet(&s);
	take_delta(&s, true);
	ack(&s);
	offer(&s, 2 * PAGES, PAGES);
	take_delta(&s, false);
	offer(&s, 4 * PAGES, PAGES);
	/* base, sent, newest; the frame; and the server's own fingerprint and buffers. */
	full = allocated();
	assert_true(full >= start + 3 * FP_BYTES);
	assert_true(full <= start + 12 * FP_BYTES);
	hang_up(&s);
	for (uint64_t i = 0; i < 40; i++) {
		offer(&s, (6 + i) * PAGES, PAGES);
		must_turn(&s);
	}
	assert_true(allocated() <= full + 65536);
	greet(&s);
	assert_int_equal(take_delta(&s, true).pass.epochs, 42);
	ack(&s);
	/* One is left. */
	assert_true(allocated() <= full - FP_BYTES);
	uplink_close(&s);
}

static void test_destroy_at_any_time(void **state)
{
	struct scene s;

	(void)state;
	mb_uplink_destroy(NULL);
	uplink_open(&s, 2 * MS, 8 * MS);
	offer(&s, 1, 10);
	uplink_close(&s);
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	offer(&s, 1, 10);
	greet(&s);
	take_delta(&s, false);
	offer(&s, 2, 10);
	uplink_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_and_next),
		cmocka_unit_test(test_begin_anew),
		cmocka_unit_test(test_net_delta_while_away),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_any_segmentation),
		cmocka_unit_test(test_wakes),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_destroy_at_any_time),
	};

	return cmocka_run_group_tests_name("uplink", tests, NULL, NULL);
}
