// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/msg_check.h"

#include <inttypes.h>

#include "proto/base/cleanup.h"
#include "proto/cut.h"
#include "proto/who.h"

/* --- names, kinds and versions ---------------------------------------------------------------- */

int mb_name_check(const char *name, const char *what, struct mb_err *err)
{
	size_t n = strlen(name);

	if (!n || n >= MB_NAME_MAX)
		return mb_fail(err, EINVAL, "%s name of %zu bytes; 1 to %d are allowed", what, n,
			       MB_NAME_MAX - 1);
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			return mb_fail(err, EINVAL,
				       "%s name has a byte that is not printable ASCII (0x%02x)",
				       what, (unsigned char)*p);
	return 0;
}

uint32_t mb_version_common(uint32_t oldest, uint32_t newest, uint32_t our_oldest,
			   uint32_t our_newest)
{
	uint32_t common = MB_MIN(newest, our_newest);

	return common >= oldest && common >= our_oldest ? common : 0;
}

bool mb_msg_version_is_known(uint32_t version)
{
	return version >= MB_PROTOCOL_OLDEST && version <= MB_PROTOCOL_VERSION;
}

const char *mb_msg_type_name(enum mb_msg_type type)
{
	switch (type) {
	case MB_MSG_HELLO:
		return "Hello";
	case MB_MSG_WELCOME:
		return "Welcome";
	case MB_MSG_DELTA:
		return "Delta";
	case MB_MSG_ACK:
		return "Ack";
	case MB_MSG_RESYNC:
		return "Resync";
	case MB_MSG_REFUSAL:
		return "Refusal";
	case MB_MSG_TRACE_HEADER:
		return "TraceHeader";
	case MB_MSG_TRACE_PAGES:
		return "TracePages";
	case MB_MSG_TRACE_EPOCH:
		return "TraceEpoch";
	}
	return "unknown";
}

/* --- parts ------------------------------------------------------------------------------------ */

/* Free text that ends up in logs and pages: short, printable. */
static int check_text(const char *s, const char *what, struct mb_err *err)
{
	size_t n = strlen(s);

	if (n > 400)
		return mb_fail(err, EBADMSG, "field %s: %zu bytes", what, n);
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			return mb_fail(err, EBADMSG, "field %s: a byte 0x%02x", what,
				       (unsigned char)s[i]);
	return 0;
}

static int check_identity(const struct mb_identity *id, struct mb_err *err)
{
	int r = mb_identity_check(id, err);

	return r < 0 ? mb_fail_in(err, -EBADMSG, "field identity") : 0;
}

static int check_fingerprint(const struct mb_fingerprint_id *id, const char *what,
			     struct mb_err *err)
{
	if (id->pages < id->distinct)
		return mb_fail(err, EBADMSG, "field %s: %" PRIu64 " pages, %" PRIu32 " distinct",
			       what, id->pages, id->distinct);
	if (id->pages > MB_FINGERPRINT_PAGES_MAX)
		return mb_fail(err, EBADMSG, "field %s: %" PRIu64 " pages", what, id->pages);
	return 0;
}

static int check_audit(const struct mb_audit *a, struct mb_err *err)
{
	if (a->doubted > a->audits)
		return mb_fail(err, EBADMSG,
			       "field pass.audit.doubted: %" PRIu32 " of %" PRIu32 " audits",
			       a->doubted, a->audits);
	if (a->flagged >> 63 || a->flagged_changed > a->flagged)
		return mb_fail(err, EBADMSG,
			       "field pass.audit.flagged_changed: %" PRIu64 " of %" PRIu64 " pages",
			       a->flagged_changed, a->flagged);
	for (unsigned int i = 0; i < MB_CLASS_END; i++)
		if (a->stale[i] > a->changed[i])
			return mb_fail(err, EBADMSG,
				       "field pass.audit.stale: %" PRIu64 " of %" PRIu64
				       " changed pages of class %s",
				       a->stale[i], a->changed[i], mb_class_name(i));
	return 0;
}

static int check_guest(const struct mb_guest *g, struct mb_err *err)
{
	const uint32_t all = 10000;

	if ((g->available_bytes | g->free_bytes | g->swapped_bytes | g->swapped_ns) >> 63)
		return mb_fail(err, EBADMSG, "field pass.guest: a figure above 2^63");
	if (g->some_per_myriad > all || g->full_per_myriad > all)
		return mb_fail(err, EBADMSG, "field pass.guest.%s_per_myriad: %" PRIu32 " of 10000",
			       g->some_per_myriad > all ? "some" : "full",
			       g->some_per_myriad > all ? g->some_per_myriad : g->full_per_myriad);
	return 0;
}

static int check_pass(const struct mb_pass_info *p, struct mb_err *err)
{
	int r;

	/* Kept as signed 64-bit integers by the store. */
	if ((p->taken_unix_ns | p->duration_ns | p->cpu_ns | p->pages_read | p->pages_changed |
	     p->pages_unread) >>
	    63)
		return mb_fail(err, EBADMSG, "field pass: a figure above 2^63");
	if ((r = check_audit(&p->audit, err)) < 0 || (r = check_guest(&p->guest, err)) < 0)
		return r;
	r = mb_who_check(p->who, err);
	if (r < 0)
		return mb_fail_in(err, r, "field pass.who");
	return check_text(p->tracker, "pass.tracker", err);
}

/* One of the two ways to make a fingerprint smaller, or neither. */
static int check_small(uint32_t shift, uint32_t cut_bits, struct mb_err *err)
{
	if (shift && cut_bits)
		return mb_fail(err, EBADMSG, "a sample of cut digests");
	if (shift > MB_SAMPLE_SHIFT_MAX)
		return mb_fail(err, EBADMSG, "a sample's shift of %" PRIu32, shift);
	if (cut_bits && (cut_bits < MB_CUT_BITS_MIN || cut_bits > MB_CUT_BITS_MAX))
		return mb_fail(err, EBADMSG, "digests cut to %" PRIu32 " bits", cut_bits);
	return 0;
}

static int check_sample(const struct mb_sample_of *s, struct mb_err *err)
{
	int r = check_small(s->shift, s->cut_bits, err);

	if (r < 0)
		return mb_fail_in(err, r, "field sample");
	if (s->pages > MB_FINGERPRINT_PAGES_MAX || s->distinct > s->pages || s->zero > s->pages)
		return mb_fail(err, EBADMSG,
			       "field sample: %" PRIu64 " pages, %" PRIu32 " distinct, %" PRIu32
			       " zero",
			       s->pages, s->distinct, s->zero);
	return 0;
}

/* --- messages --------------------------------------------------------------------------------- */

static int check_hello(const struct mb_hello *h, struct mb_err *err)
{
	int r;

	if (!mb_msg_version_is_known(h->version))
		return 0;
	if (h->memory_bytes >> 63)
		return mb_fail(err, EBADMSG, "field memory_bytes: above 2^63");
	if ((r = check_small(h->sample_shift, h->cut_bits, err)) < 0 ||
	    (r = check_text(h->agent, "agent", err)) < 0 ||
	    (r = check_text(h->source, "source", err)) < 0 ||
	    (r = mb_name_check(h->vm, "VM", err)) < 0 ||
	    (*h->host && (r = mb_name_check(h->host, "host", err)) < 0))
		return r;
	return check_identity(&h->identity, err);
}

static int check_welcome(const struct mb_welcome *w, struct mb_err *err)
{
	int r = 0;

	if (mb_msg_version_is_known(w->version))
		r = check_text(w->server, "server", err);
	return r < 0 ? r : check_fingerprint(&w->fingerprint, "fingerprint", err);
}

static int check_delta(const struct mb_delta_msg *d, struct mb_err *err)
{
	int r;

	if (d->epoch <= d->base_epoch || d->epoch >> 63)
		return mb_fail(err, EBADMSG, "field epoch: %" PRIu64 " from base %" PRIu64,
			       d->epoch, d->base_epoch);
	if ((r = check_fingerprint(&d->fields.base, "base", err)) < 0 ||
	    (r = check_fingerprint(&d->fields.result, "result", err)) < 0 ||
	    (r = check_pass(&d->pass, err)) < 0)
		return r;
	return check_sample(&d->sample, err);
}

static int check_trace_header(const struct mb_trace_header *h, struct mb_err *err)
{
	int r;

	if ((r = check_text(h->agent, "agent", err)) < 0 ||
	    (r = check_text(h->source, "source", err)) < 0 ||
	    (r = check_text(h->vm, "vm", err)) < 0)
		return r;
	return check_identity(&h->identity, err);
}

int mb_msg_check(const struct mb_msg *msg, struct mb_err *err)
{
	int r;

	switch (msg->type) {
	case MB_MSG_HELLO:
		return check_hello(&msg->hello, err);
	case MB_MSG_WELCOME:
		return check_welcome(&msg->welcome, err);
	case MB_MSG_DELTA:
		return check_delta(&msg->delta, err);
	case MB_MSG_ACK:
		return check_fingerprint(&msg->ack.fingerprint, "fingerprint", err);
	case MB_MSG_RESYNC:
		return check_text(msg->resync_reason, "reason", err);
	case MB_MSG_REFUSAL:
		return check_text(msg->refusal.reason, "reason", err);
	case MB_MSG_TRACE_HEADER:
		return check_trace_header(&msg->trace_header, err);
	case MB_MSG_TRACE_PAGES:
		return 0;
	case MB_MSG_TRACE_EPOCH:
		r = check_pass(&msg->trace_epoch.pass, err);
		return r < 0 ? r :
			       check_fingerprint(&msg->trace_epoch.fingerprint, "fingerprint", err);
	}
	return 0;
}
