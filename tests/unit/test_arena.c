// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/arena.h"

#include "tests/unit/util_test.h"

static void test_no_more_than_a_multiple(void **state)
{
	ProtobufCAllocator alloc;
	struct mb_arena arena;
	void *p, *q;

	(void)state;
	mb_arena_init(&arena, &alloc, 1000);
	p = alloc.alloc(alloc.allocator_data, 18384 - 1);
	assert_non_null(p);
	assert_null(alloc.alloc(alloc.allocator_data, 2));
	assert_null(alloc.alloc(alloc.allocator_data, SIZE_MAX));
	q = alloc.alloc(alloc.allocator_data, 1);
	assert_non_null(q);
	alloc.free(alloc.allocator_data, p);
	/* What is freed is not had again: the input decides how often that is. */
	assert_null(alloc.alloc(alloc.allocator_data, 1));
	alloc.free(alloc.allocator_data, q);
	alloc.free(alloc.allocator_data, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_more_than_a_multiple),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
