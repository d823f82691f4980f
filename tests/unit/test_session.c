// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/session.h"

#include <poll.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"
#include "tests/unit/util_session.h"

static void test_connection(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 0);
	send_bytes(&s, s.delta.data, s.delta.len);
	expect_ack(&s, 1);
	/* Who has not begun with a break may not send one. */
	send_greeting(&s, 5);
	expect_refusal(&s, MB_REFUSED_MESSAGE);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 1);
	/* Nor a second Hello. */
	send_greeting(&s, 0);
	expect_refusal(&s, MB_REFUSED_MESSAGE);
	scene_close(&s);
}

/* An agent's offer is taken, or not; an epoch of another rate is not what the next one starts from.
 */
static void test_sample(void **state)
{
	static const struct mb_sample_of how[] = { { .shift = 3 }, { .cut_bits = 20 } };

	(void)state;
	for (int i = 0; i < 4; i++) {
		int no = i % 2, kind = i / 2;
		struct mb_fingerprint sample;
		struct mb_msg msg;
		struct scene s;

		scene_prepare(&s);
		s.config.no_samples = no;
		scene_start(&s);
		s.hello.sample_shift = how[kind].shift;
		s.hello.cut_bits = how[kind].cut_bits;
		reach(&s);
		send_greeting(&s, 0);
		expect(&s, MB_MSG_WELCOME, &msg);
		assert_int_equal(msg.welcome.sample_shift, no ? 0 : how[kind].shift);
		assert_int_equal(msg.welcome.cut_bits, no ? 0 : how[kind].cut_bits);
		mb_msg_deinit(&msg);
		if (!no) {
			mb_buf_clear(&s.delta);
			make_small_frame(NULL, 0, &s.fp, 1, &how[kind], &s.hello.identity, &sample,
					 &s.delta);
			mb_fingerprint_deinit(&sample);
		}
		send_bytes(&s, s.delta.data, s.delta.len);
		expect_ack(&s, 1);
		reach(&s);
		send_greeting(&s, 0);
		expect_welcome(&s, 1);
		/* As the rate is, so is what is held. */
		s.hello.sample_shift = s.hello.cut_bits = 0;
		reach(&s);
		send_greeting(&s, 0);
		expect_welcome(&s, no);
		scene_close(&s);
	}
}

/* An agent that died anywhere in a Delta; the next one is heard at once, on the same connection. */
static void test_line_cut_anywhere(void **state)
{
	uint64_t token = 1;
	struct scene s;

	(void)state;
	scene_open(&s);
	reach(&s);
	for (size_t cut = 0; cut < s.delta.len; cut++) {
		send_greeting(&s, ++token);
		expect_break(&s, token);
		expect_welcome(&s, 0);
		send_bytes(&s, s.delta.data, cut);
		/* Half of them have been read before the next agent comes. */
		if (cut % 2)
			turns(&s);
	}
	send_greeting(&s, 9);
	expect_break(&s, 9);
	expect_welcome(&s, 0);
	send_bytes(&s, s.delta.data, s.delta.len);
	expect_ack(&s, 1);
	assert_non_null(strstr(s.said, "connected"));
	scene_close(&s);
}

/* The same for one that died in its greeting. */
static void test_line_greeting_cut_anywhere(void **state)
{
	struct mb_buf b = { 0 };
	uint64_t token, last;
	struct scene s;

	(void)state;
	scene_open(&s);
	put_greeting(&s, 1000, &b);
	reach(&s);
	/* A line from the first break on, not before. */
	for (size_t cut = MB_BREAK_MAGIC_BYTES; cut < b.len; cut++) {
		send_bytes(&s, b.data, cut);
		if (cut % 2)
			turns(&s);
		last = cut;
		send_greeting(&s, last);
		do {
			assert_true(await(&s, MB_BREAK_BYTES));
			token = mb_break_token(s.in.data);
			/* Half a break has a token of whatever follows. */
			assert_memory_equal(s.in.data, mb_break_magic, MB_BREAK_MAGIC_BYTES);
			drop(&s, MB_BREAK_BYTES);
			if (cut < MB_BREAK_BYTES)
				break;
		} while (token != last);
		if (cut < MB_BREAK_BYTES) {
			/* ... which the agent does not take for its own, and tries again. */
			reach(&s);
			continue;
		}
		expect_welcome(&s, 0);
	}
	mb_buf_deinit(&b);
	scene_close(&s);
}

/* Byte by byte: a frame may end in the break's bytes. Then the server hangs up, and QEMU comes
 * back. */
static void test_line_in_single_bytes(void **state)
{
	struct mb_buf b = { 0 };
	int hung_up = 0;
	struct scene s;

	(void)state;
	scene_open(&s);
	put_greeting(&s, 3, &b);
	for (size_t cut = s.delta.len - 30; cut < s.delta.len; cut++) {
		bool heard;

		reach(&s);
		send_greeting(&s, 2);
		expect_break(&s, 2);
		expect_welcome(&s, 0);
		send_bytes(&s, s.delta.data, cut);
		turns(&s);
		for (size_t i = 0; i < b.len; i++) {
			if (send(s.fd, b.data + i, 1, MSG_NOSIGNAL) != 1)
				break;
			turn(&s);
		}
		assert_true(await(&s, MB_BREAK_MAGIC_BYTES));
		heard = memcmp(s.in.data, mb_break_magic, MB_BREAK_MAGIC_BYTES) == 0;
		if (heard) {
			expect_break(&s, 3);
			expect_welcome(&s, 0);
		} else {
			expect_refusal(&s, MB_REFUSED_MESSAGE);
			assert_false(await(&s, 1));
			hung_up++;
		}
	}
	assert_true(hung_up < MB_BREAK_MAGIC_BYTES);
	mb_buf_deinit(&b);
	scene_close(&s);
}

/* What was under way for the agent before is answered before the break is. */
static void test_line_ack_of_the_agent_before(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s);
	reach(&s);
	send_greeting(&s, 1);
	expect_break(&s, 1);
	expect_welcome(&s, 0);
	send_bytes(&s, s.delta.data, s.delta.len);
	turns(&s);
	/* Two tries of the next agent, the first of which has given up. */
	send_greeting(&s, 2);
	send_greeting(&s, 3);
	expect_ack(&s, 1);
	expect_break(&s, 2);
	if (await(&s, MB_BREAK_BYTES) && s.in.data[0] == 'M')
		expect_welcome(&s, 1);
	expect_break(&s, 3);
	expect_welcome(&s, 1);
	scene_close(&s);
}

static void test_line_is_one_vm(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s);
	reach(&s);
	send_greeting(&s, 1);
	expect_break(&s, 1);
	expect_welcome(&s, 0);
	make_hello("b", 1, &s.hello);
	send_greeting(&s, 2);
	expect_break(&s, 2);
	expect_refusal(&s, MB_REFUSED_BUSY);
	assert_false(await(&s, 1));
	/* The agent that was there has left. */
	reach(&s);
	send_greeting(&s, 3);
	expect_break(&s, 3);
	expect_welcome(&s, 0);
	reach(&s);
	make_hello("a", 2, &s.hello);
	send_greeting(&s, 4);
	expect_break(&s, 4);
	expect_welcome(&s, 0);
	scene_close(&s);
}

/* A VM that is started without an agent: no fault, however long; and asked once who is there. */
static void test_line_without_an_agent(void **state)
{
	uint64_t start = mb_now_ns();
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.waits.hello_ms = 100;
	scene_start(&s);
	reach(&s);
	while (s.in.len < MB_BREAK_BYTES && mb_now_ns() - start < 5000000000ull) {
		uint8_t *to = mb_buf_reserve(&s.in, 64);
		ssize_t n;

		turn(&s);
		poll(NULL, 0, 20);
		n = recv(s.fd, to, 64, 0);
		s.in.len += n > 0 ? (size_t)n : 0;
	}
	expect_break(&s, 0);
	assert_string_equal(s.said, "");
	send_greeting(&s, 1);
	expect_break(&s, 1);
	expect_welcome(&s, 0);
	scene_close(&s);
}

static void test_listen(void **state)
{
	struct mb_address a, bound;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s);
	assert_ok(mb_uri_parse("serial:/dev/ttyS1", &a, &err), &err);
	assert_fails(mb_sessions_listen(s.sessions, &a, &bound, &err), EINVAL, &err,
		     "ends at a unix: address");
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_line_cut_anywhere),
		cmocka_unit_test(test_line_greeting_cut_anywhere),
		cmocka_unit_test(test_line_in_single_bytes),
		cmocka_unit_test(test_line_ack_of_the_agent_before),
		cmocka_unit_test(test_line_is_one_vm),
		cmocka_unit_test(test_line_without_an_agent),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
