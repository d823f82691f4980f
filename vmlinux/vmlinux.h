/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's types that bpf/ reads, and of them only the fields that it reads. Offsets here mean
 * nothing: they are relocated to those of the running kernel when the program is loaded (CO-RE).
 *
 * A struct whose shape has changed has a flavour for each: NAME___WHAT, found as NAME. Only
 * bpf/compat.bpf.h chooses between them.
 *
 * To see what a kernel has, with its vmlinux or on it:
 *	bpftool btf dump file /sys/kernel/btf/vmlinux format c | less +/'^struct folio {'
 * and copy the field's line with the structs and unions that have names around it; those without
 * names are looked through.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef signed short __s16;
typedef unsigned short __u16;
typedef signed int __s32;
typedef unsigned int __u32;
typedef signed long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef _Bool bool;

enum { false = 0, true = 1 };
#define NULL ((void *)0)

/* Of the interface to programs, which does not change. */
enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_MMAPABLE = 1024 };

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long r8, cx, dx, si, di; /* x86-64 */
	unsigned long ax, sp, bp, ip;
};

struct mm_struct {
	void *pgd;
	unsigned long start_stack, env_end;
};

struct task_struct {
	struct mm_struct *mm;
	int pid;
};

struct vm_area_struct {
	struct mm_struct *vm_mm;
	struct {
		unsigned long pgprot;
	} vm_page_prot;
	unsigned long vm_flags;
	void *vm_file;
};

enum fault_flag {
	FAULT_FLAG_WRITE = 1,
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff, address;
	enum fault_flag flags; /* 5.13 */
	void *pmd, *pte;
	struct {
		unsigned long pte;
	} orig_pte; /* or the entry of a huge page */
	struct page *cow_page, *page;
};

struct linux_binprm {
	unsigned long p;
};

enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
};

enum pageflags {
	PG_head = 16,
};

struct page {
	unsigned long flags;	      /* to 6.17 */
	unsigned long compound_head;  /* to 6.19 */
	unsigned char compound_order; /* to 6.2, of the second page */
};

struct page___flags_struct { /* 6.18 */
	struct {
		unsigned long f;
	} flags;
};

struct page___compound_info { /* 7.0 */
	unsigned long compound_info;
};

struct folio {
	struct page page;
	unsigned long index;
	unsigned long _flags_1; /* from 6.6 on with the order in it */
};

struct folio___order { /* 5.18 to 6.5 */
	unsigned char _folio_order;
};

struct rmap_walk_control {
	void *done, *anon_lock, *invalid_vma;
};

struct buffer_head {
	struct page *b_page;
};

struct buffer_head___folio { /* 6.3, beside b_page */
	struct folio *b_folio;
};

#pragma clang attribute pop

#endif
