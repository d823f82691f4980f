// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/maps.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/digest.h"

void mb_maps_deinit(struct mb_maps *m)
{
	free(m->maps);
	*m = (struct mb_maps){ 0 };
}

int mb_maps_add(struct mb_maps *m, const struct mb_map *map, struct mb_err *err)
{
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		void *p = realloc(m->maps, cap * sizeof(*m->maps));

		if (!p)
			return mb_fail_mem(err, "the list of mappings");
		m->maps = p;
		m->cap = cap;
	}
	m->maps[m->n++] = *map;
	return 0;
}

/* "7f06b4400000-7f06b4440000 rw-p 00000000 00:00 0    [heap]" */
static bool parse_head(const char *line, struct mb_map *ret)
{
	char perms[5];
	int at = 0;

	*ret = (struct mb_map){ 0 };
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64 "%n", &ret->start,
		   &ret->end, perms, &ret->inode, &at) != 4 ||
	    !at || strlen(perms) != 4 || ret->start >= ret->end || ret->start % MB_PAGE_BYTES ||
	    ret->end % MB_PAGE_BYTES)
		return false;
	ret->readable = perms[0] == 'r';
	ret->writable = perms[1] == 'w';
	ret->executable = perms[2] == 'x';
	ret->shared = perms[3] == 's';
	line += at;
	line += strspn(line, " ");
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

static void parse_flags(const char *words, struct mb_map *map)
{
	for (; *words; words++) {
		words += strspn(words, " \n");
		if (strncmp(words, "mg", 2) == 0)
			map->mergeable = true;
		else if (strncmp(words, "ht", 2) == 0)
			map->hugetlb = true;
		else if (strncmp(words, "io", 2) == 0 || strncmp(words, "pf", 2) == 0)
			map->device = true;
		words += strcspn(words, " \n");
		if (!*words)
			break;
	}
}

/* "Rss:     256 kB" and the like; keys that are not known are no error. */
static void parse_field(const char *line, struct mb_map *map)
{
	if (strncmp(line, "Rss:", 4) == 0)
		map->rss_bytes = strtoull(line + 4, NULL, 10) << 10;
	else if (strncmp(line, "Swap:", 5) == 0)
		map->swap_bytes = strtoull(line + 5, NULL, 10) << 10;
	else if (strncmp(line, "AnonHugePages:", 14) == 0)
		map->huge_bytes = strtoull(line + 14, NULL, 10) << 10;
	else if (strncmp(line, "Private_Hugetlb:", 16) == 0 ||
		 strncmp(line, "Shared_Hugetlb:", 15) == 0)
		map->hugetlb_bytes += strtoull(strchr(line, ':') + 1, NULL, 10) << 10;
	else if (strncmp(line, "VmFlags:", 8) == 0)
		parse_flags(line + 8, map);
}

int mb_maps_parse(FILE *smaps, struct mb_maps *m, struct mb_err *err)
{
	mb_autofree char *line = NULL;
	size_t cap = 0, number = 0;

	m->n = 0;
	while (errno = 0, getline(&line, &cap, smaps) >= 0) {
		struct mb_map map;
		int r;

		number++;
		if (isupper((unsigned char)*line)) {
			if (m->n)
				parse_field(line, &m->maps[m->n - 1]);
			continue;
		}
		if (!parse_head(line, &map))
			return mb_fail(err, EBADMSG, "smaps line %zu is not understood", number);
		r = mb_maps_add(m, &map, err);
		if (r < 0)
			return r;
	}
	return errno ? mb_fail(err, errno, "smaps: %m") : 0;
}
