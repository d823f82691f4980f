// SPDX-License-Identifier: GPL-2.0-or-later
/* Any protobuf bytes: what unpacks is packed and unpacked again, and memory stays in bounds. */
#include <sanitizer/allocator_interface.h>

#include "proto/base/cleanup.h"
#include "proto/msg.h"
#include "tests/fuzz/util_fuzz.h"

/* All that was allocated, also what was freed: as the bound counts. */
static size_t allocated;

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	allocated += n;
}

static void on_free(const volatile void *p)
{
	(void)p;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	must(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
	return 0;
}

static int unpack(struct mb_slice raw, struct mb_msg *ret)
{
	struct mb_err err = { 0 };
	size_t before = allocated;
	int r = mb_msg_unpack(raw, ret, &err);

	/* FORMAT.md leaves the number to us; this is the one of msg.c. */
	must(allocated - before <= 2 * raw.len + 16384);
	if (r < 0) {
		must_fail(r, &err);
		must(!ret->unpacked);
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf first = { 0 }, second = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 }, again = { 0 };
	struct mb_err err = { 0 };

	if (unpack((struct mb_slice){ data, n }, &msg) < 0)
		return 0;
	must(strcmp(mb_msg_type_name(msg.type), "unknown") != 0);
	must_ok(mb_msg_pack(&msg, &first, &err), &err);
	must(unpack(mb_buf_slice(&first), &again) == 0);
	must(again.type == msg.type);
	must_ok(mb_msg_pack(&again, &second, &err), &err);
	must(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	return 0;
}
