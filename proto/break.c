// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/break.h"

const uint8_t mb_break_magic[MB_BREAK_MAGIC_BYTES] = {
	0xe3, 0x7f, 0xbc, 0x86, 0x89, 0x92, 0xec, 0x93,
	0xd3, 0x0e, 0xef, 0x19, 0x83, 0xa7, 0x13, 0xbc,
};

void mb_break_put(struct mb_buf *out, uint64_t token)
{
	uint8_t le[8];

	mb_put_le64(le, token);
	mb_buf_put(out, mb_break_magic, sizeof(mb_break_magic));
	mb_buf_put(out, le, sizeof(le));
}

uint64_t mb_break_token(const uint8_t *bytes)
{
	return mb_get_le64(bytes + MB_BREAK_MAGIC_BYTES);
}

bool mb_break_take_if_any(struct mb_slice *in, uint64_t *ret_token)
{
	const uint8_t *at =
		in->len ? memmem(in->data, in->len, mb_break_magic, sizeof(mb_break_magic)) : NULL;
	size_t skipped;

	if (!at)
		return false;
	skipped = (size_t)(at - in->data);
	if (in->len - skipped < MB_BREAK_BYTES)
		return false;
	*ret_token = mb_break_token(at);
	in->data = at + MB_BREAK_BYTES;
	in->len -= skipped + MB_BREAK_BYTES;
	return true;
}

bool mb_break_take(struct mb_slice *in, uint64_t *ret_token)
{
	size_t extra;

	if (mb_break_take_if_any(in, ret_token))
		return true;
	extra = in->len > MB_BREAK_BYTES - 1 ? in->len - (MB_BREAK_BYTES - 1) : 0;
	in->data += extra;
	in->len -= extra;
	return false;
}
