// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/names.h"

int mb_names_init(struct mb_names *names, size_t capacity, struct mb_err *err)
{
	*names = (struct mb_names){ 0 };
	/* A fuller one is a slow one. */
	if (!hcreate_r(capacity + capacity / 2 + 8, &names->table))
		return mb_fail_mem(err, "a table of names");
	names->made = true;
	return 0;
}

void mb_names_deinit(struct mb_names *names)
{
	if (names->made)
		hdestroy_r(&names->table);
	*names = (struct mb_names){ 0 };
}

static uint32_t look_up(struct mb_names *names, const char *name, void *data, ACTION action)
{
	ENTRY item = { (char *)(uintptr_t)name, data }, *found;

	if (!hsearch_r(item, action, &found, &names->table))
		return MB_NO_NAME;
	return (uint32_t)(uintptr_t)found->data;
}

uint32_t mb_names_find(struct mb_names *names, const char *name)
{
	return look_up(names, name, NULL, FIND);
}

uint32_t mb_names_put(struct mb_names *names, const char *name, uint32_t number)
{
	return look_up(names, name, (void *)(uintptr_t)number, ENTER);
}
