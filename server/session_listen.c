// SPDX-License-Identifier: GPL-2.0-or-later
/* Listening and accepting; the life of all sessions together. */
#include "server/session_inside.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/socket_file.h"

enum {
	ACCEPT_PAUSE_S = 1,
	TOO_MANY_PAUSE_MS = 30000,
	HANDSHAKES_DEFAULT = 32,
	BACKLOG = 4096, /* a fleet that waits; the kernel's somaxconn may allow less */
};

static bool is_tcp(const struct sockaddr *a)
{
	return a->sa_family == AF_INET || a->sa_family == AF_INET6;
}

/* Whom to listen to just now. */
static void choose_listeners(struct mb_sessions *all)
{
	bool full = all->n_paced >= all->config.max_handshakes;

	for (int i = 0; i < all->n_listeners; i++) {
		if (all->failing || (full && all->is_tls[i]))
			evconnlistener_disable(all->listeners[i]);
		else
			evconnlistener_enable(all->listeners[i]);
	}
}

static void begin_pace(struct mb_session *s)
{
	s->paced = true;
	if (++s->all->n_paced == s->all->config.max_handshakes)
		choose_listeners(s->all);
}

void mb_session_end_pace(struct mb_session *s)
{
	if (!s->paced)
		return;
	s->paced = false;
	if (s->all->n_paced-- == s->all->config.max_handshakes)
		choose_listeners(s->all);
}

static struct bufferevent *new_bufferevent(struct mb_sessions *all, evutil_socket_t fd,
					   const struct sockaddr *peer, struct ssl_st **ret_tls)
{
	struct bufferevent *bev;
	struct ssl_st *tls;

	if (!all->config.tls || !is_tcp(peer))
		return bufferevent_socket_new(all->base, fd, BEV_OPT_CLOSE_ON_FREE);
	tls = mb_tls_accept(all->config.tls);
	if (!tls)
		return NULL;
	bev = bufferevent_openssl_socket_new(all->base, fd, tls, BUFFEREVENT_SSL_ACCEPTING,
					     BEV_OPT_CLOSE_ON_FREE);
	if (bev)
		*ret_tls = tls;
	else
		SSL_free(tls);
	return bev;
}

/* Without a session: told if it can be told at once, and never waited for. */
static void turn_away(struct mb_sessions *all, evutil_socket_t fd, const struct sockaddr *address,
		      const char *peer, enum mb_refused_for why, const char *reason)
{
	struct mb_msg msg = { .type = MB_MSG_REFUSAL,
			      .refusal = { MB_REFUSED_SERVER, reason, TOO_MANY_PAUSE_MS } };
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };

	mb_sessions_count_refusal(all, peer, why, reason);
	if ((!all->config.tls || !is_tcp(address)) && mb_msg_to_frame(&msg, &frame, NULL) == 0 &&
	    send(fd, frame.data, frame.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		shutdown(fd, SHUT_WR);
	close(fd);
}

static struct mb_session *new_session(struct mb_sessions *all, evutil_socket_t fd,
				      const struct sockaddr *address)
{
	struct mb_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->deadline = evtimer_new(all->base, mb_session_on_deadline, s);
	if (s->deadline)
		s->bev = new_bufferevent(all, fd, address, &s->tls);
	if (s->bev)
		return s;
	if (s->deadline)
		event_free(s->deadline);
	free(s);
	return NULL;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *address,
		      int len, void *ctx)
{
	struct mb_sessions *all = ctx;
	const struct mb_session_waits *waits = &all->config.waits;
	const struct timeval write_wait = { .tv_sec = waits->write_ms / 1000,
					    .tv_usec = waits->write_ms % 1000 * 1000 };
	struct mb_address from = { .len = (socklen_t)len };
	char name[MB_PEER_NAME_MAX];
	bool local = mb_peer_name(fd, address, (socklen_t)len, name, sizeof(name));
	struct mb_session *s;
	struct mb_peer *peer;
	struct mb_err err = { 0 };

	(void)l;
	if (all->n >= all->config.max_sessions) {
		turn_away(all, fd, address, name, MB_FOR_TOO_MANY, "too many connections");
		return;
	}
	if (mb_peers_join(all->peers, name, local, mb_now_ns(), &peer, &err) < 0) {
		turn_away(all, fd, address, name, MB_FOR_QUOTA + MB_QUOTA_SESSIONS, err.text);
		return;
	}
	s = new_session(all, fd, address);
	if (!s) {
		mb_peers_leave(all->peers, peer, mb_now_ns());
		turn_away(all, fd, address, name, MB_FOR_TOO_MANY, "out of memory");
		return;
	}
	s->peer = peer;
	s->local = address->sa_family == AF_UNIX;
	memcpy(&from.storage, address, MB_MIN((size_t)len, sizeof(from.storage)));
	if (s->local)
		snprintf(s->name, sizeof(s->name), "(%.100s)", name);
	else
		mb_uri_format(&from, s->name, sizeof(s->name));
	snprintf(s->from, sizeof(s->from), "%s", s->name);
	mb_socket_tune(fd, address);
	s->all = all;
	s->id = ++all->last_id;
	s->next = all->first;
	s->link = &all->first;
	if (s->next)
		s->next->link = &s->next;
	all->first = s;
	all->n++;
	bufferevent_setcb(s->bev, mb_session_on_read, mb_session_on_written, mb_session_on_event,
			  s);
	mb_session_read_ahead(s, 0, AHEAD_BYTES);
	bufferevent_set_timeouts(s->bev, NULL, &write_wait);
	if (s->tls)
		begin_pace(s);
	mb_session_set_deadline(s, s->tls ? MB_MIN(waits->pace_ms, waits->handshake_ms) :
					    waits->hello_ms);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
}

static void on_accept_error(struct evconnlistener *l, void *ctx)
{
	struct mb_sessions *all = ctx;
	const struct timeval pause = { .tv_sec = ACCEPT_PAUSE_S };
	char text[200];

	snprintf(text, sizeof(text), "accept: %s; no new agents for %d s",
		 evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()), ACCEPT_PAUSE_S);
	all->config.say(all->config.ctx, true, text);
	/* Out of descriptors or memory: the next try would fail at once, and the next, ... */
	(void)l;
	all->failing = true;
	choose_listeners(all);
	event_add(all->accept_again, &pause);
}

static void on_accept_again(evutil_socket_t fd, short what, void *ctx)
{
	struct mb_sessions *all = ctx;

	(void)fd;
	(void)what;
	all->failing = false;
	choose_listeners(all);
}

int mb_sessions_create(struct event_base *base, struct mb_fleet *fleet, struct mb_ingest *ingest,
		       const struct mb_sessions_config *config, struct mb_sessions **ret,
		       struct mb_err *err)
{
	struct mb_sessions *s = calloc(1, sizeof(*s));

	if (!s)
		return mb_fail_mem(err, "sessions");
	s->base = base;
	s->fleet = fleet;
	s->ingest = ingest;
	s->config = *config;
	if (!s->config.waits.hello_ms)
		s->config.waits = mb_session_waits_default;
	if (!s->config.max_handshakes)
		s->config.max_handshakes = HANDSHAKES_DEFAULT;
	TAILQ_INIT(&s->waiting);
	if (mb_peers_create(&config->quota_local, &config->quota, &s->peers, err) < 0) {
		mb_sessions_destroy(s);
		return -ENOMEM;
	}
	s->results = event_new(base, mb_ingest_fd(ingest), EV_READ | EV_PERSIST,
			       mb_sessions_on_results, s);
	s->accept_again = evtimer_new(base, on_accept_again, s);
	if (!s->results || !s->accept_again || event_add(s->results, NULL) < 0) {
		mb_sessions_destroy(s);
		return mb_fail_mem(err, "sessions");
	}
	*ret = s;
	return 0;
}

struct mb_peers *mb_sessions_peers(struct mb_sessions *s)
{
	return s->peers;
}

void mb_sessions_destroy(struct mb_sessions *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n_listeners; i++) {
		evconnlistener_free(s->listeners[i]);
		if (s->socket_files[i])
			unlink(s->socket_files[i]);
		free(s->socket_files[i]);
	}
	while (s->first) {
		struct mb_session *gone = s->first;

		if (gone->bev) {
			bufferevent_free(gone->bev);
			event_free(gone->deadline);
		}
		mb_session_free(gone);
	}
	if (s->results)
		event_free(s->results);
	if (s->accept_again)
		event_free(s->accept_again);
	mb_peers_destroy(s->peers);
	free(s);
}

int mb_sessions_listen(struct mb_sessions *s, const struct mb_address *address,
		       struct mb_address *ret_bound, struct mb_err *err)
{
	int i = s->n_listeners, r = mb_socket_file_clear(address, err);
	mode_t old;

	if (r < 0)
		return r;
	if (address->sa.sa_family == MB_AF_SERIAL)
		return mb_fail(
			err, EINVAL,
			"a serial line ends at a unix: address on this side (QEMU's -chardev "
			"socket,path=...,reconnect=1)");
	if (is_tcp(&address->sa) && !mb_address_is_local(address) && !s->config.tls &&
	    !s->config.insecure)
		return mb_fail(
			err, EPERM,
			"other machines can reach it: needs TLS (--tls-cert; mbctl pki makes "
			"certificates), or --insecure where a tunnel does that");
	if (i == LISTENERS_MAX)
		return mb_fail(err, ENOSPC, "more than %d addresses to listen on", LISTENERS_MAX);
	old = umask(
		0177); /* a socket file is for this user's agents, unless its folder says more */
	s->listeners[i] = evconnlistener_new_bind(s->base, on_accept, s,
						  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
							  LEV_OPT_REUSEABLE,
						  BACKLOG, &address->sa, (int)address->len);
	r = errno;
	umask(old);
	if (!s->listeners[i]) {
		char text[200], why[200];

		mb_uri_format(address, text, sizeof(text));
		mb_address_explain(address, r, why, sizeof(why));
		return mb_fail(err, r, "cannot listen on %s: %s", text, why);
	}
	evconnlistener_set_error_cb(s->listeners[i], on_accept_error);
	*ret_bound = (struct mb_address){ .len = sizeof(ret_bound->storage) };
	getsockname(evconnlistener_get_fd(s->listeners[i]), &ret_bound->sa, &ret_bound->len);
	if (address->sa.sa_family == AF_UNIX)
		s->socket_files[i] = strdup(address->un.sun_path);
	s->is_tls[i] = s->config.tls && is_tcp(&address->sa);
	s->n_listeners++;
	return 0;
}
