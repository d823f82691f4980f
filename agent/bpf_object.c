// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* Compiled programs, as data. */
#define EMBED(name, file)                                                                          \
	extern const unsigned char name[], name##_end[];                                           \
	__asm__(".pushsection .rodata\n"                                                           \
		".balign 16\n"                                                                     \
		".global " #name ", " #name "_end\n" #name ":\n"                                   \
		".incbin \"" MB_BPF_DIR "/" file "\"\n" #name "_end:\n"                            \
		".byte 0\n"                                                                        \
		".popsection\n")

EMBED(mb_bpf_bits, "dirty_bits.bpf.o");
EMBED(mb_bpf_bytes, "dirty_bytes.bpf.o");

/* Of which no more is touched than is written: what is too small is an error of its own. */
enum { LOG_BYTES = 16 << 20 };

/* libbpf says why by printing: its first warning is kept. */
static __thread char warning[256];

__attribute__((format(printf, 2, 0))) static int keep_warning(enum libbpf_print_level level,
							      const char *fmt, va_list args)
{
	if (level == LIBBPF_WARN && !*warning) {
		vsnprintf(warning, sizeof(warning), fmt, args);
		warning[strcspn(warning, "\n")] = 0;
	}
	return 0;
}

static void listen(void)
{
	libbpf_set_print(keep_warning);
	*warning = 0;
}

static const char *said(int code)
{
	const char *text = *warning ? warning : strerror(code);

	return strncmp(text, "libbpf: ", 8) ? text : text + 8;
}

/* What the verifier says of its work comes last, why it stopped before that. */
static const char *last_words(char *log)
{
	char *end = log + strlen(log), *stats = strstr(log, "\nprocessed ");

	if (stats)
		end = stats;
	while (end > log && end[-1] == '\n')
		end--;
	*end = 0;
	for (int lines = 0; end > log; end--) {
		if (end[-1] == '\n' && ++lines == 2)
			break;
	}
	for (char *c = end; *c; c++) {
		if (*c == '\n')
			*c = '|';
	}
	return end;
}

int mb_bpf_kernel_types(const char *file, struct btf **ret, struct mb_err *err)
{
	int code;

	listen();
	*ret = file ? btf__parse(file, NULL) : btf__load_vmlinux_btf();
	code = errno;
	if (*ret)
		return 0;
	if (file)
		return mb_fail(err, code ? code : EINVAL, "types of this kernel, %s: %s", file,
			       said(code));
	if (code == ENOENT || code == ESRCH)
		return mb_fail(err, EOPNOTSUPP,
			       "this kernel does not tell its types (CONFIG_DEBUG_INFO_BTF), and "
			       "none are given "
			       "(--btf FILE)");
	return mb_fail(err, code ? code : EOPNOTSUPP, "types of this kernel: %s", said(code));
}

bool mb_bpf_has_atomic_or(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_STX | BPF_MEM | BPF_DW,
		  .dst_reg = BPF_REG_10,
		  .src_reg = BPF_REG_0,
		  .off = -8 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW,
		  .dst_reg = BPF_REG_10,
		  .src_reg = BPF_REG_0,
		  .off = -8,
		  .imm = BPF_OR | BPF_FETCH },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	mb_autoclose int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "mb_probe", "GPL", insns,
					    MB_ARRAY_LEN(insns), NULL);

	return fd >= 0;
}

int mb_bpf_object_open(bool bits, const char *btf, struct bpf_object **ret, struct mb_err *err)
{
	const unsigned char *data = bits ? mb_bpf_bits : mb_bpf_bytes;
	size_t n = (size_t)((bits ? mb_bpf_bits_end : mb_bpf_bytes_end) - data);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "mb_dirty", .btf_custom_path = btf);
	int code;

	listen();
	*ret = bpf_object__open_mem(data, n, &opts);
	code = errno;
	return *ret ? 0 : mb_fail(err, code, "programs: %s", said(code));
}

int mb_bpf_object_load(struct bpf_object *object, struct mb_err *err)
{
	mb_autofree char *log = calloc(1, LOG_BYTES);
	struct bpf_program *p;
	const char *words;
	int r;

	if (!log)
		return mb_fail_mem(err, "the verifier's log");
	bpf_object__for_each_program(p, object) bpf_program__set_log_buf(p, log, LOG_BYTES);
	listen();
	r = bpf_object__load(object);
	if (r == 0)
		return 0;
	words = last_words(log);
	if (r == -EPERM && !*words)
		return mb_fail(err, EPERM, "%s (needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN)",
			       said(EPERM));
	return mb_fail(err, -r, "%s%s%.300s", said(-r), *words ? ": " : "", words);
}
