// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines (FORMAT.md, 3.1): breaks, and who comes after them. */
#include "server/session_inside.h"

#include "proto/base/cleanup.h"
#include "proto/break.h"

bool mb_session_ends_in_break(struct evbuffer *in)
{
	uint8_t bytes[AHEAD_BYTES];
	ev_ssize_t len = evbuffer_copyout(in, bytes, sizeof(bytes));

	for (ev_ssize_t n = MB_MIN(len, MB_BREAK_MAGIC_BYTES - 1); n > 0; n--)
		if (memcmp(bytes + len - n, mb_break_magic, (size_t)n) == 0)
			return true;
	return false;
}

void mb_session_send_break(struct mb_session *s, uint64_t token)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf bytes = { 0 };

	mb_break_put(&bytes, token);
	if (bytes.failed || bufferevent_write(s->bev, bytes.data, bytes.len) < 0)
		mb_session_say(s, true, "answer lost: out of memory");
}

/* Who was there is gone, with what it had begun to say. */
static void forget_agent(struct mb_session *s, size_t cut_bytes)
{
	if (s->greeted)
		mb_session_say(s, false,
			       "agent began anew on its line, %zu bytes of a frame dropped",
			       cut_bytes);
	if (s->greeted)
		mb_fleet_leave(s->all->fleet, s->vm, s->id);
	s->greeted = false;
	mb_session_wait_no_more(s);
	s->state = HELLO;
	s->frame_bytes = 0;
	mb_session_read_ahead(s, 0, AHEAD_BYTES);
	bufferevent_enable(s->bev, EV_READ);
	mb_session_set_deadline(s, s->all->config.waits.hello_ms);
	if (s->reserved_bytes) {
		mb_session_release(s);
		mb_sessions_wake_waiting(s->all);
	}
}

bool mb_session_take_breaks(struct mb_session *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);
	const char *magic = (const char *)mb_break_magic;
	uint8_t bytes[MB_BREAK_BYTES];
	struct evbuffer_ptr at;

	if (s->state == HELLO && !s->line)
		s->line =
			evbuffer_copyout(in, bytes, MB_BREAK_MAGIC_BYTES) == MB_BREAK_MAGIC_BYTES &&
			memcmp(bytes, mb_break_magic, MB_BREAK_MAGIC_BYTES) == 0;
	while (s->line) {
		evbuffer_ptr_set(in, &at, s->searched, EVBUFFER_PTR_SET);
		at = evbuffer_search(in, magic, MB_BREAK_MAGIC_BYTES, &at);
		if (at.pos < 0) {
			size_t n = evbuffer_get_length(in);

			s->searched = n < MB_BREAK_MAGIC_BYTES ? 0 : n - MB_BREAK_MAGIC_BYTES + 1;
			break;
		}
		evbuffer_drain(in, (size_t)at.pos);
		s->searched = 0;
		if (s->state != HELLO || s->frame_bytes)
			forget_agent(s, (size_t)at.pos);
		if (evbuffer_copyout(in, bytes, sizeof(bytes)) < (ev_ssize_t)sizeof(bytes))
			return false;
		evbuffer_drain(in, sizeof(bytes));
		mb_session_send_break(s, mb_break_token(bytes));
	}
	return true;
}
