// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/uplink_inside.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/cleanup.h"
#include "proto/frame.h"

/* A server may ask for a pause, but not for ever. */
enum { PAUSE_MAX_MS = 3600000 };

/* --- what is held ----------------------------------------------------------------------------- */

void mb_uplink_drop(struct mb_held *h)
{
	mb_fingerprint_deinit(&h->fp);
	mb_fingerprint_deinit(&h->whole);
	*h = (struct mb_held){ 0 };
}

/* `older` was never seen by the server: its passes count with those of what replaces it. */
static void add_passes(struct mb_held *h, const struct mb_held *older)
{
	struct mb_pass_info *to = &h->info;
	struct mb_audit audit = older->info.audit;

	/* In this order: the newer one says what is followed. */
	mb_audit_add(&audit, &to->audit);
	to->audit = audit;
	to->duration_ns += older->info.duration_ns;
	to->cpu_ns += older->info.cpu_ns;
	to->pages_read += older->info.pages_read;
	to->pages_changed += older->info.pages_changed;
	to->epochs += older->info.epochs;
	to->guest.swapped_bytes += to->guest.swapped_ns ? older->info.guest.swapped_bytes : 0;
	to->guest.swapped_ns += to->guest.swapped_ns ? older->info.guest.swapped_ns : 0;
	mb_who_add(&h->who, &older->who);
}

void mb_uplink_offer(struct mb_uplink *u, struct mb_epoch *epoch)
{
	struct mb_held h = { .fp = epoch->fingerprint,
			     .epoch = ++u->last_epoch,
			     .info = epoch->info,
			     .who = epoch->who };

	if (u->newest.epoch)
		add_passes(&h, &u->newest);
	mb_uplink_drop(&u->newest);
	u->newest = h;
	epoch->fingerprint = (struct mb_fingerprint){ 0 };
}

bool mb_uplink_idle(const struct mb_uplink *u)
{
	return !u->sent.epoch && !u->newest.epoch;
}

/* What was in flight was not acked: it waits again, unless something newer does. */
static void unsend(struct mb_uplink *u)
{
	if (!u->sent.epoch)
		return;
	if (u->newest.epoch) {
		add_passes(&u->newest, &u->sent);
		mb_uplink_drop(&u->sent);
	} else {
		u->newest = u->sent;
		u->sent = (struct mb_held){ 0 };
		/* The next server may want all of it. */
		if (u->newest.whole.digests) {
			mb_fingerprint_deinit(&u->newest.fp);
			u->newest.fp = u->newest.whole;
			u->newest.whole = (struct mb_fingerprint){ 0 };
			u->newest.sample = (struct mb_sample_of){ 0 };
		}
	}
}

static void acked(struct mb_uplink *u)
{
	uint64_t epoch = u->sent.epoch;

	mb_uplink_drop(&u->base);
	u->base = u->sent;
	mb_fingerprint_deinit(&u->base.whole);
	/* The server has counted it: whatever else is sent of this epoch, not that. */
	u->base.who = (struct mb_who){ 0 };
	u->sent = (struct mb_held){ 0 };
	u->state = READY;
	mb_backoff_reset(&u->backoff);
	u->last_failure[0] = 0;
	u->config.acked(u->config.ctx, epoch, u->sent_bytes);
}

/* --- messages --------------------------------------------------------------------------------- */

static int pack_delta(struct mb_uplink *u, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf fields = { 0 }, who = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };
	int r;

	msg.delta.base_epoch = u->base.epoch;
	msg.delta.epoch = u->newest.epoch;
	msg.delta.pass = u->newest.info;
	msg.delta.sample = u->newest.sample;
	mb_who_encode(&u->newest.who, u->config.who_rows, &who);
	msg.delta.pass.who = mb_buf_slice(&who);
	mb_buf_clear(&u->out);
	u->out_at = 0;
	if ((r = mb_buf_check(&who, "who dirtied frames", err)) < 0 ||
	    (r = mb_delta_make(&u->base.fp, &u->newest.fp, &delta, err)) < 0 ||
	    (r = mb_delta_encode(&delta,
				 mb_small_bits(&u->newest.sample, u->config.hello.identity.bits),
				 &fields, &msg.delta.fields, err)) < 0 ||
	    (r = mb_msg_pack(&msg, &raw, err)) < 0)
		return r;
	if (raw.len > u->max_raw_bytes)
		return mb_fail(err, EMSGSIZE,
			       "epoch %" PRIu64 " takes %zu bytes; the server accepts %" PRIu32,
			       u->newest.epoch, raw.len, u->max_raw_bytes);
	return mb_frame_encode_flags(mb_buf_slice(&raw), mb_msg_must_understand(&msg), &u->out,
				     err);
}

/* Makes it as small as was agreed. One that is sent again is that already. */
static int make_newest_small(struct mb_uplink *u, struct mb_err *err)
{
	struct mb_held *h = &u->newest;
	struct mb_fingerprint small;
	struct mb_sample_of of;
	int r;

	if (mb_small_alike(&h->sample, &u->agreed))
		return 0;
	r = mb_small_make(&h->fp, &u->config.hello.identity, &u->agreed, &small, &of, err);
	if (r < 0)
		return r;
	h->sample = of;
	h->whole = h->fp;
	h->fp = small;
	return 0;
}

int mb_uplink_send_newest(struct mb_uplink *u, struct mb_err *err)
{
	int r;

	if ((r = make_newest_small(u, err)) < 0 || (r = pack_delta(u, err)) < 0)
		return r;
	u->sent_bytes = u->out.len;
	u->sent = u->newest;
	u->newest = (struct mb_held){ 0 };
	u->state = SENT;
	mb_uplink_wait_for_answer(u, u->config.ack_wait_ns);
	return 0;
}

/* It must be one that we have offered. */
static bool agree(struct mb_uplink *u, const struct mb_welcome *w)
{
	const struct mb_hello *h = &u->config.hello;
	char why[80];

	if (w->version >= h->version && w->version <= MB_MAX(h->version, h->newest_version))
		return true;
	snprintf(why, sizeof(why), "server wants to speak protocol version %" PRIu32, w->version);
	mb_uplink_go_away(u, why, 0);
	return false;
}

/* What was acked and is gone at the server is in what we send next, if there is a next. */
static void send_base_again(struct mb_uplink *u)
{
	if (!u->newest.epoch && u->base.epoch)
		u->newest = (struct mb_held){ .fp = u->base.fp,
					      .sample = u->base.sample,
					      .epoch = u->base.epoch,
					      .info = u->base.info };
	else
		mb_fingerprint_deinit(&u->base.fp);
	u->base = (struct mb_held){ 0 };
	/* It has not what a server wants that agrees to something else: the next epoch will. */
	if (!mb_small_is_all(&u->newest.sample) && !mb_small_alike(&u->newest.sample, &u->agreed)) {
		char text[MB_SMALL_TEXT];

		mb_small_text(&u->newest.sample, text);
		mb_uplink_say(u, MB_LOG_INFO, "%s: of epoch %" PRIu64 " only %s is held here",
			      u->config.uri, u->newest.epoch, text);
		mb_uplink_drop(&u->newest);
	}
}

static void take_welcome(struct mb_uplink *u, const struct mb_welcome *w)
{
	struct mb_fingerprint_id id = mb_fingerprint_id(&u->base.fp);
	bool same_boot = memcmp(&w->boot, &u->config.hello.boot, sizeof(w->boot)) == 0;
	const struct mb_sample_of offered = { .shift = u->config.hello.sample_shift,
					      .cut_bits = u->config.hello.cut_bits };
	const struct mb_sample_of agreed = { .shift = w->sample_shift, .cut_bits = w->cut_bits };

	if (!mb_small_is_all(&agreed) && !mb_small_alike(&agreed, &offered)) {
		mb_uplink_go_away(u, "server agreed to what was not offered", 0);
		return;
	}
	if (!mb_small_alike(&agreed, &offered)) {
		char text[MB_SMALL_TEXT];

		mb_small_text(&offered, text);
		mb_uplink_say(u, MB_LOG_WARNING, "%s: server does not take %s: it gets all",
			      u->config.uri, text);
	}
	u->agreed = agreed;
	u->greeted = true;
	/* With something to send, the server has yet to show that it takes it. */
	if (mb_uplink_idle(u))
		mb_backoff_reset(&u->backoff);
	u->max_raw_bytes = w->max_frame_bytes;
	u->state = READY;
	if (same_boot && w->epoch == u->base.epoch && mb_small_alike(&u->base.sample, &u->agreed) &&
	    mb_fingerprint_id_equal(&w->fingerprint, &id)) {
		mb_uplink_say(u, MB_LOG_INFO, "%s: connected; server holds epoch %" PRIu64,
			      u->config.uri, w->epoch);
		unsend(u);
		return;
	}
	/* What was in flight may have arrived, and only its ack was lost. */
	id = mb_fingerprint_id(&u->sent.fp);
	if (same_boot && u->sent.epoch && w->epoch == u->sent.epoch &&
	    mb_small_alike(&u->sent.sample, &u->agreed) &&
	    mb_fingerprint_id_equal(&w->fingerprint, &id)) {
		mb_uplink_say(u, MB_LOG_INFO, "%s: connected; server already has epoch %" PRIu64,
			      u->config.uri, w->epoch);
		acked(u);
		return;
	}
	unsend(u);
	if (u->base.epoch || w->epoch)
		mb_uplink_say(u, MB_LOG_INFO,
			      "%s: connected; server holds %s epoch %" PRIu64 ", not our %" PRIu64
			      ": sending a snapshot",
			      u->config.uri, same_boot ? "our" : "another source's", w->epoch,
			      u->base.epoch);
	else
		mb_uplink_say(u, MB_LOG_INFO, "%s: connected", u->config.uri);
	send_base_again(u);
}

static void take_ack(struct mb_uplink *u, const struct mb_ack *a)
{
	struct mb_fingerprint_id id = mb_fingerprint_id(&u->sent.fp);

	if (u->state != SENT || a->epoch != u->sent.epoch)
		mb_uplink_go_away(u, "server acked an epoch that was not sent", 0);
	else if (!mb_fingerprint_id_equal(&a->fingerprint, &id))
		mb_uplink_go_away(u, "server acked another fingerprint than was sent", 0);
	else
		acked(u);
}

static int take_refusal(struct mb_uplink *u, const struct mb_refusal_msg *m, struct mb_err *err)
{
	char why[500];

	/* On a serial line it was perhaps noise that the server did not understand. */
	if (m->code == MB_REFUSED_BUSY || m->code == MB_REFUSED_SERVER ||
	    (m->code == MB_REFUSED_MESSAGE && u->line.serial)) {
		snprintf(why, sizeof(why), "server refused for now: %s", m->reason);
		mb_uplink_go_away(u, why, MB_MIN(m->retry_after_ms, PAUSE_MAX_MS) * 1000000ull);
		return 0;
	}
	return mb_fail(err, EPERM, "server refused this agent: %s", m->reason);
}

int mb_uplink_take(struct mb_uplink *u, const struct mb_msg *msg, struct mb_err *err)
{
	switch (msg->type) {
	case MB_MSG_WELCOME:
		if (u->state == GREETING) {
			if (agree(u, &msg->welcome))
				take_welcome(u, &msg->welcome);
			return 0;
		}
		break;
	case MB_MSG_ACK:
		take_ack(u, &msg->ack);
		return 0;
	case MB_MSG_RESYNC:
		if (u->state == SENT && !u->base.epoch) {
			mb_uplink_go_away(u, "server asked for a snapshot, but got one", 0);
			return 0;
		}
		if (u->state == SENT) {
			mb_uplink_say(u, MB_LOG_WARNING, "%s: server asks for a snapshot: %s",
				      u->config.uri, msg->resync_reason);
			unsend(u);
			mb_uplink_drop(&u->base);
			u->state = READY;
			return 0;
		}
		break;
	case MB_MSG_REFUSAL:
		return take_refusal(u, &msg->refusal, err);
	default:
		break;
	}
	mb_uplink_go_away(u, "server sent a message out of turn", 0);
	return 0;
}
