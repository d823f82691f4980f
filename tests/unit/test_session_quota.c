// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is one too many, or has had his share. */
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "tests/unit/util_session.h"

static void expect_pause(struct scene *s, const char *word, enum mb_refused_for why)
{
	struct mb_msg msg;

	expect(s, MB_MSG_REFUSAL, &msg);
	assert_int_equal(msg.refusal.code, MB_REFUSED_SERVER);
	if (!strstr(msg.refusal.reason, word))
		fail_msg("%s", msg.refusal.reason);
	assert_true(msg.refusal.retry_after_ms >= 1000);
	assert_int_equal(mb_refusals_get(&s->refusals, why), 1);
	mb_msg_deinit(&msg);
}

static void test_too_many_connections(void **state)
{
	struct other first = { .fd = -1 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.max_sessions = 1;
	scene_start(&s);
	bring(&s, "a");
	swap(&s, &first);
	reach(&s);
	expect_pause(&s, "too many connections", MB_FOR_TOO_MANY);
	assert_false(await(&s, 1));
	/* Counted each time, said once. */
	s.n_said = 0;
	reach(&s);
	assert_int_equal(mb_refusals_get(&s.refusals, MB_FOR_TOO_MANY), 2);
	assert_int_equal(s.n_said, 0);
	leave(&first);
	turns(&s);
	make_hello("b", 1, &s.hello);
	bring(&s, "b");
	scene_close(&s);
}

static void test_quota_of_sessions(void **state)
{
	struct other first = { .fd = -1 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	/* Others' quota is not ours. */
	s.config.quota.max[MB_QUOTA_SESSIONS] = 1;
	s.config.quota_local.max[MB_QUOTA_SESSIONS] = 2;
	scene_start(&s);
	bring(&s, "a");
	swap(&s, &first);
	bring(&s, "b");
	leave(&first);
	turns(&s);
	swap(&s, &first);
	bring(&s, "c");
	swap(&s, &first);
	{
		struct other second = { .fd = -1 };

		swap(&s, &second);
		reach(&s);
		expect_pause(&s, "quota of 2 sessions", MB_FOR_QUOTA + MB_QUOTA_SESSIONS);
		leave(&second);
	}
	leave(&first);
	scene_close(&s);
}

static void test_quota_of_vms(void **state)
{
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.quota_local.max[MB_QUOTA_VMS] = 2;
	scene_start(&s);
	bring(&s, "a");
	bring(&s, "b");
	make_hello("c", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	expect_pause(&s, "quota of 2 VMs", MB_FOR_QUOTA + MB_QUOTA_VMS);
	/* Those that it has it keeps. */
	make_hello("a", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 1);
	scene_close(&s);
}

/* Told when to come back; what was acked is held, what was not is still the agent's. */
static void quota_of_flow(enum mb_quota_kind kind, uint64_t max, const char *word)
{
	int acked = 0;
	struct scene s;

	scene_prepare(&s);
	s.config.quota_local.max[kind] = max;
	scene_start(&s);
	bring(&s, "a");
	while (acked < 5) {
		/* The same again is a frame, too. */
		send_bytes(&s, s.delta.data, s.delta.len);
		assert_true(await(&s, MB_FRAME_HEADER_BYTES + 20));
		if (mb_refusals_get(&s.refusals, MB_FOR_QUOTA + kind))
			break;
		expect_ack(&s, 1);
		acked++;
	}
	assert_int_equal(acked, max - 1);
	expect_pause(&s, word, MB_FOR_QUOTA + kind);
	assert_non_null(strstr(s.said, "VM a: refused: unix user"));
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 1);
	scene_close(&s);
}

static void test_quota_of_frames(void **state)
{
	(void)state;
	quota_of_flow(MB_QUOTA_FRAMES_PER_MINUTE, 3, "quota of 3 frames a minute");
}

static void test_quota_of_bytes(void **state)
{
	static uint64_t digests[200000];
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.quota_local.max[MB_QUOTA_MB_PER_DAY] = 1;
	s.config.frame_budget_bytes = 8 << 20;
	s.config.max_frame_bytes = 8 << 20;
	scene_start(&s);
	for (size_t i = 0; i < MB_ARRAY_LEN(digests); i++)
		digests[i] = mb_mix64(i);
	assert_ok(mb_fingerprint_from_digests(&fp, digests, MB_ARRAY_LEN(digests), &err), &err);
	make_frame(NULL, 0, &fp, 1, 64, &s.delta);
	mb_fingerprint_deinit(&fp);
	assert_true(s.delta.len > 1 << 20);
	make_hello("a", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 0);
	for (size_t sent = 0, in = 0;
	     !mb_refusals_get(&s.refusals, MB_FOR_QUOTA + MB_QUOTA_MB_PER_DAY);) {
		ssize_t n = send(s.fd, s.delta.data + in, s.delta.len - in, MSG_NOSIGNAL);

		in = n > 0 ? (in + (size_t)n) % s.delta.len : in;
		sent += n > 0 ? (size_t)n : 0;
		/* It goes over with one frame, not with two. */
		assert_true(sent < (1 << 20) + 2 * s.delta.len);
		turn(&s);
	}
	while (await(&s, MB_FRAME_HEADER_BYTES)) {
		struct mb_frame_header h;

		assert_ok(mb_frame_header_decode(s.in.data, 65536, &h, &err), &err);
		assert_true(await(&s, MB_FRAME_HEADER_BYTES + h.payload_bytes));
		drop(&s, MB_FRAME_HEADER_BYTES + h.payload_bytes);
	}
	assert_non_null(strstr(s.said, "quota of 1 MB a day"));
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_many_connections),
		cmocka_unit_test(test_quota_of_sessions),
		cmocka_unit_test(test_quota_of_vms),
		cmocka_unit_test(test_quota_of_frames),
		cmocka_unit_test(test_quota_of_bytes),
	};

	return cmocka_run_group_tests_name("session_quota", tests, NULL, NULL);
}
