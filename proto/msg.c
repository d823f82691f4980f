// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/msg.h"

#include <inttypes.h>

#include "proto/arena.h"
#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "proto/membuddies.pb-c.h"
#include "proto/msg_check.h"

typedef Membuddies__Message Message;

/* --- packing ---------------------------------------------------------------------------------- */

static char *borrow(const char *s)
{
	/* protobuf-c's structs are not const-correct; packing only reads. */
	union {
		const char *in;
		char *out;
	} u = { s ? s : "" };

	return u.out;
}

static ProtobufCBinaryData borrow_bytes(const uint8_t *data, size_t len)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { data };

	return (ProtobufCBinaryData){ len, u.out };
}

static void put_identity(Membuddies__HashIdentity *to, const struct mb_identity *from)
{
	membuddies__hash_identity__init(to);
	to->algorithm = from->algorithm;
	to->page_bytes = from->page_bytes;
	to->bits = from->bits;
	to->keyed = from->keyed;
	to->domain = borrow(from->domain);
	to->zero_digest = from->zero_digest;
}

static void put_fingerprint(Membuddies__FingerprintId *to, const struct mb_fingerprint_id *from)
{
	membuddies__fingerprint_id__init(to);
	to->hash_lo = from->hash.lo;
	to->hash_hi = from->hash.hi;
	to->pages = from->pages;
	to->distinct = from->distinct;
}

/* An Audit and what its bytes point to. */
struct audit_parts {
	Membuddies__Audit audit;
	uint8_t changed[MB_AUDIT_BYTES_MAX], stale[MB_AUDIT_BYTES_MAX];
};

static void put_audit(struct audit_parts *to, const struct mb_audit *from)
{
	membuddies__audit__init(&to->audit);
	to->audit.audits = from->audits;
	to->audit.doubted = from->doubted;
	to->audit.follows = from->follows;
	to->audit.changed =
		borrow_bytes(to->changed, mb_audit_put_classes(to->changed, from->changed));
	to->audit.stale = borrow_bytes(to->stale, mb_audit_put_classes(to->stale, from->stale));
	to->audit.flagged = from->flagged;
	to->audit.flagged_changed = from->flagged_changed;
}

static void put_guest(Membuddies__Guest *to, const struct mb_guest *from)
{
	membuddies__guest__init(to);
	to->available_bytes = from->available_bytes;
	to->free_bytes = from->free_bytes;
	to->swapped_bytes = from->swapped_bytes;
	to->swapped_ns = from->swapped_ns;
	to->has_stalls = from->has_stalls;
	to->some_per_myriad = from->some_per_myriad;
	to->full_per_myriad = from->full_per_myriad;
}

static void put_pass(Membuddies__Pass *to, struct audit_parts *audit, Membuddies__Guest *guest,
		     const struct mb_pass_info *from)
{
	membuddies__pass__init(to);
	if (from->guest.known) {
		put_guest(guest, &from->guest);
		to->guest = guest;
	}
	if (from->audit.audits) {
		put_audit(audit, &from->audit);
		to->audit = &audit->audit;
	}
	to->taken_unix_ns = from->taken_unix_ns;
	to->duration_ns = from->duration_ns;
	to->cpu_ns = from->cpu_ns;
	to->full = from->full;
	to->tracker = borrow(from->tracker);
	to->pages_read = from->pages_read;
	to->pages_changed = from->pages_changed;
	to->pages_unread = from->pages_unread;
	to->epochs = from->epochs;
	to->who = borrow_bytes(from->who.data, from->who.len);
}

/* Every part a message may need, so that none is allocated. */
struct parts {
	Membuddies__Hello hello;
	Membuddies__Welcome welcome;
	Membuddies__Delta delta;
	Membuddies__Ack ack;
	Membuddies__Resync resync;
	Membuddies__Refusal refusal;
	Membuddies__TraceHeader trace_header;
	Membuddies__TracePages trace_pages;
	Membuddies__TraceEpoch trace_epoch;
	Membuddies__HashIdentity identity;
	Membuddies__FingerprintId base, result;
	Membuddies__Pass pass;
	struct audit_parts audit;
	Membuddies__Guest guest;
	Membuddies__Sample sample;
};

static void put_hello(const struct mb_hello *h, struct parts *p, Message *to)
{
	membuddies__hello__init(&p->hello);
	put_identity(&p->identity, &h->identity);
	p->hello.version = h->version;
	p->hello.agent = borrow(h->agent);
	p->hello.vm = borrow(h->vm);
	p->hello.host = borrow(h->host);
	p->hello.boot = borrow_bytes(h->boot.id, MB_BOOT_BYTES);
	p->hello.identity = &p->identity;
	p->hello.memory_bytes = h->memory_bytes;
	p->hello.source = borrow(h->source);
	if (h->newest_version > h->version)
		p->hello.newest_version = h->newest_version;
	p->hello.sample_shift = h->sample_shift;
	p->hello.cut_bits = h->cut_bits;
	to->body_case = MEMBUDDIES__MESSAGE__BODY_HELLO;
	to->hello = &p->hello;
}

static void put_welcome(const struct mb_welcome *w, struct parts *p, Message *to)
{
	membuddies__welcome__init(&p->welcome);
	put_fingerprint(&p->result, &w->fingerprint);
	p->welcome.version = w->version;
	p->welcome.server = borrow(w->server);
	p->welcome.boot = borrow_bytes(w->boot.id, MB_BOOT_BYTES);
	p->welcome.epoch = w->epoch;
	p->welcome.fingerprint = &p->result;
	p->welcome.max_frame_bytes = w->max_frame_bytes;
	p->welcome.sample_shift = w->sample_shift;
	p->welcome.cut_bits = w->cut_bits;
	to->body_case = MEMBUDDIES__MESSAGE__BODY_WELCOME;
	to->welcome = &p->welcome;
}

static void put_sample(Membuddies__Sample *to, const struct mb_sample_of *from)
{
	membuddies__sample__init(to);
	to->shift = from->shift;
	to->pages = from->pages;
	to->distinct = from->distinct;
	to->zero = from->zero;
	to->cut_bits = from->cut_bits;
}

static void put_delta(const struct mb_delta_msg *d, struct parts *p, Message *to)
{
	const struct mb_delta_fields *f = &d->fields;

	membuddies__delta__init(&p->delta);
	put_fingerprint(&p->base, &f->base);
	put_fingerprint(&p->result, &f->result);
	put_pass(&p->pass, &p->audit, &p->guest, &d->pass);
	p->delta.base_epoch = d->base_epoch;
	p->delta.epoch = d->epoch;
	p->delta.base_id = &p->base;
	p->delta.result_id = &p->result;
	p->delta.n_added = f->n_added;
	p->delta.n_removed = f->n_removed;
	p->delta.n_changed = f->n_changed;
	p->delta.pass = &p->pass;
	p->delta.changed = borrow_bytes(f->changed.data, f->changed.len);
	p->delta.removed = borrow_bytes(f->removed.data, f->removed.len);
	p->delta.added_copies = borrow_bytes(f->added_copies.data, f->added_copies.len);
	p->delta.added = borrow_bytes(f->added.data, f->added.len);
	if (!mb_small_is_all(&d->sample)) {
		put_sample(&p->sample, &d->sample);
		p->delta.sample = &p->sample;
	}
	to->body_case = MEMBUDDIES__MESSAGE__BODY_DELTA;
	to->delta = &p->delta;
}

static void put_trace_header(const struct mb_trace_header *h, struct parts *p, Message *to)
{
	membuddies__trace_header__init(&p->trace_header);
	put_identity(&p->identity, &h->identity);
	p->trace_header.version = h->version;
	p->trace_header.agent = borrow(h->agent);
	p->trace_header.vm = borrow(h->vm);
	p->trace_header.source = borrow(h->source);
	p->trace_header.boot = borrow_bytes(h->boot.id, MB_BOOT_BYTES);
	p->trace_header.identity = &p->identity;
	p->trace_header.memory_bytes = h->memory_bytes;
	p->trace_header.stable_frames = h->stable_frames;
	to->body_case = MEMBUDDIES__MESSAGE__BODY_TRACE_HEADER;
	to->trace_header = &p->trace_header;
}

static void put_trace_pages(const struct mb_trace_pages *t, struct parts *p, Message *to)
{
	membuddies__trace_pages__init(&p->trace_pages);
	p->trace_pages.n_pages = t->n_pages;
	p->trace_pages.frames = borrow_bytes(t->frames.data, t->frames.len);
	p->trace_pages.classes = borrow_bytes(t->classes.data, t->classes.len);
	p->trace_pages.flags = borrow_bytes(t->flags.data, t->flags.len);
	p->trace_pages.digests = borrow_bytes(t->digests.data, t->digests.len);
	to->body_case = MEMBUDDIES__MESSAGE__BODY_TRACE_PAGES;
	to->trace_pages = &p->trace_pages;
}

static void put_trace_epoch(const struct mb_trace_epoch *t, struct parts *p, Message *to)
{
	membuddies__trace_epoch__init(&p->trace_epoch);
	put_pass(&p->pass, &p->audit, &p->guest, &t->pass);
	put_fingerprint(&p->result, &t->fingerprint);
	p->trace_epoch.epoch = t->epoch;
	p->trace_epoch.pass = &p->pass;
	p->trace_epoch.fingerprint = &p->result;
	to->body_case = MEMBUDDIES__MESSAGE__BODY_TRACE_EPOCH;
	to->trace_epoch = &p->trace_epoch;
}

static void put_body(const struct mb_msg *msg, struct parts *p, Message *to)
{
	switch (msg->type) {
	case MB_MSG_HELLO:
		put_hello(&msg->hello, p, to);
		break;
	case MB_MSG_WELCOME:
		put_welcome(&msg->welcome, p, to);
		break;
	case MB_MSG_DELTA:
		put_delta(&msg->delta, p, to);
		break;
	case MB_MSG_ACK:
		membuddies__ack__init(&p->ack);
		put_fingerprint(&p->result, &msg->ack.fingerprint);
		p->ack.epoch = msg->ack.epoch;
		p->ack.fingerprint = &p->result;
		to->body_case = MEMBUDDIES__MESSAGE__BODY_ACK;
		to->ack = &p->ack;
		break;
	case MB_MSG_RESYNC:
		membuddies__resync__init(&p->resync);
		p->resync.reason = borrow(msg->resync_reason);
		to->body_case = MEMBUDDIES__MESSAGE__BODY_RESYNC;
		to->resync = &p->resync;
		break;
	case MB_MSG_REFUSAL:
		membuddies__refusal__init(&p->refusal);
		p->refusal.code = msg->refusal.code;
		p->refusal.reason = borrow(msg->refusal.reason);
		p->refusal.retry_after_ms = msg->refusal.retry_after_ms;
		to->body_case = MEMBUDDIES__MESSAGE__BODY_REFUSAL;
		to->refusal = &p->refusal;
		break;
	case MB_MSG_TRACE_HEADER:
		put_trace_header(&msg->trace_header, p, to);
		break;
	case MB_MSG_TRACE_PAGES:
		put_trace_pages(&msg->trace_pages, p, to);
		break;
	case MB_MSG_TRACE_EPOCH:
		put_trace_epoch(&msg->trace_epoch, p, to);
		break;
	}
}

int mb_msg_pack(const struct mb_msg *msg, struct mb_buf *out, struct mb_err *err)
{
	Message to = MEMBUDDIES__MESSAGE__INIT;
	struct parts parts;
	uint8_t *at;
	size_t n;

	put_body(msg, &parts, &to);
	n = membuddies__message__get_packed_size(&to);
	at = mb_buf_reserve(out, n);
	if (!at)
		return mb_fail_mem(err, "a message");
	membuddies__message__pack(&to, at);
	out->len += n;
	return 0;
}

uint8_t mb_msg_must_understand(const struct mb_msg *msg)
{
	if (msg->type != MB_MSG_DELTA)
		return 0;
	return (msg->delta.sample.shift ? MB_FRAME_SAMPLE : 0) |
	       (msg->delta.sample.cut_bits ? MB_FRAME_CUT : 0);
}

int mb_msg_to_frame(const struct mb_msg *msg, struct mb_buf *out, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	int r = mb_msg_pack(msg, &raw, err);

	if (r == 0)
		r = mb_frame_encode_flags(mb_buf_slice(&raw), mb_msg_must_understand(msg), out,
					  err);
	return r < 0 ? mb_fail_in(err, r, "%s message", mb_msg_type_name(msg->type)) : 0;
}

/* --- unpacking -------------------------------------------------------------------------------- */

static struct mb_slice slice(ProtobufCBinaryData b)
{
	return (struct mb_slice){ b.data, b.len };
}

static int get_boot(ProtobufCBinaryData from, struct mb_boot *to, struct mb_err *err)
{
	if (from.len != MB_BOOT_BYTES)
		return mb_fail(err, EBADMSG, "field boot: %zu bytes, not %d", from.len,
			       MB_BOOT_BYTES);
	memcpy(to->id, from.data, MB_BOOT_BYTES);
	return 0;
}

static int get_identity(const Membuddies__HashIdentity *from, struct mb_identity *to,
			struct mb_err *err)
{
	if (!from)
		return mb_fail(err, EBADMSG, "field identity: missing");
	if (strlen(from->domain) >= MB_DOMAIN_MAX)
		return mb_fail(err, EBADMSG, "field identity.domain: %zu bytes",
			       strlen(from->domain));
	*to = (struct mb_identity){ .algorithm = (enum mb_algorithm)from->algorithm,
				    .page_bytes = from->page_bytes,
				    .bits = from->bits,
				    .keyed = from->keyed,
				    .zero_digest = from->zero_digest };
	strcpy(to->domain, from->domain);
	return 0;
}

static void get_fingerprint(const Membuddies__FingerprintId *from, struct mb_fingerprint_id *to)
{
	/* proto3 leaves out what is all zero: the empty fingerprint. */
	*to = (struct mb_fingerprint_id){ 0 };
	if (!from)
		return;
	to->pages = from->pages;
	to->distinct = from->distinct;
	to->hash.lo = from->hash_lo;
	to->hash.hi = from->hash_hi;
}

static int get_audit(const Membuddies__Audit *from, struct mb_audit *to, struct mb_err *err)
{
	int r;

	if (!from)
		return 0;
	*to = (struct mb_audit){ .audits = from->audits,
				 .doubted = from->doubted,
				 .follows = from->follows & ((1u << MB_CLASS_END) - 1),
				 .flagged = from->flagged,
				 .flagged_changed = from->flagged_changed };
	if (!to->audits)
		return mb_fail(err, EBADMSG, "field pass.audit.audits: 0");
	r = mb_audit_get_classes(slice(from->changed), "changed", to->changed, err);
	return r < 0 ? r : mb_audit_get_classes(slice(from->stale), "stale", to->stale, err);
}

static void get_guest(const Membuddies__Guest *from, struct mb_guest *to)
{
	if (!from)
		return;
	*to = (struct mb_guest){ .known = true,
				 .available_bytes = from->available_bytes,
				 .free_bytes = from->free_bytes,
				 .swapped_bytes = from->swapped_bytes,
				 .swapped_ns = from->swapped_ns,
				 .has_stalls = from->has_stalls,
				 .some_per_myriad = from->some_per_myriad,
				 .full_per_myriad = from->full_per_myriad };
}

static int get_pass(const Membuddies__Pass *from, struct mb_pass_info *to, struct mb_err *err)
{
	if (!from)
		return mb_fail(err, EBADMSG, "field pass: missing");
	*to = (struct mb_pass_info){
		.taken_unix_ns = from->taken_unix_ns,
		.duration_ns = from->duration_ns,
		.cpu_ns = from->cpu_ns,
		.pages_read = from->pages_read,
		.pages_changed = from->pages_changed,
		.pages_unread = from->pages_unread,
		.epochs = from->epochs,
		.full = from->full,
		.tracker = from->tracker,
		.who = slice(from->who),
	};
	get_guest(from->guest, &to->guest);
	return get_audit(from->audit, &to->audit, err);
}

static int get_hello(const Membuddies__Hello *from, struct mb_hello *to, struct mb_err *err)
{
	int r;

	*to = (struct mb_hello){ .version = from->version,
				 .newest_version = MB_MAX(from->version, from->newest_version),
				 .agent = from->agent,
				 .vm = from->vm,
				 .host = from->host,
				 .memory_bytes = from->memory_bytes,
				 .source = from->source,
				 .sample_shift = from->sample_shift,
				 .cut_bits = from->cut_bits };
	if (!mb_msg_version_is_known(to->version))
		return 0;
	r = get_boot(from->boot, &to->boot, err);
	return r < 0 ? r : get_identity(from->identity, &to->identity, err);
}

static int get_welcome(const Membuddies__Welcome *from, struct mb_welcome *to, struct mb_err *err)
{
	*to = (struct mb_welcome){ .version = from->version,
				   .server = from->server,
				   .epoch = from->epoch,
				   .max_frame_bytes = from->max_frame_bytes,
				   .sample_shift = from->sample_shift,
				   .cut_bits = from->cut_bits };
	if (!mb_msg_version_is_known(to->version))
		return 0;
	get_fingerprint(from->fingerprint, &to->fingerprint);
	return get_boot(from->boot, &to->boot, err);
}

static int get_sample(const Membuddies__Sample *from, struct mb_sample_of *to, struct mb_err *err)
{
	if (!from)
		return 0;
	*to = (struct mb_sample_of){ from->shift, from->pages, from->distinct, from->zero,
				     from->cut_bits };
	if (mb_small_is_all(to))
		return mb_fail(err, EBADMSG, "field sample: a sample's shift of 0");
	return 0;
}

static int get_delta(const Membuddies__Delta *from, struct mb_delta_msg *to, struct mb_err *err)
{
	struct mb_delta_fields *f = &to->fields;
	int r;

	*to = (struct mb_delta_msg){ .base_epoch = from->base_epoch, .epoch = from->epoch };
	get_fingerprint(from->base_id, &f->base);
	get_fingerprint(from->result_id, &f->result);
	if ((r = get_pass(from->pass, &to->pass, err)) < 0 ||
	    (r = get_sample(from->sample, &to->sample, err)) < 0)
		return r;
	f->n_added = from->n_added;
	f->n_removed = from->n_removed;
	f->n_changed = from->n_changed;
	f->added = slice(from->added);
	f->added_copies = slice(from->added_copies);
	f->removed = slice(from->removed);
	f->changed = slice(from->changed);
	return 0;
}

static int get_trace_header(const Membuddies__TraceHeader *from, struct mb_trace_header *to,
			    struct mb_err *err)
{
	int r;

	*to = (struct mb_trace_header){ .version = from->version,
					.agent = from->agent,
					.vm = from->vm,
					.source = from->source,
					.memory_bytes = from->memory_bytes,
					.stable_frames = from->stable_frames };
	if (to->version != MB_PROTOCOL_VERSION)
		return mb_fail(err, EPROTONOSUPPORT,
			       "trace version %" PRIu32 "; this program knows %d", to->version,
			       MB_PROTOCOL_VERSION);
	r = get_boot(from->boot, &to->boot, err);
	return r < 0 ? r : get_identity(from->identity, &to->identity, err);
}

static int get_body(const Message *from, struct mb_msg *to, struct mb_err *err)
{
	switch (from->body_case) {
	case MEMBUDDIES__MESSAGE__BODY_HELLO:
		to->type = MB_MSG_HELLO;
		return get_hello(from->hello, &to->hello, err);
	case MEMBUDDIES__MESSAGE__BODY_WELCOME:
		to->type = MB_MSG_WELCOME;
		return get_welcome(from->welcome, &to->welcome, err);
	case MEMBUDDIES__MESSAGE__BODY_DELTA:
		to->type = MB_MSG_DELTA;
		return get_delta(from->delta, &to->delta, err);
	case MEMBUDDIES__MESSAGE__BODY_ACK:
		to->type = MB_MSG_ACK;
		to->ack.epoch = from->ack->epoch;
		get_fingerprint(from->ack->fingerprint, &to->ack.fingerprint);
		return 0;
	case MEMBUDDIES__MESSAGE__BODY_RESYNC:
		to->type = MB_MSG_RESYNC;
		to->resync_reason = from->resync->reason;
		return 0;
	case MEMBUDDIES__MESSAGE__BODY_REFUSAL:
		to->type = MB_MSG_REFUSAL;
		to->refusal.code = from->refusal->code;
		to->refusal.reason = from->refusal->reason;
		to->refusal.retry_after_ms = from->refusal->retry_after_ms;
		return 0;
	case MEMBUDDIES__MESSAGE__BODY_TRACE_HEADER:
		to->type = MB_MSG_TRACE_HEADER;
		return get_trace_header(from->trace_header, &to->trace_header, err);
	case MEMBUDDIES__MESSAGE__BODY_TRACE_PAGES:
		to->type = MB_MSG_TRACE_PAGES;
		to->trace_pages = (struct mb_trace_pages){
			.n_pages = from->trace_pages->n_pages,
			.frames = slice(from->trace_pages->frames),
			.classes = slice(from->trace_pages->classes),
			.flags = slice(from->trace_pages->flags),
			.digests = slice(from->trace_pages->digests),
		};
		return 0;
	case MEMBUDDIES__MESSAGE__BODY_TRACE_EPOCH:
		to->type = MB_MSG_TRACE_EPOCH;
		to->trace_epoch.epoch = from->trace_epoch->epoch;
		get_fingerprint(from->trace_epoch->fingerprint, &to->trace_epoch.fingerprint);
		return get_pass(from->trace_epoch->pass, &to->trace_epoch.pass, err);
	default:
		return mb_fail(err, EBADMSG, "message of no known kind");
	}
}

int mb_msg_unpack(struct mb_slice raw, struct mb_msg *ret, struct mb_err *err)
{
	ProtobufCAllocator alloc;
	struct mb_arena arena;
	Message *m;
	int r;

	*ret = (struct mb_msg){ 0 };
	mb_arena_init(&arena, &alloc, raw.len);
	m = membuddies__message__unpack(&alloc, raw.len, raw.data);
	if (!m)
		return mb_fail(err, EBADMSG, "%zu bytes that are no protobuf message of ours",
			       raw.len);
	ret->unpacked = m;
	r = get_body(m, ret, err);
	if (r == 0)
		r = mb_msg_check(ret, err);
	if (r < 0) {
		if (ret->type)
			mb_fail_in(err, r, "%s message", mb_msg_type_name(ret->type));
		mb_msg_deinit(ret);
	}
	/* Whatever a check calls it, to the reader of bytes it is a bad message. */
	return r == -EINVAL ? -EBADMSG : r;
}

void mb_msg_deinit(struct mb_msg *msg)
{
	ProtobufCAllocator alloc;
	struct mb_arena arena;

	mb_arena_init(&arena, &alloc, 0);
	if (msg->unpacked)
		membuddies__message__free_unpacked(msg->unpacked, &alloc);
	*msg = (struct mb_msg){ 0 };
}
