// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_msg.h"

#include "proto/base/cleanup.h"

int unpack_exact(struct mb_slice raw, struct mb_msg *ret, struct mb_err *err)
{
	uint8_t *exact = malloc(raw.len + !raw.len);
	int r;

	assert_non_null(exact);
	if (raw.len)
		memcpy(exact, raw.data, raw.len);
	err->text[0] = 0;
	r = mb_msg_unpack((struct mb_slice){ exact, raw.len }, ret, err);
	/* The message does not live on the caller's bytes. */
	free(exact);
	if (r < 0) {
		assert_true(err->text[0]);
		assert_null(ret->unpacked);
	}
	return r;
}

void assert_msg_refused(const struct mb_buf *raw, int code, const char *word)
{
	struct mb_err err = { 0 };
	struct mb_msg msg;

	assert_fails(unpack_exact(mb_buf_slice(raw), &msg, &err), code, &err, word);
}

bool msg_survives(struct mb_slice raw)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf again = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	if (unpack_exact(raw, &msg, &err) < 0)
		return false;
	assert_ok(mb_msg_pack(&msg, &again, &err), &err);
	mb_msg_deinit(&msg);
	return true;
}

void pb_pass(struct mb_buf *b, uint32_t field, uint32_t big, const char *tracker)
{
	struct mb_buf pass = { 0 };

	if (big)
		pb_uint(&pass, big, 1ull << 63);
	pb_text(&pass, 5, tracker);
	pb_message(b, field, &pass);
}
