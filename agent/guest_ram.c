// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/guest_ram.h"

#include <string.h>

#include "proto/base/cleanup.h"

static const uint64_t UNMARKED_MIN = 16 << 20;
static const uint64_t SURELY_RAM = 128 << 20;

enum evidence { EVIDENCE_NONE, EVIDENCE_SIZE, EVIDENCE_KIND };

static enum evidence evidence_for(const struct mb_map *m)
{
	/* The other half of QEMU's code buffer, when it may not be writable and executable. */
	static const char code[] = "/memfd:tcg-jit";

	if (!m->readable || !m->writable || m->executable || m->device || m->name[0] == '[' ||
	    strncmp(m->name, code, sizeof(code) - 1) == 0)
		return EVIDENCE_NONE;
	if (m->mergeable)
		return EVIDENCE_KIND;
	if (mb_map_bytes(m) < UNMARKED_MIN)
		return EVIDENCE_NONE;
	return m->shared || m->hugetlb ? EVIDENCE_KIND : EVIDENCE_SIZE;
}

static int collect(const struct mb_maps *all, enum evidence wanted, struct mb_maps *ret,
		   struct mb_err *err)
{
	ret->n = 0;
	for (size_t i = 0; i < all->n; i++) {
		const struct mb_map *m = &all->maps[i];
		struct mb_map *last = ret->n ? &ret->maps[ret->n - 1] : NULL;
		int r;

		if (evidence_for(m) != wanted)
			continue;
		/* One block that the monitor treated piecewise (locking, NUMA policy). */
		if (last && last->end == m->start) {
			last->end = m->end;
			last->rss_bytes += m->rss_bytes;
			last->swap_bytes += m->swap_bytes;
			last->huge_bytes += m->huge_bytes;
			last->hugetlb_bytes += m->hugetlb_bytes;
			continue;
		}
		r = mb_maps_add(ret, m, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void drop_small(struct mb_maps *m)
{
	uint64_t largest = 0;
	size_t kept = 0;

	for (size_t i = 0; i < m->n; i++)
		largest = MB_MAX(largest, mb_map_bytes(&m->maps[i]));
	for (size_t i = 0; i < m->n; i++) {
		uint64_t bytes = mb_map_bytes(&m->maps[i]);

		if (bytes >= largest - largest / 2 || bytes >= SURELY_RAM)
			m->maps[kept++] = m->maps[i];
	}
	m->n = kept;
}

int mb_guest_ram_find(const struct mb_maps *all, struct mb_maps *ret, struct mb_err *err)
{
	int r = collect(all, EVIDENCE_KIND, ret, err);

	if (r == 0 && ret->n == 0)
		r = collect(all, EVIDENCE_SIZE, ret, err);
	if (r == 0)
		drop_small(ret);
	return r;
}

bool mb_is_vm_monitor(const char *program)
{
	static const char *const starts[] = { "qemu-system", "qemu-kvm" };
	static const char *const names[] = { "kvm", "cloud-hypervisor", "firecracker" };

	for (size_t i = 0; i < MB_ARRAY_LEN(starts); i++)
		if (strncmp(program, starts[i], strlen(starts[i])) == 0)
			return true;
	for (size_t i = 0; i < MB_ARRAY_LEN(names); i++)
		if (strcmp(program, names[i]) == 0)
			return true;
	return false;
}
