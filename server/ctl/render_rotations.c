// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "server/ctl/render.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "-";
}

const json_t *mb_render_rotation_of(const json_t *root, const char *domain)
{
	const json_t *list = json_object_get(root, "rotations"), *r;
	size_t i;

	json_array_foreach(list, i, r)
	{
		if (domain && strcmp(text_of(r, "domain"), domain) == 0)
			return r;
	}
	return NULL;
}

void mb_render_rotations(const json_t *root, FILE *to)
{
	const json_t *list = json_object_get(root, "rotations"), *r;
	size_t i;

	json_array_foreach(list, i, r)
	{
		fprintf(to,
			"Trust domain %s: rotation from key %s to key %s under way: "
			"%lld of %lld VMs have the new key\n",
			text_of(r, "domain"), text_of(r, "from"), text_of(r, "to"),
			(long long)json_integer_value(json_object_get(r, "moved")),
			(long long)json_integer_value(json_object_get(r, "vms")));
	}
}
