// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_uplink.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/frame.h"

/* Another key: a new Hello, a snapshot, and of the old epochs not a word, whatever was under way.
 */
static void test_begin_anew(void **state)
{
	static const uint8_t key[MB_KEY_BYTES] = { 2 };

	(void)state;
	for (int in_flight = 0; in_flight < 2; in_flight++) {
		struct mb_identity identity;
		struct mb_digester d;
		struct mb_msg hello;
		struct came c;
		struct scene s;

		open_with_epoch_acked(&s);
		offer(&s, 300, 50);
		if (in_flight)
			take_delta(&s, false);
		assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "d", key, &s.err),
			  &s.err);
		identity = d.identity;
		s.config.hello.boot = (struct mb_boot){ { 9 } };
		mb_uplink_begin_anew(s.uplink, &s.config.hello.boot, &identity);
		assert_true(mb_uplink_idle(s.uplink));
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		assert_memory_equal(&hello.hello.boot, &s.config.hello.boot, MB_BOOT_BYTES);
		assert_int_equal(mb_identity_compare(&hello.hello.identity, &identity, NULL), 0);
		mb_msg_deinit(&hello);
		welcome(&s);
		offer(&s, 1000, 50);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_int_equal(c.pass.epochs, 1);
		ack(&s);
		assert_works(&s, 1010);
		assert_int_equal(s.n_warnings, 0);
		uplink_close(&s);
	}
}

/* A guest that swapped so many bytes within so long; 0: not known. */
static void offer_guest(struct scene *s, uint64_t first, uint64_t bytes, uint64_t ns)
{
	struct mb_epoch e = { .info = { .epochs = 1,
					.tracker = "none",
					.guest = { .known = true,
						   .free_bytes = first,
						   .swapped_bytes = bytes,
						   .swapped_ns = ns } } };
	uint64_t digest = mb_mix64(first);

	assert_ok(mb_fingerprint_from_digests(&e.fingerprint, &digest, 1, &s->err), &s->err);
	mb_uplink_offer(s->uplink, &e);
}

static void test_first_and_next(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	assert_true(mb_uplink_idle(s.uplink));
	offer(&s, 100, 50);
	assert_false(mb_uplink_idle(s.uplink));
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 1);
	assert_int_equal(c.pass.epochs, 1);
	assert_false(mb_uplink_idle(s.uplink));
	ack(&s);
	assert_int_equal(s.acked_bytes, s.frame_bytes);
	assert_true(mb_uplink_idle(s.uplink));
	/* Now only what changed. */
	offer(&s, 110, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_int_equal(c.epoch, 2);
	ack(&s);
	/* An epoch without a page is one, too. */
	offer(&s, 0, 0);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_int_equal(s.fp.n_pages, 0);
	ack(&s);
	assert_works(&s, 5);
	assert_int_equal(s.n_warnings, 0);
	uplink_close(&s);
}

static void test_net_delta_while_away(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer(&s, 100, 50);
	must_turn(&s);
	offer(&s, 200, 60);
	offer(&s, 301, 70);
	must_turn(&s);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 3);
	/* Sums ... */
	assert_int_equal(c.pass.epochs, 3);
	assert_int_equal(c.pass.pages_read, 50 + 60 + 70);
	assert_int_equal(c.pass.pages_changed, 6);
	assert_int_equal(c.pass.duration_ns, 30);
	assert_int_equal(c.pass.cpu_ns, 15);
	/* ... but for what is dated. */
	assert_int_equal(c.pass.taken_unix_ns, 301);
	assert_int_equal(c.pass.pages_unread, 301);
	assert_true(c.pass.full);
	assert_int_equal(s.fp.n_pages, 70);
	ack(&s);
	/* While one is in flight, the same; what was sent is not counted twice. */
	offer(&s, 400, 10);
	take_delta(&s, true);
	offer(&s, 500, 10);
	offer(&s, 600, 10);
	must_turn(&s);
	ack(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 4);
	assert_int_equal(c.epoch, 6);
	assert_int_equal(c.pass.epochs, 2);
	ack(&s);
	uplink_close(&s);
}

static void assert_audits(const struct came *c, uint32_t audits, uint32_t doubted, uint32_t follows,
			  uint64_t changed, uint64_t stale, uint64_t flagged)
{
	const struct mb_audit *a = &c->pass.audit;

	assert_int_equal(a->audits, audits);
	assert_int_equal(a->doubted, doubted);
	assert_int_equal(a->follows, follows);
	assert_int_equal(a->changed[MB_CLASS_ANON], changed);
	assert_int_equal(a->stale[MB_CLASS_ANON], stale);
	assert_int_equal(a->flagged, flagged);
	assert_int_equal(a->flagged_changed, flagged);
}

/* None is lost, none is counted twice, and the last one says what is followed. */
static void test_audits_are_summed(void **state)
{
	static const struct mb_audit first = { .audits = 1,
					       .doubted = 1,
					       .follows = 2,
					       .changed = { 0, 10 },
					       .stale = { 0, 3 },
					       .flagged = 8,
					       .flagged_changed = 8 };
	static const struct mb_audit last = { .audits = 1,
					      .follows = 6,
					      .changed = { 0, 100 },
					      .stale = { 0, 40 },
					      .flagged = 70,
					      .flagged_changed = 70 };
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer_audited(&s, 100, 50, &first);
	offer(&s, 200, 50);
	offer_audited(&s, 300, 50, &last);
	offer(&s, 400, 50);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 4);
	assert_audits(&c, 2, 1, 6, 110, 43, 78);
	ack(&s);
	/* None, one, and one that was in flight when the connection broke. */
	offer(&s, 500, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.audit.audits, 0);
	ack(&s);
	offer_audited(&s, 600, 50, &last);
	c = take_delta(&s, false);
	assert_audits(&c, 1, 0, 6, 100, 40, 70);
	offer_audited(&s, 700, 50, &first);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 2);
	assert_audits(&c, 2, 1, 2, 110, 43, 78);
	ack(&s);
	uplink_close(&s);
}

/* Swapping of passes that are sent as one is that of all of them; the rest is the last one's. */
static void test_guests_swapping_adds_up(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer_guest(&s, 1, 0, 0);
	offer_guest(&s, 2, 700, 10);
	offer_guest(&s, 3, 50, 30);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_true(c.pass.guest.known);
	assert_int_equal(c.pass.guest.free_bytes, 3);
	assert_int_equal(c.pass.guest.swapped_bytes, 750);
	assert_int_equal(c.pass.guest.swapped_ns, 40);
	ack(&s);
	/* What was acked is not counted again. */
	offer_guest(&s, 4, 700, 10);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.guest.swapped_bytes, 700);
	ack(&s);
	uplink_close(&s);
}

/* An epoch in which one of several programs has rewritten so many frames. */
static void offer_who(struct scene *s, uint64_t first, const char *process, uint64_t frames)
{
	struct mb_who_row row = { .cgroup = "/", .frames[MB_WHO_REWRITE] = frames };
	struct mb_who who = { 0 };

	snprintf(row.process, sizeof(row.process), "%s", process);
	mb_who_put(&who, &row);
	offer_with(s, first, 50, NULL, &who);
}

static uint64_t frames_of(const struct came *c, const char *process)
{
	for (uint32_t i = 0; i < c->who.n; i++)
		if (strcmp(c->who.rows[i].process, process) == 0)
			return mb_who_frames(c->who.rows[i].frames);
	return 0;
}

/* The same for who dirtied memory: as many names as are asked for, the rest in one. */
static void test_who_is_summed(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	offer_who(&s, 100, "a", 10);
	offer_who(&s, 200, "b", 20);
	offer(&s, 300, 50);
	offer_who(&s, 400, "c", 25);
	offer_who(&s, 500, "a", 11);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 5);
	assert_int_equal(c.who.n, 2);
	assert_int_equal(frames_of(&c, "a"), 21);
	assert_int_equal(frames_of(&c, "c"), 25);
	assert_int_equal(c.who.others[MB_WHO_REWRITE], 20);
	ack(&s);
	/* Nobody counted. */
	offer(&s, 600, 50);
	c = take_delta(&s, true);
	assert_false(c.who.counted);
	ack(&s);
	/* One that was in flight when the connection broke, and did not arrive ... */
	offer_who(&s, 700, "a", 1);
	c = take_delta(&s, false);
	assert_int_equal(frames_of(&c, "a"), 1);
	offer_who(&s, 800, "a", 2);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(frames_of(&c, "a"), 3);
	/* ... and one that did, though its ack was lost. */
	offer_who(&s, 900, "a", 4);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(frames_of(&c, "a"), 4);
	ack(&s);
	uplink_close(&s);
}

/* A server that has lost what it acked gets it again, as a snapshot: but not who, who was counted.
 */
static void test_who_is_not_counted_twice(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	offer_who(&s, 100, "a", 10);
	greet(&s);
	take_delta(&s, true);
	ack(&s);
	s.boot.id[0]++;
	s.epoch++;
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 1);
	assert_false(c.who.counted);
	ack(&s);
	uplink_close(&s);
}

static void resync(struct scene *s)
{
	struct mb_msg msg = { .type = MB_MSG_RESYNC, .resync_reason = "not what I hold" };

	send_msg(s, &msg);
}

static void test_resync(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	offer(&s, 200, 50);
	take_delta(&s, false);
	resync(&s);
	c = take_delta(&s, false);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 2);
	assert_int_equal(c.pass.epochs, 1);
	assert_non_null(strstr(s.said, "not what I hold"));
	/* Who wants a snapshot instead of a snapshot would want one for ever. */
	s.said[0] = 0;
	resync(&s);
	assert_goes_away(&s, "asked for a snapshot, but got one");
	greet(&s);
	c = take_delta(&s, true);
	assert_non_null(strstr(s.said, "sending a snapshot"));
	assert_int_equal(c.base_epoch, 0);
	ack(&s);
	/* With another epoch that waits: that one is the snapshot. */
	offer(&s, 300, 50);
	take_delta(&s, false);
	offer(&s, 400, 50);
	resync(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 4);
	assert_int_equal(c.pass.epochs, 2);
	ack(&s);
	assert_works(&s, 9);
	uplink_close(&s);
}

/* Bytes come one by one, and several messages at once. */
static void test_any_segmentation(void **state)
{
	struct mb_msg hello, msg = { .type = MB_MSG_WELCOME };
	struct mb_buf b = { 0 };
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	wait_for_agent(&s);
	receive(&s, MB_MSG_HELLO, &hello);
	mb_msg_deinit(&hello);
	msg.welcome.version = 1;
	msg.welcome.server = "slow";
	msg.welcome.max_frame_bytes = 1 << 20;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	for (size_t i = 0; i < b.len; i++) {
		server_sends(&s, b.data + i, 1);
		must_turn(&s);
	}
	assert_works(&s, 100);
	/* Refused in the same breath. */
	mb_buf_clear(&b);
	offer(&s, 200, 10);
	take_delta(&s, true);
	msg = (struct mb_msg){ .type = MB_MSG_ACK };
	msg.ack.epoch = s.epoch;
	msg.ack.fingerprint = mb_fingerprint_id(&s.fp);
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	msg = (struct mb_msg){ .type = MB_MSG_REFUSAL,
			       .refusal = { MB_REFUSED_SERVER, "disk full" } };
	s.said[0] = 0;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	server_sends(&s, b.data, b.len);
	assert_goes_away(&s, "disk full");
	greet(&s);
	assert_int_equal(s.acked_epoch, 2);
	assert_works(&s, 300);
	mb_buf_deinit(&b);
	uplink_close(&s);
}

static void test_wakes(void **state)
{
	uint64_t start = mb_now_ns();
	struct scene s;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	open_with_epoch_acked(&s);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	assert_ok(mb_uplink_run(s.uplink, start + 60000 * MS, pipe_fds[0], &s.err), &s.err);
	assert_ok(mb_uplink_run(s.uplink, start, -1, &s.err), &s.err);
	assert_true(mb_now_ns() - start < 10000 * MS);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	uplink_close(&s);
}

size_t __attribute__((weak)) __sanitizer_get_current_allocated_bytes(void);

static size_t allocated(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void test_memory_is_bounded(void **state)
{
	enum { PAGES = 20000, FP_BYTES = PAGES * 8 };
	size_t start, full;
	struct scene s;

	(void)state;
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	start = allocated();
	offer(&s, 1, PAGES);
	greet(&s);
	take_delta(&s, true);
	ack(&s);
	offer(&s, 2 * PAGES, PAGES);
	take_delta(&s, false);
	offer(&s, 4 * PAGES, PAGES);
	/* base, sent, newest; the frame; and the server's own fingerprint and buffers. */
	full = allocated();
	assert_true(full >= start + 3 * FP_BYTES);
	assert_true(full <= start + 12 * FP_BYTES);
	hang_up(&s);
	for (uint64_t i = 0; i < 40; i++) {
		offer(&s, (6 + i) * PAGES, PAGES);
		must_turn(&s);
	}
	assert_true(allocated() <= full + 65536);
	greet(&s);
	assert_int_equal(take_delta(&s, true).pass.epochs, 42);
	ack(&s);
	/* One is left. */
	assert_true(allocated() <= full - FP_BYTES);
	uplink_close(&s);
}

static void test_destroy_at_any_time(void **state)
{
	struct scene s;

	(void)state;
	mb_uplink_destroy(NULL);
	uplink_open(&s, 2 * MS, 8 * MS);
	offer(&s, 1, 10);
	uplink_close(&s);
	uplink_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	offer(&s, 1, 10);
	greet(&s);
	take_delta(&s, false);
	offer(&s, 2, 10);
	uplink_close(&s);
}

/* An agent that offers 1 in 4, and has an epoch; the server agrees to `agreed`. */
static void open_with_offer(struct scene *s, uint32_t agreed)
{
	uplink_prepare(s, 2 * MS, 8 * MS);
	s->config.hello.sample_shift = 2;
	s->sample_shift = agreed;
	assert_ok(mb_uplink_create(&s->config, &s->uplink, &s->err), &s->err);
	start_listening(s);
	offer(s, 100, 500);
	greet(s);
}

/* What the server holds is all digests of offer(first, n), or those in the first quarter. */
static void assert_holds(const struct scene *s, uint64_t first, size_t n, uint32_t shift)
{
	uint32_t light = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t digest = mb_mix64(first + i);
		bool in = digest <= UINT64_MAX >> shift;

		light += in;
		assert_int_equal(mb_fingerprint_find(&s->fp, digest), in);
	}
	assert_int_equal(s->fp.n_distinct, light);
	assert_true(shift == 0 || light < n / 2);
}

static void assert_is_sample(struct came c, size_t n)
{
	assert_int_equal(c.sample.shift, 2);
	assert_int_equal(c.sample.pages, n);
	assert_int_equal(c.sample.distinct, n);
	assert_int_equal(c.sample.zero, 0);
}

static void test_sample(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_offer(&s, 2);
	c = take_delta(&s, true);
	assert_int_equal(s.in.len, 0);
	assert_is_sample(c, 500);
	assert_holds(&s, 100, 500, 2);
	ack(&s);
	/* From sample to sample. */
	offer(&s, 200, 600);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_is_sample(c, 600);
	assert_holds(&s, 200, 600, 2);
	/* Arrived, but the ack is lost. */
	greet(&s);
	for (int i = 0; i < 1000 && s.n_acked < 2; i++)
		must_turn(&s);
	assert_int_equal(s.acked_epoch, 2);
	/* Never arrived: the sample is taken anew. */
	offer(&s, 300, 500);
	take_delta(&s, false);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_is_sample(c, 500);
	assert_holds(&s, 300, 500, 2);
	ack(&s);
	/* Lost by the server, with none that waits: the same sample again. */
	mb_fingerprint_deinit(&s.fp);
	s.epoch = 0;
	s.boot = (struct mb_boot){ 0 };
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 3);
	assert_is_sample(c, 500);
	assert_holds(&s, 300, 500, 2);
	ack(&s);
	assert_int_equal(s.n_warnings, 3); /* each lost connection */
	uplink_close(&s);
}

static void test_server_takes_no_sample(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_offer(&s, 0);
	c = take_delta(&s, true);
	assert_non_null(strstr(s.said, "connected"));
	assert_int_equal(s.n_warnings, 1);
	assert_int_equal(c.sample.shift, 0);
	assert_holds(&s, 100, 500, 0);
	ack(&s);
	assert_works(&s, 200);
	uplink_close(&s);
	/* One that agrees to what nobody offered knows not what it says. */
	open_with_offer(&s, 3);
	assert_goes_away(&s, "agreed to what was not offered");
	s.sample_shift = 2;
	greet(&s);
	c = take_delta(&s, true);
	assert_is_sample(c, 500);
	ack(&s);
	uplink_close(&s);
}

static void test_cut_digests(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	uplink_prepare(&s, 2 * MS, 8 * MS);
	s.config.hello.cut_bits = s.cut_bits = 20;
	assert_ok(mb_uplink_create(&s.config, &s.uplink, &s.err), &s.err);
	start_listening(&s);
	for (uint64_t i = 0; i < 3; i++) {
		offer(&s, 100 + 50 * i, 500);
		if (i != 1)
			greet(&s);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, i);
		assert_int_equal(c.sample.shift, 0);
		assert_int_equal(c.sample.cut_bits, 20);
		assert_int_equal(c.sample.distinct, 500);
		for (size_t k = 0; k < 500; k++)
			assert_int_equal(
				mb_fingerprint_find(&s.fp, mb_mix64(100 + 50 * i + k) >> 44), 1);
		assert_in_range(s.fp.n_distinct, 490, 500);
		ack(&s);
	}
	/* Offered one way, agreed in the other. */
	hang_up(&s);
	s.cut_bits = 0;
	s.sample_shift = 2;
	greet(&s);
	s.said[0] = 0;
	assert_goes_away(&s, "agreed to what was not offered");
	uplink_close(&s);
}

/* The server is another one now: what was not acked goes as it wants it. */
static void test_server_takes_no_sample_any_more(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	for (int acked = 0; acked < 2; acked++) {
		open_with_offer(&s, 2);
		take_delta(&s, acked);
		if (acked)
			ack(&s);
		mb_fingerprint_deinit(&s.fp);
		s.epoch = 0;
		s.boot = (struct mb_boot){ 0 };
		s.sample_shift = 0;
		greet(&s);
		for (int i = 0; acked && i < 20; i++)
			must_turn(&s);
		/* Of what was acked only the sample is left: nothing to send. */
		assert_int_equal(mb_uplink_idle(s.uplink), acked);
		if (acked)
			offer(&s, 100, 500);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_int_equal(c.epoch, 1 + acked);
		assert_int_equal(c.sample.shift, 0);
		assert_int_equal(c.pass.epochs, 1);
		assert_holds(&s, 100, 500, 0);
		ack(&s);
		/* And back. */
		s.sample_shift = 2;
		s.epoch = 0;
		mb_fingerprint_deinit(&s.fp);
		s.boot = (struct mb_boot){ 0 };
		greet(&s);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_is_sample(c, 500);
		assert_holds(&s, 100, 500, 2);
		ack(&s);
		uplink_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_cut_digests),
		cmocka_unit_test(test_server_takes_no_sample),
		cmocka_unit_test(test_server_takes_no_sample_any_more),
		cmocka_unit_test(test_guests_swapping_adds_up),
		cmocka_unit_test(test_first_and_next),
		cmocka_unit_test(test_begin_anew),
		cmocka_unit_test(test_net_delta_while_away),
		cmocka_unit_test(test_audits_are_summed),
		cmocka_unit_test(test_who_is_summed),
		cmocka_unit_test(test_who_is_not_counted_twice),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_any_segmentation),
		cmocka_unit_test(test_wakes),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_destroy_at_any_time),
	};

	return cmocka_run_group_tests_name("uplink", tests, NULL, NULL);
}
