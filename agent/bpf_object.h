/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs of bpf/, which are in this program's file, and the kernel's reasons to refuse them.
 */
#ifndef MB_BPF_OBJECT_H
#define MB_BPF_OBJECT_H

#include <stdbool.h>

#include "proto/base/err.h"

struct bpf_object;
struct btf;

/*
 * The running kernel's types, as it tells them or, with `file`, as that does: of this very kernel,
 * raw BTF or an ELF file with it. -EOPNOTSUPP: it has not been built with them
 * (CONFIG_DEBUG_INFO_BTF); -ENOSYS, -EPERM: no BPF at all, or not for us.
 */
int mb_bpf_kernel_types(const char *file, struct btf **ret, struct mb_err *err);

/* 5.12: one instruction sets a bit and tells what was there. */
bool mb_bpf_has_atomic_or(void);

/* A map of bits needs mb_bpf_has_atomic_or(); of bytes, none. `btf`: the file above, or NULL. */
int mb_bpf_object_open(bool bits, const char *btf, struct bpf_object **ret, struct mb_err *err);
/* The reason has the verifier's last words. */
int mb_bpf_object_load(struct bpf_object *object, struct mb_err *err);

#endif
