// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/util_load.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/base/backoff.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/frame.h"
#include "tests/bench/util_bench.h"

enum { REPLY_RAW_MAX = 65536 };

enum state { AWAY, GREETING, READY, SENT, DONE };

struct agent {
	struct load *load;
	struct bufferevent *bev; /* NULL: away */
	struct event *timer;	 /* to connect again, or for the next epoch */
	enum state state;
	struct bench_vm vm;
	struct mb_hello hello;
	struct mb_fingerprint base, sent; /* acked; in flight, or waiting to be sent again */
	uint64_t base_epoch, sent_epoch;  /* 0: none */
	uint64_t sent_ns;		  /* for the first time */
	uint64_t lost_ns;		  /* when it lost the server; 0: it has it */
	struct mb_backoff backoff;
	uint32_t changed;		  /* pages, in what is sent */
	bool done;			  /* has all its epochs */
	bool verifying;
	char name[24];
};

struct load {
	struct load_config config;
	struct agent *agents;
	struct load_counts counts;
	struct load_times acks, ways_back;
	struct mb_buf frame, raw;
	uint64_t jitter;
	uint32_t n_done;
	bool ending;
};

/* --- time ------------------------------------------------------------------------------------- */

static void wait_ns(struct agent *a, uint64_t ns)
{
	const struct timeval t = { .tv_sec = (time_t)(ns / 1000000000),
				   .tv_usec = (suseconds_t)(ns % 1000000000 / 1000) };

	event_add(a->timer, &t);
}

/* Half to all of it, so that they do not come in step. */
static uint64_t spread(struct load *l, uint64_t ns)
{
	l->jitter = mb_mix64(l->jitter + 0x9e3779b97f4a7c15u);
	return ns / 2 + l->jitter % (ns / 2 + 1);
}

static void record(struct load_times *t, uint64_t ns)
{
	if (t->n == t->cap) {
		struct mb_err err = { 0 };
		void *p;

		t->cap = t->cap ? 2 * t->cap : 65536;
		p = realloc(t->us, t->cap * sizeof(*t->us));
		bench_must(p ? 0 : mb_fail_mem(&err, "times"), &err);
		t->us = p;
	}
	t->us[t->n++] = (uint32_t)MB_MIN(ns / 1000, (uint64_t)UINT32_MAX);
}

/* --- away and back ---------------------------------------------------------------------------- */

static void go_away_for(struct agent *a, uint64_t pause_ns)
{
	struct load *l = a->load;

	if (a->bev)
		bufferevent_free(a->bev);
	a->bev = NULL;
	a->state = AWAY;
	if (!a->lost_ns)
		a->lost_ns = mb_now_ns();
	l->jitter = mb_mix64(l->jitter + 0x9e3779b97f4a7c15u);
	wait_ns(a, mb_backoff_next(&a->backoff, pause_ns, l->jitter));
}

static void go_away(struct agent *a)
{
	go_away_for(a, 0);
}

static void lose_connection(struct agent *a)
{
	a->load->counts.losses_of_connection += a->state != AWAY;
	go_away(a);
}

static void on_read(struct bufferevent *bev, void *ctx);

static void send_message(struct agent *a, const struct mb_msg *msg)
{
	struct load *l = a->load;
	struct mb_err err = { 0 };

	mb_buf_clear(&l->frame);
	bench_must(mb_msg_to_frame(msg, &l->frame, &err), &err);
	bufferevent_write(a->bev, l->frame.data, l->frame.len);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		struct mb_msg msg = { .type = MB_MSG_HELLO, .hello = a->hello };

		a->load->counts.connects++;
		a->state = GREETING;
		send_message(a, &msg);
		return;
	}
	ERR_clear_error();
	lose_connection(a);
}

static void connect_agent(struct agent *a)
{
	const struct load_config *c = &a->load->config;
	int fd = socket(c->address.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct ssl_st *ssl = NULL;

	if (fd < 0) {
		go_away(a);
		return;
	}
	if (connect(fd, &c->address.sa, c->address.len) < 0 && errno != EINPROGRESS) {
		close(fd);
		go_away(a);
		return;
	}
	mb_socket_tune(fd, &c->address.sa);
	if (c->tls)
		ssl = mb_tls_connect(c->tls, fd, c->tls_name);
	if (ssl)
		a->bev = bufferevent_openssl_socket_new(
			c->base, fd, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	else if (!c->tls)
		a->bev = bufferevent_socket_new(c->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!a->bev) {
		SSL_free(ssl);
		close(fd);
		go_away(a);
		return;
	}
	bufferevent_setcb(a->bev, on_read, NULL, on_event, a);
	bufferevent_enable(a->bev, EV_READ | EV_WRITE);
	/* In clear the first write finds out whether it is connected. */
	if (!c->tls)
		on_event(a->bev, BEV_EVENT_CONNECTED, a);
}

/* --- epochs ----------------------------------------------------------------------------------- */

/*
 * Every tenth epoch, with the flaws that trackers have: most VMs' miss nothing of what they follow,
 * every twentieth's some of its files', every hundredth doubts itself.
 */
static bool make_audit(const struct agent *a, struct mb_audit *ret)
{
	uint64_t n = a->changed;

	if (a->sent_epoch % 10 || !n)
		return false;
	*ret = (struct mb_audit){ .audits = 1,
				  .doubted = a->vm.id % 100 == 7,
				  .follows = 1u << MB_CLASS_ANON | 1u << MB_CLASS_FILE,
				  .flagged = n + n / 8,
				  .flagged_changed = n - n / 10 };
	ret->changed[MB_CLASS_ANON] = n - n / 4;
	ret->changed[MB_CLASS_FILE] = n / 4 - n / 10;
	ret->changed[MB_CLASS_SLAB] = n / 10;
	ret->stale[MB_CLASS_SLAB] = n / 20;
	if (a->vm.id % 20 == 3)
		ret->stale[MB_CLASS_FILE] = n / (8 + a->vm.id / 20 % 40);
	return true;
}

static void send_sent(struct agent *a)
{
	struct load *l = a->load;
	struct mb_audit audit;
	bool audited = make_audit(a, &audit);

	bench_delta_frame(a->base_epoch ? &a->base : NULL, a->base_epoch, &a->sent, a->sent_epoch,
			  a->changed, audited ? &audit : NULL, &l->frame);
	l->counts.bytes_sent += l->frame.len;
	a->state = SENT;
	bufferevent_write(a->bev, l->frame.data, l->frame.len);
}

/*
 * A day of what the literature has of idle and of loaded VMs: 2 % by night, 8 % from 8 to 18 o'clock
 * of one of three time zones, and at every twelfth epoch a job that rewrites a quarter.
 */
static uint32_t of_the_hour(const struct agent *a)
{
	const struct load_config *c = &a->load->config;
	uint64_t hour = (a->base_epoch * c->epoch_ns / 3600000000000 + a->vm.id % 3 * 8) % 24;
	uint32_t permille = (a->vm.id + a->base_epoch) % 12 == 0 ? 250 :
			    hour >= 8 && hour < 18		 ? 80 :
								   20;

	return (uint32_t)((uint64_t)c->n_pages * permille / 1000);
}

static void next_epoch(struct agent *a)
{
	a->changed = a->load->config.by_the_hour ? of_the_hour(a) : a->load->config.changed_pages;
	if (a->base_epoch)
		bench_vm_change(&a->vm, a->changed);
	bench_vm_fingerprint(&a->vm, &a->sent);
	a->sent_epoch = a->base_epoch + 1;
	a->sent_ns = mb_now_ns();
	send_sent(a);
}

static void take_over_sent(struct agent *a)
{
	record(&a->load->acks, mb_now_ns() - a->sent_ns);
	mb_backoff_reset(&a->backoff);
	mb_fingerprint_deinit(&a->base);
	a->base = a->sent;
	a->base_epoch = a->sent_epoch;
	a->sent = (struct mb_fingerprint){ 0 };
	a->sent_epoch = 0;
	a->load->counts.acks++;
}

static void finish(struct agent *a)
{
	struct load *l = a->load;

	bufferevent_free(a->bev);
	a->bev = NULL;
	a->state = DONE;
	l->counts.verified++;
	if (l->counts.verified == l->config.n_agents)
		event_base_loopbreak(l->config.base);
}

/* The last one to have all its epochs ends the run for all. */
static bool is_done(struct agent *a)
{
	struct load *l = a->load;

	if (!l->config.max_epochs || a->base_epoch < l->config.max_epochs)
		return false;
	l->n_done += !a->done;
	a->done = true;
	if (l->n_done == l->config.n_agents && !l->ending)
		load_verify(l);
	return true;
}

/* Nothing is in flight: the next epoch, soon; or, at the end, away and back. */
static void rest(struct agent *a)
{
	a->state = READY;
	if (a->load->ending) {
		a->verifying = true;
		go_away(a);
	} else if (!is_done(a)) {
		wait_ns(a, spread(a->load, a->load->config.pause_ns));
	}
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	if (a->state == AWAY)
		connect_agent(a);
	else if (a->state == READY && a->load->ending)
		rest(a);
	else if (a->state == READY)
		next_epoch(a);
}

/* --- what the server says --------------------------------------------------------------------- */

static void lost(struct agent *a, const struct mb_welcome *w)
{
	a->load->counts.lost_acks++;
	fprintf(stderr,
		"LOST: %s was acked epoch %" PRIu64 " of %" PRIu64
		" pages, server has epoch %" PRIu64 " of %" PRIu64 "\n",
		a->name, a->base_epoch, a->base.n_pages, w->epoch, w->fingerprint.pages);
	/* From a snapshot on, so that each loss counts once. */
	mb_fingerprint_deinit(&a->base);
	mb_fingerprint_deinit(&a->sent);
	a->base_epoch = a->sent_epoch = 0;
}

static void take_welcome(struct agent *a, const struct mb_welcome *w)
{
	struct mb_fingerprint_id base = mb_fingerprint_id(&a->base);
	struct mb_fingerprint_id sent = mb_fingerprint_id(&a->sent);
	bool ours = memcmp(&w->boot, &a->hello.boot, sizeof(w->boot)) == 0 || !a->base_epoch;

	if (a->lost_ns && a->base_epoch)
		record(&a->load->ways_back, mb_now_ns() - a->lost_ns);
	a->lost_ns = 0;
	if (!a->sent_epoch)
		mb_backoff_reset(&a->backoff);
	if (ours && a->sent_epoch && w->epoch == a->sent_epoch &&
	    mb_fingerprint_id_equal(&w->fingerprint, &sent)) {
		a->load->counts.acks_in_welcome++;
		take_over_sent(a);
	} else if (a->base_epoch && (!ours || w->epoch != a->base_epoch ||
				     !mb_fingerprint_id_equal(&w->fingerprint, &base))) {
		lost(a, w);
	} else if (a->verifying && !a->sent_epoch) {
		finish(a);
		return;
	}
	if (a->sent_epoch)
		send_sent(a);
	else
		rest(a);
}

static void take_ack(struct agent *a, const struct mb_ack *ack)
{
	struct mb_fingerprint_id sent = mb_fingerprint_id(&a->sent);
	struct mb_err err = { 0 };

	if (a->state != SENT || ack->epoch != a->sent_epoch ||
	    !mb_fingerprint_id_equal(&ack->fingerprint, &sent))
		bench_must(mb_fail(&err, EPROTO, "%s: an ack of what was not sent", a->name), &err);
	take_over_sent(a);
	rest(a);
}

static void take_message(struct agent *a, const struct mb_msg *msg)
{
	struct mb_err err = { 0 };

	switch (msg->type) {
	case MB_MSG_WELCOME:
		take_welcome(a, &msg->welcome);
		return;
	case MB_MSG_ACK:
		take_ack(a, &msg->ack);
		return;
	case MB_MSG_RESYNC:
		a->load->counts.resyncs++;
		fprintf(stderr, "RESYNC: %s: %s\n", a->name, msg->resync_reason);
		mb_fingerprint_deinit(&a->base);
		a->base_epoch = 0;
		send_sent(a);
		return;
	case MB_MSG_REFUSAL:
		if (msg->refusal.code != MB_REFUSED_BUSY && msg->refusal.code != MB_REFUSED_SERVER)
			bench_must(mb_fail(&err, EPERM, "%s: refused: %s", a->name,
					   msg->refusal.reason),
				   &err);
		a->load->counts.refused_for_now++;
		go_away_for(a, msg->refusal.retry_after_ms * 1000000ull);
		return;
	default:
		bench_must(mb_fail(&err, EPROTO, "%s: a message out of turn", a->name), &err);
	}
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct agent *a = ctx;

	/* A message may end the connection. */
	while (a->bev == bev) {
		mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
		struct evbuffer *in = bufferevent_get_input(bev);
		uint8_t header[MB_FRAME_HEADER_BYTES];
		struct mb_frame_header h;
		struct mb_err err = { 0 };
		struct mb_slice frame;

		if (evbuffer_copyout(in, header, sizeof(header)) < (ev_ssize_t)sizeof(header))
			return;
		bench_must(mb_frame_header_decode(header, REPLY_RAW_MAX, &h, &err), &err);
		frame.len = sizeof(header) + h.payload_bytes;
		if (evbuffer_get_length(in) < frame.len)
			return;
		frame.data = evbuffer_pullup(in, (ev_ssize_t)frame.len);
		bench_must(mb_frame_take(&frame, REPLY_RAW_MAX, &a->load->raw, &err), &err);
		bench_must(mb_msg_unpack(mb_buf_slice(&a->load->raw), &msg, &err), &err);
		evbuffer_drain(in, sizeof(header) + h.payload_bytes);
		take_message(a, &msg);
	}
}

/* --- the outside ------------------------------------------------------------------------------ */

struct load *load_start(const struct load_config *config)
{
	struct load *l = bench_alloc(sizeof(*l));
	struct mb_err err = { 0 };

	l->config = *config;
	l->agents = bench_alloc(config->n_agents * sizeof(*l->agents));
	for (uint32_t i = 0; i < config->n_agents; i++) {
		struct agent *a = &l->agents[i];

		a->load = l;
		snprintf(a->name, sizeof(a->name), "load%05" PRIu32, i);
		bench_vm_init(&a->vm, i, config->n_pages);
		bench_hello(a->name, config->boot, config->n_pages, &a->hello);
		a->timer = evtimer_new(config->base, on_timer, a);
		bench_must(a->timer ? 0 : mb_fail_mem(&err, "an agent"), &err);
		a->backoff = (struct mb_backoff){ .min_ns = MB_RETRY_MIN_NS, .max_ns = MB_RETRY_MAX_NS };
		mb_backoff_reset(&a->backoff);
		wait_ns(a, spread(l, MB_RETRY_MIN_NS));
	}
	return l;
}

const struct load_counts *load_counts(const struct load *l)
{
	return &l->counts;
}

const struct load_times *load_acks(const struct load *l)
{
	return &l->acks;
}

const struct load_times *load_ways_back(const struct load *l)
{
	return &l->ways_back;
}

void load_verify(struct load *l)
{
	l->ending = true;
	/* Who is between two epochs has nothing that would wake it. */
	for (uint32_t i = 0; i < l->config.n_agents; i++)
		if (l->agents[i].state == READY)
			rest(&l->agents[i]);
}

void load_free(struct load *l)
{
	for (uint32_t i = 0; i < l->config.n_agents; i++) {
		struct agent *a = &l->agents[i];

		if (a->bev)
			bufferevent_free(a->bev);
		event_free(a->timer);
		bench_vm_deinit(&a->vm);
		mb_fingerprint_deinit(&a->base);
		mb_fingerprint_deinit(&a->sent);
	}
	mb_buf_deinit(&l->frame);
	mb_buf_deinit(&l->raw);
	free(l->acks.us);
	free(l->ways_back.us);
	free(l->agents);
	free(l);
}
