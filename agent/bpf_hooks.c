// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bpf_hooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>

#include "proto/base/cleanup.h"

const struct mb_hook mb_hooks[] = {
	{ MB_NEED_ALWAYS, true, "mm_page_alloc", "mm_page_alloc", "frames put to another use" },
	{ MB_NEED_ALWAYS, false, "handle_mm_fault", "handle_mm_fault", "what processes write" },
	{ MB_NEED_PROOF, true, "mm_page_free", "mm_page_free", "frames wiped when given back" },
	{ MB_NEED_PROOF, true, "sched_process_exec", "sched_process_exec",
	  "stacks of programs that start just when an epoch does" },
	{ MB_NEED_PROOF, false, NULL, "security_file_mprotect",
	  "shared memory that mprotect() makes writable" },
	{ MB_NEED_PROOF, false, "folio_mark_dirty", "set_page_dirty",
	  "write() to tmpfs, direct I/O into memory of processes" },
	{ MB_NEED_PROOF, false, "filemap_dirty_folio", "__set_page_dirty_nobuffers",
	  "write() to file systems without buffer heads, as XFS" },
	{ MB_NEED_PROOF, false, NULL, "iomap_set_page_dirty", "write() to XFS" },
	{ MB_NEED_PROOF, false, "mark_buffer_dirty", "mark_buffer_dirty",
	  "write() to ext4 where the page is dirty already" },
	{ MB_NEED_PROOF, false, "truncate_inode_partial_folio", "block_invalidatepage",
	  "ends of files zeroed by truncate() and by holes" },
	{ MB_NEED_PROOF, false, "__folio_start_writeback", "__test_set_page_writeback",
	  "ends of mapped files zeroed on their way to the disk" },
	{ MB_NEED_PROOF, false, "folio_migrate_flags", "migrate_page_states",
	  "pages moved to other frames" },
	{ MB_NEED_PROOF, false, "rmap_walk", "rmap_walk",
	  "pages that are being moved just when an epoch starts" },
	{ MB_NEED_WHO, true, "mm_filemap_add_to_page_cache", "mm_filemap_add_to_page_cache",
	  "what is new in the page cache, told from other allocations" },
	{ MB_NEED_WHO, false, "wp_page_copy", "wp_page_copy",
	  "copies on write, told from first writes" },
};
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

int mb_hooks_probe(const struct btf *kernel, bool fexit, struct mb_hook_plan *ret,
		   struct mb_err *err)
{
	bool folios = btf__find_by_name_kind(kernel, "folio", BTF_KIND_STRUCT) > 0;

	*ret = (struct mb_hook_plan){ 0 };
	for (size_t i = 0; i < mb_n_hooks; i++) {
		const struct mb_hook *h = &mb_hooks[i];

		ret->name[i] = folios ? h->folio : h->page;
		if (!ret->name[i])
			continue;
		ret->way[i] = way_to(kernel, fexit, h, ret->name[i]);
		if (ret->way[i] == MB_WAY_NONE && h->need == MB_NEED_ALWAYS)
			return mb_fail(err, EOPNOTSUPP, "this kernel has no %s", ret->name[i]);
	}
	return 0;
}

void mb_hooks_leave_out(struct mb_hook_plan *plan, enum mb_hook_need need)
{
	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (mb_hooks[i].need != need)
			continue;
		plan->name[i] = NULL;
		plan->way[i] = MB_WAY_NONE;
	}
}
