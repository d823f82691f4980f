// SPDX-License-Identifier: GPL-2.0-or-later
/* What a session says, and how it ends. */
#include "server/session_inside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"

void mb_session_say(struct mb_session *s, bool warning, const char *fmt, ...)
{
	char text[800];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), s->named ? "VM %s: " : "agent %s: ", s->name);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	s->all->config.say(s->all->config.ctx, warning, text);
}

void mb_sessions_wake_waiting(struct mb_sessions *all)
{
	struct mb_session *s;

	while ((s = TAILQ_FIRST(&all->waiting))) {
		mb_session_advance(s);
		if (TAILQ_FIRST(&all->waiting) == s)
			return;
	}
}

void mb_session_wait(struct mb_session *s)
{
	if (s->state == WAITING)
		return;
	s->state = WAITING;
	TAILQ_INSERT_TAIL(&s->all->waiting, s, in_line);
}

void mb_session_wait_no_more(struct mb_session *s)
{
	if (s->state == WAITING)
		TAILQ_REMOVE(&s->all->waiting, s, in_line);
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

	mb_session_wait_no_more(s);
	mb_session_end_pace(s);
	bufferevent_free(s->bev);
	s->bev = NULL;
	event_free(s->deadline);
	s->deadline = NULL;
	s->state = CLOSING;
	if (s->greeted)
		mb_fleet_leave(all->fleet, s->vm, s->id);
	mb_session_release(s);
	mb_peers_leave(all->peers, s->peer, mb_now_ns());
	s->peer = NULL;
	/* Ingest still has its pointer; the result will find it without a connection. */
	if (!busy)
		mb_session_free(s);
	mb_sessions_wake_waiting(all);
}

void mb_session_set_deadline(struct mb_session *s, uint64_t ms)
{
	struct timeval t = { .tv_sec = (time_t)(ms / 1000),
			     .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (ms)
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

void mb_session_turn_away(struct mb_session *s, enum mb_refusal code, const char *reason,
			  uint64_t retry_after_ns)
{
	struct mb_msg msg = { .type = MB_MSG_REFUSAL,
			      .refusal = { (uint32_t)code, reason,
					   (uint32_t)MB_MIN(retry_after_ns / 1000000,
							    (uint64_t)UINT32_MAX) } };
	struct evbuffer *in = bufferevent_get_input(s->bev);
	char text[400];

	/* What travels must be printable and short (FORMAT.md, Text). */
	snprintf(text, sizeof(text), "%s", reason);
	for (char *p = text; *p; p++)
		*p = *p < 0x20 || *p > 0x7e ? '?' : *p;
	msg.refusal.reason = text;
	mb_session_wait_no_more(s);
	s->state = CLOSING;
	mb_session_reply(s, &msg);
	evbuffer_drain(in, evbuffer_get_length(in));
	mb_session_read_ahead(s, 0, 0);
	bufferevent_enable(s->bev, EV_READ);
	mb_session_set_deadline(s, s->all->config.waits.linger_ms);
}

static void remember_refusal(struct mb_session *s, enum mb_refusal code, int why,
			     const char *reason)
{
	/* Of who names no VM without the port: else each try would be another peer. */
	mb_contacts_refused(s->all->config.contacts, s->wanted,
			    *s->wanted ? s->from : s->peer->name, code, why, reason, mb_unix_ns());
}

void mb_session_refuse(struct mb_session *s, enum mb_refusal code, const char *reason)
{
	remember_refusal(s, code, -1, reason);
	mb_session_say(s, true, "refused: %s", reason);
	mb_session_turn_away(s, code, reason, 0);
}

/* NULL: it is not to be told again so soon. Else what goes behind the reason. */
static const char *told_before(struct mb_sessions *all, const char *peer, enum mb_refused_for why,
			       char others[64])
{
	char key[MB_PEER_NAME_MAX + 32];
	uint64_t held_back;

	mb_refusals_count(all->config.refusals, why);
	snprintf(key, sizeof(key), "%s %s", peer, mb_refused_for_name(why));
	if (!mb_muffle_pass(&all->muffle, key, mb_now_ns(), &held_back))
		return NULL;
	*others = 0;
	if (held_back)
		snprintf(others, 64, " (and %" PRIu64 " others before)", held_back);
	return others;
}

void mb_session_count_refusal(struct mb_session *s, enum mb_refused_for why, const char *reason)
{
	char others[64];

	remember_refusal(s, 0, (int)why, reason);
	/* A VM's name stays; of a peer, the port is another one every time. */
	if (told_before(s->all, s->named ? s->name : s->peer->name, why, others))
		mb_session_say(s, true, "refused: %s%s", reason, others);
}

void mb_sessions_count_refusal(struct mb_sessions *all, const char *peer, enum mb_refused_for why,
			       const char *reason)
{
	char others[64], text[600];

	mb_contacts_refused(all->config.contacts, "", peer, 0, (int)why, reason, mb_unix_ns());
	if (!told_before(all, peer, why, others))
		return;
	snprintf(text, sizeof(text), "agent %s: turned away: %s%s", peer, reason, others);
	all->config.say(all->config.ctx, true, text);
}

void mb_session_put_off(struct mb_session *s, enum mb_refused_for why, const char *reason,
			uint64_t retry_after_ns)
{
	mb_session_count_refusal(s, why, reason);
	mb_session_turn_away(s, MB_REFUSED_SERVER, reason, retry_after_ns);
}
