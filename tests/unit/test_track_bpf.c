// SPDX-License-Identifier: GPL-2.0-or-later
/* What can be told without a guest; tests/vm/guest/test_track.c is the test. */
#include "agent/track_bpf.h"

#include <bpf/libbpf.h>

#include "agent/bpf_object.h"
#include "agent/mbwalk.h"
#include "tests/unit/util_test.h"

static int no_device(void)
{
	return -ENODEV;
}

static void test_no_module(void **state)
{
	struct mb_mbwalk_machine was = mb_mbwalk_machine;
	struct mb_tracker *t;
	struct mb_err err = { 0 };

	(void)state;
	mb_mbwalk_machine.open = no_device;
	assert_fails(mb_track_bpf.open(&(struct mb_tracker_options){ 0 }, &t, &err), ENODEV, &err,
		     "mbwalk");
	mb_mbwalk_machine = was;
}

/* The text says what is missed, so each must have one; and a name for one kind of kernel at least.
 */
static void test_hooks(void **state)
{
	(void)state;
	assert_true(mb_n_hooks > 0 && mb_n_hooks <= MB_HOOKS_MAX);
	for (size_t i = 0; i < mb_n_hooks; i++) {
		const struct mb_hook *h = &mb_hooks[i];

		assert_true(h->folio || h->page);
		assert_true(h->followed && *h->followed);
		assert_true(h->need != MB_NEED_ALWAYS || (h->folio && h->page));
	}
	for (int k = 0; k < MB_DIRTY_KINDS; k++)
		assert_true(*mb_dirty_kind_name(k));
}

static void assert_programs(struct bpf_object *object, const struct mb_hook *h, const char *name)
{
	static const char *const function[] = { "fexit", "enter", "leave" };
	char text[64];

	if (!name)
		return;
	for (size_t i = 0; i < (h->tracepoint ? 1 : 3); i++) {
		snprintf(text, sizeof(text), "%s_%s", h->tracepoint ? "raw" : function[i], name);
		if (!bpf_object__find_program_by_name(object, text))
			fail_msg("no program %s", text);
	}
}

/* Both objects are in the program, whole: libbpf finds their programs and maps. */
static void test_objects(void **state)
{
	(void)state;
	for (int bits = 0; bits < 2; bits++) {
		struct bpf_object *object;
		struct mb_err err = { 0 };

		assert_ok(mb_bpf_object_open(bits, NULL, &object, &err), &err);
		for (size_t i = 0; i < mb_n_hooks; i++) {
			assert_programs(object, &mb_hooks[i], mb_hooks[i].folio);
			assert_programs(object, &mb_hooks[i], mb_hooks[i].page);
		}
		bpf_object__close(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_module),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_objects),
	};

	return cmocka_run_group_tests_name("track_bpf", tests, NULL, NULL);
}
