// SPDX-License-Identifier: GPL-2.0-or-later
/* On a serial line (line.h), which has no connections. */
#include "tests/unit/util_uplink.h"

#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"

/* Waits for the agent's next break and the Hello behind it. */
static void take_greeting(struct scene *s)
{
	uint64_t end = mb_now_ns() + 8000 * MS, before = s->token;
	struct mb_slice in = { 0 };

	while (!mb_break_take(&in, &s->token)) {
		uint8_t *to = mb_buf_reserve(&s->in, 65536);
		ssize_t n;

		assert_true(mb_now_ns() < end);
		must_turn(s);
		n = read(s->fd, to, 65536);
		if (n > 0)
			s->in.len += (size_t)n;
		in = mb_buf_slice(&s->in);
	}
	memmove(s->in.data, in.data, in.len);
	s->in.len = in.len;
	assert_true(s->token != 0 && s->token != before);
	take_hello(s);
}

static void send_break(struct scene *s, uint64_t token)
{
	struct mb_buf b = { 0 };

	mb_break_put(&b, token);
	server_sends(s, b.data, b.len);
	mb_buf_deinit(&b);
}

static void greet_serial(struct scene *s)
{
	take_greeting(s);
	send_break(s, s->token);
	welcome(s);
}

static void turns(struct scene *s, int n)
{
	while (n--)
		must_turn(s);
}

static void test_serial(void **state)
{
	struct scene s;

	(void)state;
	uplink_open_serial(&s);
	greet_serial(&s);
	assert_works(&s, 100);
	assert_works(&s, 200);
	assert_int_equal(s.n_warnings, 0);
	uplink_close(&s);
}

/* All that may be left on the line from the agent before, and for it. */
static void test_serial_stale_bytes(void **state)
{
	struct mb_msg stale = { .type = MB_MSG_ACK, .ack.epoch = 7 };
	struct mb_msg refusal = { .type = MB_MSG_REFUSAL,
				  .refusal = { MB_REFUSED_IDENTITY, "not you" } };
	struct mb_buf b = { 0 };
	struct scene s;

	(void)state;
	uplink_open_serial(&s);
	assert_ok(mb_msg_to_frame(&stale, &b, &s.err), &s.err);
	uplink_close(&s);
	for (size_t from = 0; from <= b.len; from++)
		for (int both = 0; both < 2; both++) {
			uplink_open_serial(&s);
			take_greeting(&s);
			/* The rest of an answer, whole ones, another's greeting, half an answer. */
			server_sends(&s, b.data + from, b.len - from);
			send_msg(&s, &refusal);
			if (both)
				must_turn(&s);
			send_break(&s, s.token + 1);
			welcome(&s);
			server_sends(&s, b.data, from);
			if (both)
				turns(&s, 2);
			send_break(&s, s.token);
			welcome(&s);
			assert_works(&s, 100);
			assert_int_equal(s.n_warnings, 0);
			uplink_close(&s);
		}
	mb_buf_deinit(&b);
}

/* The other end is another server now; nobody has told the agent but the new one. */
static void test_serial_server_begins_anew(void **state)
{
	struct mb_msg msg = { .type = MB_MSG_ACK };
	struct mb_buf b = { 0 };
	struct scene s;

	(void)state;
	uplink_open_serial(&s);
	greet_serial(&s);
	assert_works(&s, 100);
	send_break(&s, 0);
	assert_goes_away(&s, "began anew");
	greet_serial(&s);
	/* In the middle of an ack, and what was acked is sent again. */
	offer(&s, 300, 50);
	take_delta(&s, false);
	msg.ack.epoch = 2;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	server_sends(&s, b.data, b.len - 5);
	send_break(&s, 0);
	assert_goes_away(&s, "began anew");
	greet_serial(&s);
	take_delta(&s, true);
	ack(&s);
	assert_works(&s, 400);
	mb_buf_deinit(&b);
	uplink_close(&s);
}

static void test_serial_refusals(void **state)
{
	struct scene s;

	(void)state;
	uplink_open_serial(&s);
	take_greeting(&s);
	send_break(&s, s.token);
	/* Noise, perhaps. */
	refuse(&s, MB_REFUSED_MESSAGE);
	assert_goes_away(&s, "because");
	greet_serial(&s);
	assert_works(&s, 100);
	refuse(&s, MB_REFUSED_BUSY);
	assert_goes_away(&s, "because");
	/* This one is meant. */
	take_greeting(&s);
	send_break(&s, s.token);
	refuse(&s, MB_REFUSED_IDENTITY);
	for (int k = 0; k < 1000 && s.result == 0; k++)
		uplink_turn(&s);
	assert_fails(s.result, EPERM, &s.err, "because");
	uplink_close(&s);
}

static void test_serial_lost_greeting(void **state)
{
	uint64_t start = mb_now_ns();
	uint64_t first;
	struct scene s;

	(void)state;
	uplink_open_serial(&s);
	take_greeting(&s);
	/* A server that is busy with the agent before answers both. */
	first = s.token;
	take_greeting(&s);
	assert_true(mb_now_ns() - start >= 5000 * MS);
	send_break(&s, first);
	welcome(&s);
	send_break(&s, s.token);
	welcome(&s);
	assert_works(&s, 100);
	uplink_close(&s);
}

static void test_serial_hang_up(void **state)
{
	struct scene s;

	(void)state;
	uplink_open_serial(&s);
	greet_serial(&s);
	assert_works(&s, 100);
	close(s.held);
	s.held = -1;
	hang_up(&s);
	assert_goes_away(&s, "nobody at the other end");
	uplink_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serial),
		cmocka_unit_test(test_serial_stale_bytes),
		cmocka_unit_test(test_serial_server_begins_anew),
		cmocka_unit_test(test_serial_refusals),
		cmocka_unit_test(test_serial_lost_greeting),
		cmocka_unit_test(test_serial_hang_up),
	};

	return cmocka_run_group_tests_name("uplink_serial", tests, NULL, NULL);
}
