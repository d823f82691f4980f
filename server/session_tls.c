// SPDX-License-Identifier: GPL-2.0-or-later
/* Certificates: who is refused for what they say, and how. */
#include "server/session_inside.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "server/vm_uri.h"

bool mb_session_may_write(struct mb_session *s, const char *vm)
{
	char cn[80], text[300];

	if (!s->tls || mb_tls_peer_has_uri(s->tls, mb_vm_uri_allows, (void *)(uintptr_t)vm))
		return true;
	mb_tls_peer_name(s->tls, cn, sizeof(cn));
	snprintf(text, sizeof(text), "certificate of \"%s\" does not name VM \"%s\"", cn, vm);
	mb_session_count_refusal(s, MB_FOR_OTHER_VM, text);
	mb_session_turn_away(s, MB_REFUSED_RIGHT, text, 0);
	return false;
}

/*
 * TLS has told the peer why. It lingers as in mb_session_turn_away(), for the same reason; what it
 * goes on to send is not looked at.
 */
static void linger_in_clear(struct mb_session *s)
{
	int fd = dup(bufferevent_getfd(s->bev));
	struct bufferevent *raw = NULL;

	if (fd >= 0)
		raw = bufferevent_socket_new(s->all->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!raw) {
		if (fd >= 0)
			close(fd);
		mb_session_hang_up(s);
		return;
	}
	bufferevent_free(s->bev);
	s->bev = raw;
	s->tls = NULL;
	s->state = CLOSING;
	shutdown(fd, SHUT_WR);
	bufferevent_setcb(raw, mb_session_on_read, mb_session_on_written, mb_session_on_event, s);
	bufferevent_enable(raw, EV_READ);
	mb_session_set_deadline(s, s->all->config.waits.linger_ms);
}

void mb_session_fail_handshake(struct mb_session *s)
{
	char text[300];
	enum mb_tls_fault fault;

	mb_session_end_pace(s);
	/* Who only knocks: health checks do. */
	if (!BIO_number_read(SSL_get_rbio(s->tls))) {
		mb_session_hang_up(s);
		return;
	}
	fault = mb_tls_why(s->tls, bufferevent_get_openssl_error(s->bev), text, sizeof(text));

	mb_session_count_refusal(s, mb_refused_for_fault(fault), text);
	linger_in_clear(s);
}

unsigned int mb_sessions_recheck(struct mb_sessions *all)
{
	struct mb_err err = { 0 };
	unsigned int n = 0;

	for (struct mb_session *s = all->first, *next; s; s = next) {
		next = s->next;
		if (!s->bev || !s->tls || !s->shaken || s->state == CLOSING ||
		    mb_tls_recheck(all->config.tls, s->tls, &err) == 0)
			continue;
		n++;
		mb_fail_in(&err, -EACCES, "its certificate, by the files read now");
		mb_refusals_count(all->config.refusals, MB_FOR_REVOKED);
		mb_contacts_refused(all->config.contacts, s->wanted, s->from, MB_REFUSED_RIGHT,
				    MB_FOR_REVOKED, err.text, mb_unix_ns());
		mb_session_say(s, true, "cut: %s", err.text);
		/* What is under way is not acked any more. */
		if (s->state == BUSY)
			mb_session_hang_up(s);
		else
			mb_session_turn_away(s, MB_REFUSED_RIGHT, err.text, 0);
	}
	return n;
}
