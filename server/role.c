// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/role.h"

#include <stddef.h>
#include <string.h>

#include "proto/base/cleanup.h"

static const char *const names[] = { "none", "read", "plan", "apply" };

const char *mb_role_name(enum mb_role role)
{
	return names[role];
}

enum mb_role mb_role_parse(const char *name)
{
	for (int i = MB_ROLE_READ; i <= MB_ROLE_APPLY; i++)
		if (strcmp(names[i], name) == 0)
			return (enum mb_role)i;
	return MB_ROLE_NONE;
}

enum mb_role mb_role_of_uri(const char *uri)
{
	size_t n = strlen(MB_ROLE_URI_PREFIX);

	return strncmp(uri, MB_ROLE_URI_PREFIX, n) == 0 ? mb_role_parse(uri + n) : MB_ROLE_NONE;
}

enum mb_role mb_role_needed(const char *method, const char *path)
{
	static const char *const planning[] = { "/v1/plan",	   "/v1/place",	  "/v1/drain",
						"/v1/consolidate", "/v1/hotspot", "/v1/whatif" };

	if (strcmp(method, "GET") != 0)
		return MB_ROLE_APPLY;
	for (size_t i = 0; i < MB_ARRAY_LEN(planning); i++)
		if (strcmp(path, planning[i]) == 0)
			return MB_ROLE_PLAN;
	return MB_ROLE_READ;
}
