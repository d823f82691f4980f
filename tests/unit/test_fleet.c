// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet.h"

#include <pthread.h>

#include "tests/unit/util_server.h"

static struct mb_fleet *make_fleet(void)
{
	struct mb_fleet *f;
	struct mb_err err = { 0 };

	assert_ok(mb_fleet_create(&f, &err), &err);
	return f;
}

static uint32_t greet(struct mb_fleet *f, const struct mb_hello *h, uint64_t session,
		      struct mb_welcome *ret)
{
	struct mb_err err = { 0 };
	uint32_t vm = 999;

	*ret = (struct mb_welcome){ 0 };
	assert_ok(mb_fleet_greet(f, h, session, ret, &vm, &err), &err);
	return vm;
}

static void assert_refused(struct mb_fleet *f, const struct mb_hello *h, int code, const char *word)
{
	struct mb_welcome w = { 0 };
	struct mb_err err = { 0 };
	uint32_t vm;

	assert_fails(mb_fleet_greet(f, h, 77, &w, &vm, &err), code, &err, word);
	assert_int_equal(w.epoch, 0);
}

/* What ingest does once an epoch is durable. */
static void publish(struct mb_fleet *f, uint32_t index, const struct mb_hello *h, uint64_t epoch,
		    uint64_t first, size_t n)
{
	struct mb_fingerprint fp;
	struct mb_vm vm;

	mb_fleet_get(f, index, &vm);
	mb_fpref_put(vm.fp);
	make_fingerprint_of(first, 1, n, &fp);
	vm.fp = mb_fpref_new(&fp);
	assert_non_null(vm.fp);
	vm.epoch = epoch;
	vm.boot = h->boot;
	vm.identity = h->identity;
	mb_fleet_publish(f, index, &vm);
}

/* Found again by its name, however often the table had to grow. */
static void test_many_vms(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_welcome w;
	struct mb_hello h;
	char name[16];

	(void)state;
	for (int again = 0; again < 2; again++)
		for (uint32_t i = 0; i < 1000; i++) {
			uint32_t vm;

			snprintf(name, sizeof(name), "vm%u", i);
			make_hello(name, 1, &h);
			vm = greet(f, &h, i + 1, &w);
			assert_int_equal(vm, i);
			mb_fleet_leave(f, vm, i + 1);
		}
	mb_fleet_destroy(f);
}

static void test_new_vm(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_welcome w;
	struct mb_hello h;
	struct mb_vm vm;

	(void)state;
	make_hello("web1", 1, &h);
	assert_int_equal(greet(f, &h, 5, &w), 0);
	assert_int_equal(w.epoch, 0);
	assert_int_equal(w.fingerprint.pages, 0);
	mb_fleet_get(f, 0, &vm);
	assert_string_equal(vm.name, "web1");
	assert_string_equal(vm.host, "");
	assert_string_equal(vm.source, "source of the test");
	assert_int_equal(vm.memory_bytes, 64 << 20);
	assert_int_equal(vm.session, 5);
	assert_int_equal(vm.epoch, 0);
	assert_null(vm.fp);
	assert_int_equal(mb_fpref_fingerprint(vm.fp)->n_pages, 0);
	mb_vm_deinit(&vm);
	make_hello("web2", 1, &h);
	assert_int_equal(greet(f, &h, 6, &w), 1);
	mb_fleet_destroy(f);
	mb_fleet_destroy(NULL);
}

static void test_busy(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_welcome w;
	struct mb_hello h;
	uint32_t vm;

	(void)state;
	make_hello("web1", 1, &h);
	vm = greet(f, &h, 5, &w);
	assert_refused(f, &h, EBUSY, "web1");
	/* A session that is gone already cannot throw the next one out. */
	mb_fleet_leave(f, vm, 4);
	assert_refused(f, &h, EBUSY, "web1");
	mb_fleet_leave(f, vm, 5);
	assert_int_equal(greet(f, &h, 6, &w), vm);
	mb_fleet_leave(f, vm, 5);
	assert_refused(f, &h, EBUSY, "web1");
	mb_fleet_destroy(f);
}

static void test_welcome_says_what_is_held(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_fingerprint_id id;
	struct mb_fingerprint fp;
	struct mb_welcome w;
	struct mb_hello h;
	struct mb_boot zero = { 0 };

	(void)state;
	make_hello("web1", 1, &h);
	greet(f, &h, 1, &w);
	publish(f, 0, &h, 4, 100, 50);
	mb_fleet_leave(f, 0, 1);
	greet(f, &h, 2, &w);
	assert_int_equal(w.epoch, 4);
	assert_memory_equal(&w.boot, &h.boot, sizeof(h.boot));
	make_fingerprint_of(100, 1, 50, &fp);
	id = mb_fingerprint_id(&fp);
	assert_true(mb_fingerprint_id_equal(&w.fingerprint, &id));
	mb_fingerprint_deinit(&fp);
	mb_fleet_leave(f, 0, 2);
	/* Another numbering. */
	h.boot.id[15] = 1;
	greet(f, &h, 3, &w);
	assert_int_equal(w.epoch, 0);
	assert_memory_equal(&w.boot, &zero, sizeof(zero));
	mb_fleet_leave(f, 0, 3);
	/* The same numbering, other digests: it is alone, and may. */
	h.boot.id[15] = 0;
	make_identity("d", 2, &h.identity);
	greet(f, &h, 4, &w);
	assert_int_equal(w.epoch, 0);
	mb_fleet_leave(f, 0, 4);
	make_identity("d", 1, &h.identity);
	greet(f, &h, 5, &w);
	assert_int_equal(w.epoch, 4);
	mb_fleet_destroy(f);
}

static void test_one_key_per_domain(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_hello a, b;
	struct mb_welcome w;

	(void)state;
	make_hello("a", 1, &a);
	make_hello("b", 2, &b);
	make_identity("d", 2, &b.identity);
	greet(f, &a, 1, &w);
	/* Nobody has sent anything: nothing to differ from. */
	greet(f, &b, 2, &w);
	mb_fleet_leave(f, 1, 2);
	publish(f, 0, &a, 1, 1, 10);
	assert_refused(f, &b, EXDEV, "another key");
	/* A refused agent is not connected. */
	make_identity("d", 1, &b.identity);
	greet(f, &b, 3, &w);
	mb_fleet_leave(f, 1, 3);
	/* Not keyed at all is another key, too. */
	b.identity.keyed = false;
	assert_refused(f, &b, EXDEV, "another key");
	/* In another domain, or hashed otherwise, it is nobody's business. */
	make_identity("e", 2, &b.identity);
	greet(f, &b, 4, &w);
	mb_fleet_leave(f, 1, 4);
	make_identity("d", 2, &b.identity);
	b.identity.bits = 48;
	b.identity.zero_digest >>= 16;
	greet(f, &b, 5, &w);
	mb_fleet_leave(f, 1, 5);
	/* A refusal makes no VM. */
	make_hello("c", 1, &b);
	make_identity("d", 3, &b.identity);
	assert_refused(f, &b, EXDEV, "another key");
	make_identity("d", 1, &b.identity);
	assert_int_equal(greet(f, &b, 6, &w), 2);
	mb_fleet_destroy(f);
}

/* Two keys, and no third, until no VM that is held has the old one. */
static void test_two_keys_for_a_while(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_key_rotation r, over;
	struct mb_hello a, b, c, d;
	struct mb_err err = { 0 };
	struct mb_welcome w;
	uint32_t to;

	(void)state;
	make_hello("a", 1, &a);
	make_hello("b", 2, &b);
	make_hello("c", 3, &c);
	greet(f, &a, 1, &w);
	greet(f, &b, 2, &w);
	publish(f, 0, &a, 1, 1, 10);
	publish(f, 1, &b, 1, 1, 10);
	make_identity("d", 2, &c.identity);
	to = mb_identity_key_id(&c.identity);
	assert_false(mb_fleet_may_coexist(f, &a.identity, &c.identity));
	assert_refused(f, &c, EXDEV, "another key");
	assert_ok(mb_fleet_plan_rotation(f, "d", to, &r, &err), &err);
	/* A plan is none yet. */
	assert_refused(f, &c, EXDEV, "another key");
	assert_ok(mb_fleet_begin_rotation(f, &r, &err), &err);
	assert_true(mb_fleet_may_coexist(f, &a.identity, &c.identity));
	greet(f, &c, 3, &w);
	assert_int_equal(mb_fleet_check_key(f, 2, &c.identity, &err), 0);
	assert_int_equal(mb_fleet_check_key(f, 2, &a.identity, &err), 0);
	publish(f, 2, &c, 1, 1, 10);
	assert_false(mb_fleet_end_rotation(f, &over));
	make_hello("d", 4, &d);
	make_identity("d", 3, &d.identity);
	assert_refused(f, &d, EXDEV, "goes from key");
	assert_false(mb_fleet_may_coexist(f, &a.identity, &d.identity));
	assert_false(mb_fleet_may_coexist(f, &d.identity, &a.identity));
	/* Of the VM that changes its key nothing is held that its agent could go on from. */
	mb_fleet_leave(f, 0, 1);
	make_identity("d", 2, &a.identity);
	greet(f, &a, 4, &w);
	assert_int_equal(w.epoch, 0);
	publish(f, 0, &a, 1, 1, 10);
	assert_false(mb_fleet_end_rotation(f, &over));
	make_identity("d", 2, &b.identity);
	publish(f, 1, &b, 1, 1, 10);
	assert_true(mb_fleet_end_rotation(f, &over));
	assert_int_equal(over.n_to, 3);
	make_identity("d", 1, &d.identity);
	assert_refused(f, &d, EXDEV, "another key");
	mb_fleet_destroy(f);
}

static void test_publish_keeps_what_agents_say(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_fingerprint fp;
	struct mb_welcome w;
	struct mb_hello h;
	struct mb_vm vm;
	uint64_t g;

	(void)state;
	make_hello("web1", 1, &h);
	h.host = "host1";
	greet(f, &h, 1, &w);
	/* An epoch is on its way to the disk, while the agent comes again from elsewhere. */
	mb_fleet_get(f, 0, &vm);
	mb_fleet_leave(f, 0, 1);
	h.host = "host2";
	h.source = "another";
	h.memory_bytes = 1 << 30;
	greet(f, &h, 2, &w);
	make_fingerprint_of(1, 1, 3, &fp);
	vm.fp = mb_fpref_new(&fp);
	vm.epoch = 1;
	vm.id = 7;
	vm.pass.tracker = "gone soon";
	g = mb_fleet_generation(f);
	mb_fleet_publish(f, 0, &vm);
	assert_true(mb_fleet_generation(f) > g);
	mb_fleet_get(f, 0, &vm);
	assert_string_equal(vm.host, "host2");
	assert_string_equal(vm.source, "another");
	assert_int_equal(vm.memory_bytes, 1 << 30);
	assert_int_equal(vm.session, 2);
	assert_int_equal(vm.id, 7);
	assert_int_equal(vm.epoch, 1);
	assert_null(vm.pass.tracker);
	mb_vm_deinit(&vm);
	/* An agent that does not know its host leaves it as it was. */
	mb_fleet_leave(f, 0, 2);
	h.host = "";
	greet(f, &h, 3, &w);
	mb_fleet_get(f, 0, &vm);
	assert_string_equal(vm.host, "host2");
	mb_vm_deinit(&vm);
	mb_fleet_destroy(f);
}

static void test_snapshot_is_sorted(void **state)
{
	static const char *const names[] = { "b", "a", "c", "B", "aa" };
	static const char *const sorted[] = { "B", "a", "aa", "b", "c" };
	struct mb_fleet *f = make_fleet();
	struct mb_fleet_snapshot s;
	struct mb_err err = { 0 };
	struct mb_welcome w;
	struct mb_hello h;

	(void)state;
	assert_ok(mb_fleet_snapshot(f, &s, &err), &err);
	assert_int_equal(s.n, 0);
	mb_fleet_snapshot_deinit(&s);
	for (uint64_t i = 0; i < 5; i++) {
		make_hello(names[i], 1, &h);
		greet(f, &h, i + 1, &w);
	}
	assert_ok(mb_fleet_snapshot(f, &s, &err), &err);
	assert_int_equal(s.n, 5);
	assert_int_equal(s.generation, mb_fleet_generation(f));
	for (int i = 0; i < 5; i++)
		assert_string_equal(s.vms[i].name, sorted[i]);
	assert_int_equal(mb_fleet_count(f).vms, 5);
	assert_int_equal(mb_fleet_count(f).online, 5);
	mb_fleet_leave(f, 0, 1);
	assert_int_equal(mb_fleet_count(f).vms, 5);
	assert_int_equal(mb_fleet_count(f).online, 4);
	/* It outlives the fleet. */
	mb_fleet_destroy(f);
	assert_string_equal(s.vms[4].name, "c");
	mb_fleet_snapshot_deinit(&s);
	mb_fleet_snapshot_deinit(&s);
}

enum { EPOCHS = 2000, VMS = 3 };

static void *publish_many(void *arg)
{
	struct mb_hello h;

	for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
		make_hello("x", 1, &h);
		publish(arg, (uint32_t)(epoch % VMS), &h, epoch, epoch * 1000, 1 + epoch % 9);
	}
	return NULL;
}

static void test_snapshots_do_not_change(void **state)
{
	static const char *const names[VMS] = { "a", "b", "c" };
	struct mb_fleet *f = make_fleet();
	struct mb_fleet_snapshot s = { 0 };
	struct mb_err err = { 0 };
	struct mb_welcome w;
	struct mb_hello h;
	uint64_t seen = 0, newest = 0;
	pthread_t thread;

	(void)state;
	for (uint64_t i = 0; i < VMS; i++) {
		make_hello(names[i], 1, &h);
		greet(f, &h, i + 1, &w);
	}
	assert_int_equal(pthread_create(&thread, NULL, publish_many, f), 0);
	while (newest < EPOCHS) {
		newest = 0;
		assert_ok(mb_fleet_snapshot(f, &s, &err), &err);
		assert_true(s.generation >= seen);
		seen = s.generation;
		for (uint32_t i = 0; i < VMS; i++) {
			const struct mb_fingerprint *fp = mb_fpref_fingerprint(s.vms[i].fp);
			uint64_t epoch = s.vms[i].epoch;

			newest = epoch > newest ? epoch : newest;
			if (!epoch)
				continue;
			assert_int_equal(fp->n_pages, 1 + epoch % 9);
			assert_int_equal(fp->digests[0], epoch * 1000);
		}
		/* Every generation is one publish. */
		assert_int_equal(newest, s.generation - VMS);
		mb_fleet_snapshot_deinit(&s);
	}
	pthread_join(thread, NULL);
	mb_fleet_destroy(f);
}

static void test_references(void **state)
{
	struct mb_fingerprint fp;
	struct mb_fpref *ref;

	(void)state;
	mb_fpref_put(NULL);
	assert_null(mb_fpref_get(NULL));
	assert_int_equal(mb_fpref_fingerprint(NULL)->n_distinct, 0);
	make_fingerprint_of(1, 1, 10, &fp);
	ref = mb_fpref_new(&fp);
	assert_null(fp.digests);
	assert_ptr_equal(mb_fpref_get(ref), ref);
	mb_fpref_put(ref);
	assert_int_equal(mb_fpref_fingerprint(ref)->n_distinct, 10);
	mb_fpref_put(ref);
}

static void test_moves_are_noted(void **state)
{
	struct mb_fleet *f = make_fleet();
	struct mb_welcome w;
	struct mb_hello h;
	struct mb_vm vm;

	(void)state;
	make_hello("a", 1, &h);
	h.host = "h1";
	greet(f, &h, 1, &w);
	mb_fleet_leave(f, 0, 1);
	greet(f, &h, 2, &w);
	mb_fleet_leave(f, 0, 2);
	h.host = "";
	greet(f, &h, 3, &w);
	mb_fleet_get(f, 0, &vm);
	assert_int_equal(vm.moved_ns, 0);
	mb_vm_deinit(&vm);
	mb_fleet_leave(f, 0, 3);
	h.host = "h2";
	greet(f, &h, 4, &w);
	publish(f, 0, &h, 1, 1, 10);
	mb_fleet_get(f, 0, &vm);
	assert_true(vm.moved_ns);
	assert_string_equal(vm.moved_from, "h1");
	mb_vm_deinit(&vm);
	mb_fleet_destroy(f);
}

static void test_settles_in_order(void **state)
{
	struct mb_fleet *f = make_fleet();
	const struct mb_durable *d;
	struct mb_welcome w;
	struct mb_hello h;
	struct mb_vm vm;

	(void)state;
	make_hello("a", 1, &h);
	greet(f, &h, 1, &w);
	mb_fleet_set_durable(f, 1);
	publish(f, 0, &h, 1, 0, 10);
	publish(f, 0, &h, 2, 5, 10);
	publish(f, 0, &h, 3, 0, 10);
	mb_fleet_get(f, 0, &vm);
	assert_null(mb_fpref_durable(vm.fp));
	mb_fleet_settle(f);
	d = mb_fpref_durable(vm.fp);
	assert_non_null(d);
	/* 5 to 9 were always there, 0 to 4 went and came back. */
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(mb_durable_has(d, i), i >= 5);
	mb_fleet_settle(f);
	assert_ptr_equal(mb_fpref_durable(vm.fp), d);
	mb_vm_deinit(&vm);
	assert_null(mb_fpref_durable(NULL));
	mb_fleet_destroy(f);
}

static void test_long_texts_are_cut(void **state)
{
	struct mb_fleet *f = make_fleet();
	char text[600], name[MB_NAME_MAX];
	struct mb_welcome w;
	struct mb_hello h;
	struct mb_vm vm;

	(void)state;
	memset(text, 's', sizeof(text));
	text[599] = 0;
	memset(name, 'n', sizeof(name));
	name[MB_NAME_MAX - 1] = 0;
	make_hello(name, 1, &h);
	h.source = text;
	h.host = name;
	greet(f, &h, 1, &w);
	mb_fleet_get(f, 0, &vm);
	assert_string_equal(vm.name, name);
	assert_string_equal(vm.host, name);
	assert_int_equal(strlen(vm.source), MB_TEXT_MAX - 1);
	mb_vm_deinit(&vm);
	assert_refused(f, &h, EBUSY, "nnn");
	mb_fleet_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_vms),
		cmocka_unit_test(test_new_vm),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_welcome_says_what_is_held),
		cmocka_unit_test(test_one_key_per_domain),
		cmocka_unit_test(test_two_keys_for_a_while),
		cmocka_unit_test(test_publish_keeps_what_agents_say),
		cmocka_unit_test(test_snapshot_is_sorted),
		cmocka_unit_test(test_snapshots_do_not_change),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_moves_are_noted),
		cmocka_unit_test(test_settles_in_order),
		cmocka_unit_test(test_long_texts_are_cut),
	};

	return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
