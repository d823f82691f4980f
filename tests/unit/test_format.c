// SPDX-License-Identifier: GPL-2.0-or-later
/* The example of proto/FORMAT.md, read out of the document: what it says must be what happens. */
#include "tests/unit/util_wire.h"

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/frame.h"

/* The bytes of the first ```hex block: on each line, what stands before the bar. */
static void read_example(struct mb_buf *ret)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	struct mb_err err = { 0 };
	char *line, *rest;

	assert_ok(mb_file_read("proto/FORMAT.md", 1 << 20, &text, &err), &err);
	rest = strstr((char *)text.data, "\n```hex\n");
	assert_non_null(rest);
	rest += strlen("\n```hex\n");
	while ((line = strsep(&rest, "\n")) && strcmp(line, "```") != 0) {
		char *bytes = strsep(&line, "|"), *byte;

		while ((byte = strsep(&bytes, " "))) {
			char *end;

			if (!*byte)
				continue;
			mb_buf_put_u8(ret, (uint8_t)strtoul(byte, &end, 16));
			assert_true(strlen(byte) == 2 && !*end);
		}
	}
	assert_non_null(line);
}

static void test_the_example(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 }, raw = { 0 };
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint base, result, got = { 0 };
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_msg sample;
	struct mb_err err = { 0 };
	struct mb_slice s;

	(void)state;
	read_example(&frame);
	s = mb_buf_slice(&frame);
	assert_ok(mb_frame_take(&s, 1000, &raw, &err), &err);
	assert_int_equal(s.len, 0);
	assert_ok(mb_msg_unpack(mb_buf_slice(&raw), &msg, &err), &err);
	sample_msg(MB_MSG_DELTA, &sample);
	assert_msg_equal(&msg, &sample);
	assert_int_equal(msg.delta.base_epoch, 41);
	assert_int_equal(msg.delta.epoch, 43);

	sample_base(&base);
	sample_result(&result);
	assert_ok(mb_delta_decode(&msg.delta.fields, 64, &d, &err), &err);
	assert_int_equal(d.n_added, 1);
	assert_int_equal(d.n_removed, 1);
	assert_int_equal(d.n_changed, 1);
	assert_ok(mb_delta_apply(&base, &d, &got, &err), &err);
	assert_fingerprint_equal(&got, &result);

	/* Whatever zstd makes of it, the message is packed to these very bytes. */
	mb_buf_clear(&frame);
	sample_raw(MB_MSG_DELTA, &frame);
	assert_int_equal(frame.len, raw.len);
	assert_memory_equal(frame.data, raw.data, raw.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_the_example) };

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
