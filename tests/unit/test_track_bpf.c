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
		/* Of those that see a part of all faults there need not be any. */
		assert_true(h->need != MB_NEED_ALWAYS || h->part == MB_PART_FAULTS ||
			    (h->folio && h->page));
	}
	for (int k = 0; k < MB_DIRTY_KINDS; k++)
		assert_true(*mb_dirty_kind_name(k));
}

static bool has_program(struct bpf_object *object, const char *prefix, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s_%s", prefix, name);
	return bpf_object__find_program_by_name(object, text);
}

static void assert_programs(struct bpf_object *object, const struct mb_hook *h, const char *name)
{
	bool after = name && has_program(object, "fexit", name);

	if (!name)
		return;
	if (h->tracepoint ? !has_program(object, "raw", name) :
			    !after && !has_program(object, "fentry", name))
		fail_msg("no program for %s", name);
	if (h->tracepoint || h->part == MB_PART_FAULTS)
		return;
	/* What runs when a call returns needs both ends of it. */
	if (!has_program(object, "enter", name) || has_program(object, "leave", name) != after)
		fail_msg("no kprobes for %s", name);
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
