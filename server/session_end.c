// SPDX-License-Identifier: GPL-2.0-or-later
/* What a session says, and how it ends. */
#include "server/session_inside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"

void mb_session_say(struct mb_session *s, bool warning, const char *fmt, ...)
{
	char text[800];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), s->named ? "VM %s: " : "agent %s: ",
		     s->named || s->tls ? s->name : "(unknown)");
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	s->all->config.say(s->all->config.ctx, warning, text);
}

void mb_sessions_wake_waiting(struct mb_sessions *all)
{
	for (struct mb_session *s = all->first, *next; s; s = next) {
		next = s->next;
		if (s->state == WAITING)
			mb_session_advance(s);
	}
}

void mb_session_release(struct mb_session *s)
{
	s->all->reserved_bytes -= s->reserved_bytes;
	s->reserved_bytes = 0;
}

void mb_session_free(struct mb_session *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	s->all->n--;
	free(s);
}

void mb_session_hang_up(struct mb_session *s)
{
	struct mb_sessions *all = s->all;
	bool busy = s->state == BUSY;

	bufferevent_free(s->bev);
	s->bev = NULL;
	event_free(s->deadline);
	s->deadline = NULL;
	s->state = CLOSING;
	if (s->greeted)
		mb_fleet_leave(all->fleet, s->vm, s->id);
	mb_session_release(s);
	/* Ingest still has its pointer; the result will find it without a connection. */
	if (!busy)
		mb_session_free(s);
	mb_sessions_wake_waiting(all);
}

void mb_session_set_deadline(struct mb_session *s, uint64_t seconds)
{
	struct timeval t = { .tv_sec = (time_t)seconds };

	if (seconds)
		event_add(s->deadline, &t);
	else
		event_del(s->deadline);
}

void mb_session_reply(struct mb_session *s, const struct mb_msg *msg)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	struct mb_err err = { 0 };

	if (mb_msg_to_frame(msg, &frame, &err) < 0 ||
	    bufferevent_write(s->bev, frame.data, frame.len) < 0)
		mb_session_say(s, true, "answer lost: %s", err.text);
}

void mb_session_read_ahead(struct mb_session *s, size_t low, size_t high)
{
	bufferevent_setwatermark(s->bev, EV_READ, low, s->tls ? 0 : high);
}

void mb_session_turn_away(struct mb_session *s, enum mb_refusal code, const char *reason)
{
	struct mb_msg msg = { .type = MB_MSG_REFUSAL, .refusal = { (uint32_t)code, reason } };
	struct evbuffer *in = bufferevent_get_input(s->bev);
	char text[400];

	/* What travels must be printable and short (FORMAT.md, Text). */
	snprintf(text, sizeof(text), "%s", reason);
	for (char *p = text; *p; p++)
		*p = *p < 0x20 || *p > 0x7e ? '?' : *p;
	msg.refusal.reason = text;
	s->state = CLOSING;
	mb_session_reply(s, &msg);
	evbuffer_drain(in, evbuffer_get_length(in));
	mb_session_read_ahead(s, 0, 0);
	bufferevent_enable(s->bev, EV_READ);
	mb_session_set_deadline(s, LINGER_S);
}

void mb_session_refuse(struct mb_session *s, enum mb_refusal code, const char *reason)
{
	mb_session_say(s, true, "refused: %s", reason);
	mb_session_turn_away(s, code, reason);
}
