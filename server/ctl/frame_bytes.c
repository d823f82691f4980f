// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/frame_bytes.h"

#include "proto/base/cleanup.h"

int mb_frame_bytes(const struct mb_delta *d, uint32_t bits, uint64_t added,
		   const struct mb_sample_of *sample, size_t *ret, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf fields = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	struct mb_msg msg = {
		.type = MB_MSG_DELTA,
		.delta = {
			.base_epoch = 1,
			.epoch = 2,
			.sample = *sample,
			/* Numbers as large as those of a real pass. */
			.pass = { .taken_unix_ns = 1700000000000000000u,
				  .duration_ns = 120 * d->result.pages * 1000,
				  .cpu_ns = 100 * d->result.pages * 1000,
				  .pages_read = d->result.pages,
				  .pages_changed = added,
				  .epochs = 1,
				  .full = true,
				  .tracker = "none" },
		},
	};
	int r = mb_delta_encode(d, bits, &fields, &msg.delta.fields, err);

	if (r == 0)
		r = mb_msg_to_frame(&msg, &frame, err);
	*ret = frame.len;
	return r;
}
