// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bpf_hooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* clang-format off */
const struct mb_hook mb_hooks[] = {
	{ MB_NEED_ALWAYS, MB_PART_OWN, true, "mm_page_alloc", "mm_page_alloc",
	  .followed = "frames put to another use" },
	{ MB_NEED_ALWAYS, MB_PART_FAULTS, false, "do_wp_page", NULL,
	  .followed = "what processes write" },
	{ MB_NEED_ALWAYS, MB_PART_FAULTS, false, "do_huge_pmd_wp_page", NULL,
	  .followed = "what processes write to huge pages", .huge = true },
	{ MB_NEED_ALWAYS, MB_PART_FAULTS, false, "do_swap_page", NULL,
	  .followed = "what was swapped in before it is written to" },
	{ MB_NEED_ALWAYS, MB_PART_FAULTS, false, "__do_fault", NULL,
	  .followed = "shared memory" },
	{ MB_NEED_ALWAYS, MB_PART_FAULTS, false, "filemap_map_pages", NULL,
	  .followed = "shared memory mapped around a fault" },
	{ MB_NEED_ALWAYS, MB_PART_FAULT, false, "handle_mm_fault", "handle_mm_fault",
	  .followed = "what processes write" },
	{ MB_NEED_PROOF, MB_PART_OWN, true, "sched_process_exec", "sched_process_exec",
	  .followed = "stacks of programs that start just when an epoch does" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, NULL, "security_file_mprotect",
	  .followed = "shared memory that mprotect() makes writable" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "folio_mark_dirty", "set_page_dirty",
	  .followed = "write() to tmpfs, direct I/O into memory of processes" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "filemap_dirty_folio", "__set_page_dirty_nobuffers",
	  .followed = "write() to file systems without buffer heads, as XFS" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, NULL, "iomap_set_page_dirty",
	  .followed = "write() to XFS" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "mark_buffer_dirty", "mark_buffer_dirty",
	  .followed = "write() to ext4 where the page is dirty already" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "truncate_inode_partial_folio", "block_invalidatepage",
	  .followed = "ends of files zeroed by truncate() and by holes" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "__folio_start_writeback", "__test_set_page_writeback",
	  .followed = "ends of mapped files zeroed on their way to the disk" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "folio_migrate_flags", "migrate_page_states",
	  .followed = "pages moved to other frames" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "rmap_walk", "rmap_walk",
	  .followed = "pages that are being moved just when an epoch starts" },
	{ MB_NEED_PROOF, MB_PART_OWN, false, "collapse_huge_page", NULL,
	  .followed = "pages that are made one huge page just when an epoch starts", .huge = true },
	{ MB_NEED_WHO, MB_PART_OWN, true, "mm_filemap_add_to_page_cache",
	  "mm_filemap_add_to_page_cache",
	  .followed = "what is new in the page cache, told from other allocations" },
};
/* clang-format on */
const size_t mb_n_hooks = MB_ARRAY_LEN(mb_hooks);
_Static_assert(MB_ARRAY_LEN(mb_hooks) <= MB_HOOKS_MAX, "hooks");

const char *mb_hook_way_name(enum mb_hook_way way)
{
	static const char *const names[] = { "none", "tracepoint", "fexit", "kprobe" };

	return names[way];
}

/* Many functions that BTF names cannot be hooked: inlined, or renamed by the compiler. */
static bool has_fexit(int id)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FEXIT,
		    .attach_btf_id = (__u32)id);
	mb_autoclose int program = -1, link = -1;

	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "mb_probe", "GPL", nothing,
				MB_ARRAY_LEN(nothing), &opts);
	if (program < 0)
		return false;
	link = bpf_raw_tracepoint_open(NULL, program);
	return link >= 0;
}

static enum mb_hook_way way_to(const struct btf *kernel, bool fexit, const struct mb_hook *h,
			       const char *name)
{
	char type[64];
	int id;

	if (h->tracepoint) {
		snprintf(type, sizeof(type), "btf_trace_%s", name);
		id = btf__find_by_name_kind(kernel, type, BTF_KIND_TYPEDEF);
		return id > 0 ? MB_WAY_TRACEPOINT : MB_WAY_NONE;
	}
	id = fexit ? btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC) : 0;
	if (id > 0 && has_fexit(id))
		return MB_WAY_FEXIT;
	/* Whether there is one is known when it is tried. */
	return MB_WAY_KPROBE;
}

static void leave_out(struct mb_hook_plan *plan, size_t hook)
{
	plan->name[hook] = NULL;
	plan->way[hook] = MB_WAY_NONE;
}

/*
 * Those that see a part of all faults count on a new page being flagged under a lock that
 * protecting takes, too. From 6.4 on faults take one of their own; since 6.5 who walks page tables
 * takes it.
 */
static bool faults_are_locked_out(const struct btf *kernel)
{
	return btf__find_by_name_kind(kernel, "lock_vma_under_rcu", BTF_KIND_FUNC) < 0 ||
	       btf__find_by_name_kind(kernel, "page_walk_lock", BTF_KIND_ENUM) > 0;
}

static bool has_parts(const struct btf *kernel, bool folios, const struct mb_hook_plan *plan)
{
	if (!folios)
		return false;
	for (size_t i = 0; i < mb_n_hooks; i++)
		if (mb_hooks[i].part == MB_PART_FAULTS && plan->name[i] &&
		    plan->way[i] != MB_WAY_FEXIT)
			return false;
	return faults_are_locked_out(kernel);
}

int mb_hooks_probe(const struct btf *kernel, bool fexit, struct mb_hook_plan *ret,
		   struct mb_err *err)
{
	bool folios = btf__find_by_name_kind(kernel, "folio", BTF_KIND_STRUCT) > 0;
	bool huge = btf__find_by_name_kind(kernel, "__khugepaged_enter", BTF_KIND_FUNC) > 0;
	enum mb_hook_part without;

	*ret = (struct mb_hook_plan){ 0 };
	for (size_t i = 0; i < mb_n_hooks; i++) {
		const struct mb_hook *h = &mb_hooks[i];

		ret->name[i] = h->huge && !huge ? NULL : folios ? h->folio : h->page;
		if (ret->name[i])
			ret->way[i] = way_to(kernel, fexit, h, ret->name[i]);
	}
	without = has_parts(kernel, folios, ret) ? MB_PART_FAULT : MB_PART_FAULTS;
	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (mb_hooks[i].part == without)
			leave_out(ret, i);
		if (ret->name[i] && ret->way[i] == MB_WAY_NONE &&
		    mb_hooks[i].need == MB_NEED_ALWAYS)
			return mb_fail(err, EOPNOTSUPP, "this kernel has no %s", ret->name[i]);
	}
	return 0;
}

void mb_hooks_leave_out(struct mb_hook_plan *plan, enum mb_hook_need need)
{
	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (mb_hooks[i].need == need)
			leave_out(plan, i);
	}
}

void mb_hooks_leave_out_named(struct mb_hook_plan *plan, const char *text)
{
	char without[64];

	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (!plan->name[i])
			continue;
		snprintf(without, sizeof(without), "without-%s,", plan->name[i]);
		if (strstr(text, without))
			leave_out(plan, i);
	}
}
