// SPDX-License-Identifier: GPL-2.0-or-later
/* What is lost, refused, late or wrong; and what comes after it. */
#include "tests/unit/util_uplink.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/frame.h"

static void test_lost_ack(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	offer(&s, 200, 50);
	take_delta(&s, true);
	/* Durable, but nobody told the agent. */
	greet(&s);
	for (int i = 0; i < 1000 && s.n_acked < 2; i++)
		must_turn(&s);
	assert_int_equal(s.acked_epoch, 2);
	assert_true(mb_uplink_idle(s.uplink));
	offer(&s, 300, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_int_equal(c.pass.epochs, 1);
	ack(&s);
	/* The same with another epoch that waits. */
	offer(&s, 400, 50);
	take_delta(&s, true);
	offer(&s, 500, 50);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 4);
	assert_int_equal(c.epoch, 5);
	assert_int_equal(c.pass.epochs, 1);
	ack(&s);
	uplink_close(&s);
}

static void test_lost_delta(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	offer(&s, 200, 50);
	take_delta(&s, false);
	greet(&s);
	c = take_delta(&s, false);
	assert_int_equal(c.base_epoch, 1);
	assert_int_equal(c.epoch, 2);
	assert_int_equal(c.pass.epochs, 1);
	/* Lost again, and meanwhile there is a newer one: they go as one. */
	offer(&s, 300, 50);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_int_equal(c.epoch, 3);
	assert_int_equal(c.pass.epochs, 2);
	assert_int_equal(c.pass.pages_read, 100);
	ack(&s);
	uplink_close(&s);
}

enum loss { LOST_ALL, OTHER_BOOT, OTHER_FINGERPRINT, OLDER, NEWER, LOSSES };

static void test_server_holds_something_else(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	for (int loss = 0; loss < LOSSES; loss++) {
		for (int waiting = 0; waiting < 2; waiting++) {
			open_with_epoch_acked(&s);
			switch (loss) {
			case LOST_ALL:
				mb_fingerprint_deinit(&s.fp);
				s.epoch = 0;
				s.boot = (struct mb_boot){ 0 };
				break;
			case OTHER_BOOT:
				s.boot.id[0]++;
				break;
			case OTHER_FINGERPRINT:
				s.fp.hash.hi++;
				break;
			case OLDER:
				s.epoch = 0;
				break;
			case NEWER:
				s.epoch = 77;
				break;
			}
			hang_up(&s);
			if (waiting)
				offer(&s, 200, 60);
			greet(&s);
			c = take_delta(&s, true);
			assert_int_equal(c.base_epoch, 0);
			assert_int_equal(c.epoch, 1 + waiting);
			assert_int_equal(c.pass.epochs, 1);
			assert_int_equal(s.fp.n_pages, waiting ? 60 : 50);
			ack(&s);
			assert_works(&s, 300);
			uplink_close(&s);
		}
	}
}

static void test_server_restarts_with_all(void **state)
{
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	hang_up(&s);
	greet(&s);
	for (int i = 0; i < 20; i++)
		must_turn(&s);
	assert_non_null(strstr(s.said, "server holds epoch 1"));
	assert_true(mb_uplink_idle(s.uplink));
	assert_int_equal(s.n_acked, 1);
	assert_works(&s, 300);
	uplink_close(&s);
}

static void test_refusals(void **state)
{
	static const uint32_t final[] = { MB_REFUSED_VERSION, MB_REFUSED_IDENTITY,
					  MB_REFUSED_MESSAGE };
	static const uint32_t passing[] = { MB_REFUSED_BUSY, MB_REFUSED_SERVER };
	struct mb_msg hello;
	struct scene s;

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(final); i++) {
		uplink_open(&s, 2 * MS, 8 * MS);
		start_listening(&s);
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		mb_msg_deinit(&hello);
		refuse(&s, final[i]);
		for (int k = 0; k < 1000 && s.result == 0; k++)
			uplink_turn(&s);
		assert_fails(s.result, EPERM, &s.err, "because");
		uplink_close(&s);
	}
	for (size_t i = 0; i < MB_ARRAY_LEN(passing); i++) {
		uplink_open(&s, 2 * MS, 8 * MS);
		start_listening(&s);
		offer(&s, 100, 50);
		/* Instead of a Welcome, then instead of an Ack. */
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		mb_msg_deinit(&hello);
		refuse(&s, passing[i]);
		greet(&s);
		take_delta(&s, false);
		refuse(&s, passing[i]);
		greet(&s);
		assert_int_equal(take_delta(&s, true).pass.epochs, 1);
		ack(&s);
		uplink_close(&s);
	}
}

static void test_refusal_is_read_though_the_server_has_hung_up(void **state)
{
	struct mb_msg hello;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	wait_for_agent(&s);
	receive(&s, MB_MSG_HELLO, &hello);
	mb_msg_deinit(&hello);
	refuse(&s, MB_REFUSED_IDENTITY);
	hang_up(&s);
	for (int k = 0; k < 1000 && s.result == 0; k++)
		uplink_turn(&s);
	assert_fails(s.result, EPERM, &s.err, "because");
	uplink_close(&s);
}

enum misbehaviour {
	GARBAGE,
	HALF_A_FRAME,
	HUGE_FRAME,
	NOT_A_MESSAGE,
	A_HELLO,
	WELCOME_AGAIN,
	OTHER_EPOCH,
	OTHER_RESULT,
	SILENT_END,
	MISBEHAVIOURS
};

/* While a Delta is in flight. */
static void misbehave(struct scene *s, enum misbehaviour how)
{
	static const uint8_t huge[16] = { 'M', 'B', 'F', '1', 1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9 };
	struct mb_msg msg = { .type = MB_MSG_ACK };
	struct mb_buf b = { 0 };

	switch (how) {
	case GARBAGE:
		server_sends(s, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
		break;
	case HALF_A_FRAME:
		assert_ok(mb_msg_to_frame(&msg, &b, &s->err), &s->err);
		server_sends(s, b.data, b.len - 1);
		hang_up(s);
		break;
	case HUGE_FRAME:
		server_sends(s, huge, sizeof(huge));
		break;
	case NOT_A_MESSAGE:
		assert_ok(mb_frame_encode((struct mb_slice){ (const uint8_t *)"\xff\xff", 2 }, &b,
					  &s->err),
			  &s->err);
		server_sends(s, b.data, b.len);
		break;
	case A_HELLO:
		msg = (struct mb_msg){ .type = MB_MSG_HELLO, .hello = s->config.hello };
		send_msg(s, &msg);
		break;
	case WELCOME_AGAIN:
		msg = (struct mb_msg){ .type = MB_MSG_WELCOME };
		msg.welcome.version = 1;
		msg.welcome.server = "";
		msg.welcome.max_frame_bytes = 1000;
		send_msg(s, &msg);
		break;
	case OTHER_EPOCH:
		msg.ack.epoch = s->epoch;
		msg.ack.fingerprint = mb_fingerprint_id(&s->fp);
		send_msg(s, &msg);
		break;
	case OTHER_RESULT:
		msg.ack.epoch = s->epoch + 1;
		msg.ack.fingerprint = mb_fingerprint_id(&s->fp);
		send_msg(s, &msg);
		break;
	default:
		hang_up(s);
	}
	mb_buf_deinit(&b);
}

static void test_server_misbehaves(void **state)
{
	static const char *const words[MISBEHAVIOURS] = {
		[GARBAGE] = "server's answer",
		[HALF_A_FRAME] = "closed the connection",
		[HUGE_FRAME] = "server's answer",
		[NOT_A_MESSAGE] = "server's answer",
		[A_HELLO] = "out of turn",
		[WELCOME_AGAIN] = "out of turn",
		[OTHER_EPOCH] = "an epoch that was not sent",
		[OTHER_RESULT] = "another fingerprint",
		[SILENT_END] = "closed the connection",
	};
	struct came c;
	struct scene s;

	(void)state;
	for (int how = 0; how < MISBEHAVIOURS; how++) {
		int n_acked;

		open_with_epoch_acked(&s);
		offer(&s, 200, 50);
		take_delta(&s, false);
		n_acked = s.n_acked;
		s.said[0] = 0;
		misbehave(&s, (enum misbehaviour)how);
		assert_goes_away(&s, words[how]);
		/* It comes again, believes nothing, and sends the same. */
		greet(&s);
		assert_int_equal(s.n_acked, n_acked);
		assert_int_equal(s.n_warnings, 1);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 1);
		assert_int_equal(c.epoch, 2);
		ack(&s);
		uplink_close(&s);
	}
}

static void test_messages_out_of_turn(void **state)
{
	struct mb_msg hello, msg;
	struct scene s;

	(void)state;
	for (int i = 0; i < 3; i++) {
		uplink_open(&s, 2 * MS, 8 * MS);
		start_listening(&s);
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		mb_msg_deinit(&hello);
		msg = (struct mb_msg){ .type = i == 0 ? MB_MSG_ACK : MB_MSG_RESYNC };
		if (i)
			msg.resync_reason = "";
		if (i == 2) {
			/* Nothing was sent that could be done again. */
			greet(&s);
			for (int k = 0; k < 20; k++)
				must_turn(&s);
		}
		s.said[0] = 0;
		send_msg(&s, &msg);
		assert_goes_away(&s, i ? "out of turn" : "not sent");
		greet(&s);
		assert_int_equal(s.n_acked, 0);
		assert_works(&s, 100);
		uplink_close(&s);
	}
}

static void test_frame_too_large(void **state)
{
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	s.max_frame_bytes = 1000;
	offer(&s, 1, 500);
	greet(&s);
	for (int k = 0; k < 1000 && s.result == 0; k++)
		uplink_turn(&s);
	assert_fails(s.result, EMSGSIZE, &s.err, "the server accepts 1000");
	uplink_close(&s);
}

/* Connected, and no answer: to the Hello, then to a Delta. */
static void test_silent_server(void **state)
{
	struct scene s;

	(void)state;
	uplink_prepare(&s, 2 * MS, 8 * MS);
	s.config.welcome_wait_ns = 30 * MS;
	assert_ok(mb_uplink_create(&s.config, &s.uplink, &s.err), &s.err);
	start_listening(&s);
	wait_for_agent(&s);
	assert_goes_away(&s, "no answer from the server");
	uplink_close(&s);

	uplink_prepare(&s, 2 * MS, 8 * MS);
	s.config.ack_wait_ns = 30 * MS;
	assert_ok(mb_uplink_create(&s.config, &s.uplink, &s.err), &s.err);
	start_listening(&s);
	offer(&s, 100, 50);
	greet(&s);
	take_delta(&s, false);
	assert_goes_away(&s, "no answer from the server");
	assert_false(mb_uplink_idle(s.uplink));
	uplink_close(&s);
}

static void test_backoff_grows(void **state)
{
	uint64_t at[18], start = mb_now_ns();
	struct scene s;
	int n = 0;

	(void)state;
	uplink_open(&s, 1 * MS, 64 * MS);
	/* Nobody listens. */
	while (n < 18) {
		int before = s.n_said;

		assert_true(mb_now_ns() - start < 5000 * MS);
		must_turn(&s);
		if (s.n_said == before)
			continue;
		/* The first is news, the others are not. */
		assert_int_equal(s.level, n ? MB_LOG_DEBUG : MB_LOG_WARNING);
		at[n++] = s.said_ns;
	}
	/* Any wait may be short, but ten of up to 64 ms are less than one only once in 10!. */
	assert_true(at[17] - at[7] >= 64 * MS);
	uplink_close(&s);
}

static void test_backoff_is_jittered(void **state)
{
	double least = 1e9, most = 0;
	struct scene s;

	(void)state;
	for (int i = 0; i < 200; i++) {
		const char *text;
		double wait;

		uplink_open(&s, 100000 * MS, 200000 * MS);
		must_turn(&s);
		text = strstr(s.said, "trying again in ");
		assert_non_null(text);
		wait = strtod(text + 16, NULL);
		assert_true(wait >= 0 && wait <= 100);
		least = MB_MIN(least, wait);
		most = MB_MAX(most, wait);
		uplink_close(&s);
	}
	assert_true(least < 10 && most > 90);
}

/* A server that greets everybody and then cannot store is not to be hammered at. */
static void test_backoff_survives_a_welcome(void **state)
{
	uint64_t refused_ns = 0;
	struct scene s;

	(void)state;
	uplink_open(&s, 1 * MS, 64 * MS);
	start_listening(&s);
	offer(&s, 100, 10);
	for (int i = 0; i < 18; i++) {
		/* From here on up to 64 ms each, see above. */
		if (i == 8)
			refused_ns = mb_now_ns();
		greet(&s);
		take_delta(&s, false);
		refuse(&s, MB_REFUSED_SERVER);
	}
	greet(&s);
	assert_true(mb_now_ns() - refused_ns >= 64 * MS);
	take_delta(&s, true);
	ack(&s);
	/* All is well again. */
	assert_works(&s, 500);
	uplink_close(&s);
}

/* Told when to come back: not before, whatever the wait between two tries is; nor later than that
 * by much. Epochs of meanwhile become one. */
static void test_pause_that_the_server_asks_for(void **state)
{
	struct mb_msg msg = { .type = MB_MSG_REFUSAL,
			      .refusal = { MB_REFUSED_SERVER, "quota is used up", 200 } };
	uint64_t refused_ns, waited_ns;
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 1 * MS, 2 * MS);
	start_listening(&s);
	offer(&s, 100, 10);
	greet(&s);
	take_delta(&s, false);
	refused_ns = mb_now_ns();
	send_msg(&s, &msg);
	for (int i = 0; i < 1000 && !strstr(s.said, "quota is used up"); i++)
		must_turn(&s);
	offer(&s, 200, 10);
	offer(&s, 300, 10);
	greet(&s);
	waited_ns = mb_now_ns() - refused_ns;
	assert_true(waited_ns >= 200 * MS);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 3);
	assert_int_equal(c.epoch, 3);
	ack(&s);
	uplink_close(&s);
	/* Ten years are an hour. */
	uplink_open(&s, 1 * MS, 2 * MS);
	start_listening(&s);
	wait_for_agent(&s);
	take_hello(&s);
	msg.refusal.retry_after_ms = UINT32_MAX;
	send_msg(&s, &msg);
	for (int i = 0; i < 1000 && !strstr(s.said, "quota is used up"); i++)
		must_turn(&s);
	waited_ns = (uint64_t)(strtod(strstr(s.said, "again in ") + 9, NULL) * 1e9);
	assert_true(waited_ns >= 3600000 * MS && waited_ns <= 4500000 * MS);
	uplink_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_ack),
		cmocka_unit_test(test_lost_delta),
		cmocka_unit_test(test_server_holds_something_else),
		cmocka_unit_test(test_server_restarts_with_all),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_refusal_is_read_though_the_server_has_hung_up),
		cmocka_unit_test(test_server_misbehaves),
		cmocka_unit_test(test_messages_out_of_turn),
		cmocka_unit_test(test_frame_too_large),
		cmocka_unit_test(test_silent_server),
		cmocka_unit_test(test_backoff_grows),
		cmocka_unit_test(test_backoff_is_jittered),
		cmocka_unit_test(test_backoff_survives_a_welcome),
		cmocka_unit_test(test_pause_that_the_server_asks_for),
	};

	return cmocka_run_group_tests_name("uplink_faults", tests, NULL, NULL);
}
