/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HOOK(function, n) { ... args[0] ... }, n arguments of which are looked at, runs when that kernel
 * function has returned, so after it has written what it writes. STORED_HOOK(function, n) runs when
 * it is called, which costs less: for a function that is told of a write when that is done.
 *
 * Both make programs for all ways to get there, of which the agent loads the one that works:
 *	fexit_FUNCTION or fentry_FUNCTION	a trampoline
 *	enter_FUNCTION and leave_FUNCTION	a kprobe that keeps the arguments for a
 *						kretprobe, or does it all; slower
 */
#ifndef MB_HOOK_BPF_H
#define MB_HOOK_BPF_H

#include "bpf/flag.bpf.h"

#include <bpf/bpf_tracing.h>

#define MB_UNUSED __attribute__((unused))

enum { MB_ARGS = 5 };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MB_ARGS_MAX);
	__type(key, u64);
	__type(value, u64[MB_ARGS]);
} mb_args SEC(".maps");

static __always_inline u64 mb_call(u32 hook)
{
	return (u64)(u32)bpf_get_current_pid_tgid() << 32 | hook;
}

static __always_inline int mb_enter(struct pt_regs *ctx, u32 hook)
{
	u64 key = mb_call(hook), args[MB_ARGS];

	args[0] = PT_REGS_PARM1_CORE(ctx);
	args[1] = PT_REGS_PARM2_CORE(ctx);
	args[2] = PT_REGS_PARM3_CORE(ctx);
	args[3] = PT_REGS_PARM4_CORE(ctx);
	args[4] = PT_REGS_PARM5_CORE(ctx);
	/*
	 * A thread that is already in there has left it: there are just so many kretprobes at a
	 * time (to 5.11 one a CPU), others go past them.
	 */
	if (bpf_map_lookup_elem(&mb_args, &key))
		mb_lost(MB_LOST_RETURN);
	if (bpf_map_update_elem(&mb_args, &key, args, BPF_ANY) < 0)
		mb_lost(MB_LOST_ARGS);
	return 0;
}

static __always_inline bool mb_leave(u32 hook, u64 *ret_args)
{
	u64 key = mb_call(hook), *args = bpf_map_lookup_elem(&mb_args, &key);

	/* Entered before we were there, or before an epoch, when the agent gave it up. */
	if (!args) {
		mb_lost(MB_LOST_RETURN);
		return false;
	}
	for (int i = 0; i < MB_ARGS; i++)
		ret_args[i] = args[i];
	bpf_map_delete_elem(&mb_args, &key);
	return true;
}

/* One that a function does not have must not be asked for. */
#define HOOK_ARG(ctx, i, n) ((i) < (n) ? (ctx)[(i) < (n) ? (i) : 0] : 0)

#define HOOK_NUMBERED(function, n, number)                                                         \
	static __always_inline void on_##function(bool typed MB_UNUSED, const u64 *args);          \
	SEC("fexit/" #function)                                                                    \
	int fexit_##function(u64 *ctx)                                                             \
	{                                                                                          \
		const u64 args[] = { HOOK_ARG(ctx, 0, n), HOOK_ARG(ctx, 1, n),                     \
				     HOOK_ARG(ctx, 2, n) };                                        \
                                                                                                   \
		on_##function(true, args);                                                         \
		return 0;                                                                          \
	}                                                                                          \
	SEC("kprobe/" #function)                                                                   \
	int enter_##function(struct pt_regs *ctx)                                                  \
	{                                                                                          \
		return mb_enter(ctx, number);                                                      \
	}                                                                                          \
	SEC("kretprobe/" #function)                                                                \
	int leave_##function(struct pt_regs *ctx)                                                  \
	{                                                                                          \
		u64 args[MB_ARGS];                                                                 \
                                                                                                   \
		(void)ctx;                                                                         \
		if (mb_leave(number, args))                                                        \
			on_##function(false, args);                                                \
		return 0;                                                                          \
	}                                                                                          \
	static __always_inline void on_##function(bool typed MB_UNUSED, const u64 *args)
#define HOOK(function, n) HOOK_NUMBERED(function, n, __COUNTER__)

#define STORED_HOOK(function, n)                                                                   \
	static __always_inline void on_##function(bool typed MB_UNUSED, const u64 *args);          \
	SEC("fentry/" #function)                                                                   \
	int fentry_##function(u64 *ctx)                                                            \
	{                                                                                          \
		const u64 args[] = { HOOK_ARG(ctx, 0, n), HOOK_ARG(ctx, 1, n) };                   \
                                                                                                   \
		on_##function(true, args);                                                         \
		return 0;                                                                          \
	}                                                                                          \
	SEC("kprobe/" #function)                                                                   \
	int enter_##function(struct pt_regs *ctx)                                                  \
	{                                                                                          \
		const u64 args[] = { PT_REGS_PARM1_CORE(ctx), PT_REGS_PARM2_CORE(ctx) };           \
                                                                                                   \
		on_##function(false, args);                                                        \
		return 0;                                                                          \
	}                                                                                          \
	static __always_inline void on_##function(bool typed MB_UNUSED, const u64 *args)

/* FAULT_HOOK(function) { ... vmf->page ... ret ... }: a part of a fault, by a trampoline only. */
#define FAULT_HOOK(function)                                                                       \
	static __always_inline void on_##function(struct vm_fault *vmf, u32 ret MB_UNUSED);        \
	SEC("fexit/" #function)                                                                    \
	int fexit_##function(u64 *ctx)                                                             \
	{                                                                                          \
		on_##function((struct vm_fault *)ctx[0], ctx[1]);                                  \
		return 0;                                                                          \
	}                                                                                          \
	static __always_inline void on_##function(struct vm_fault *vmf, u32 ret MB_UNUSED)

#endif
