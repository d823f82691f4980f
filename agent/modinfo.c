// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/modinfo.h"

#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

/* Real ones have some hundred bytes and some dozen sections. */
enum { INFO_BYTES_MAX = 64 << 10, SECTIONS_MAX = 64 << 10 };

static void elf_endp(Elf **elf)
{
	elf_end(*elf);
}

/* Headers only: the content is read apart, and not before its size is known to be sane. */
static int find_section(Elf *elf, GElf_Shdr *ret, struct mb_err *err)
{
	size_t names, n, seen = 0;
	Elf_Scn *section = NULL;
	GElf_Ehdr eh;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh) || eh.e_type != ET_REL)
		return mb_fail(err, EBADMSG, "no kernel module (not a relocatable ELF file)");
	if (elf_getshdrstrndx(elf, &names) < 0 || elf_getshdrnum(elf, &n) < 0 || n > SECTIONS_MAX)
		return mb_fail(err, EBADMSG, "no kernel module (section headers are damaged)");
	while ((section = elf_nextscn(elf, section)) && seen++ < SECTIONS_MAX) {
		const char *name;

		if (!gelf_getshdr(section, ret) || ret->sh_type != SHT_PROGBITS)
			continue;
		name = elf_strptr(elf, names, ret->sh_name);
		if (name && strcmp(name, ".modinfo") == 0)
			return 0;
	}
	return mb_fail(err, EBADMSG, "no kernel module (no section .modinfo)");
}

static int find_value(const char *info, size_t len, const char *key, char *ret, size_t size,
		      struct mb_err *err)
{
	size_t key_len = strlen(key);

	for (size_t i = 0; i < len; i += strnlen(info + i, len - i) + 1)
		if (len - i > key_len && strncmp(info + i, key, key_len) == 0 &&
		    info[i + key_len] == '=') {
			i += key_len + 1;
			snprintf(ret, size, "%.*s", (int)strnlen(info + i, len - i), info + i);
			return 0;
		}
	return mb_fail(err, ENODATA, "it does not tell its %s", key);
}

static int get(int fd, const char *key, char *ret, size_t size, struct mb_err *err)
{
	mb_cleanup(elf_endp) Elf *elf = NULL;
	mb_autofree char *info = NULL;
	GElf_Shdr sh;
	ssize_t got;
	int r;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return mb_fail(err, ENOTSUP, "libelf: %s", elf_errmsg(-1));
	/* Not mapped: a file that is cut meanwhile would kill us. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return mb_fail(err, EBADMSG, "no kernel module (%s)", elf_errmsg(-1));
	r = find_section(elf, &sh, err);
	if (r < 0)
		return r;
	if (sh.sh_size > INFO_BYTES_MAX)
		return mb_fail(err, EBADMSG, "no kernel module (.modinfo has more than %d bytes)",
			       INFO_BYTES_MAX);
	info = malloc(sh.sh_size + 1);
	if (!info)
		return mb_fail_mem(err, "a module's .modinfo");
	got = pread(fd, info, sh.sh_size, (off_t)sh.sh_offset);
	if (got < 0)
		return mb_fail(err, errno, "%m");
	if ((size_t)got != sh.sh_size)
		return mb_fail(err, EBADMSG, "no kernel module (cut short)");
	return find_value(info, sh.sh_size, key, ret, size, err);
}

int mb_modinfo_get(int fd, const char *path, const char *key, char *ret, size_t size,
		   struct mb_err *err)
{
	int r = get(fd, key, ret, size, err);

	return r < 0 ? mb_fail_in(err, r, "%s", path) : 0;
}
