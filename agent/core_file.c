// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/core_file.h"

#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/digest.h"

enum {
	HEADERS_MAX = 1 << 20, /* program headers: mappings of a process */
	NOTES_MAX = 1 << 20,   /* bytes of notes looked at for QEMU's */
};

static void elf_endp(Elf **elf)
{
	elf_end(*elf);
}

void mb_core_close(struct mb_core *c)
{
	mb_closep(&c->fd);
	free(c->segments);
	*c = (struct mb_core){ .fd = -1 };
}

/* The count in the file; libelf's own is cut to what the file has room for. */
static int claimed_headers(Elf *elf, const GElf_Ehdr *eh, size_t *ret, struct mb_err *err)
{
	GElf_Shdr sh;

	*ret = eh->e_phnum;
	if (eh->e_phnum != PN_XNUM)
		return 0;
	if (!gelf_getshdr(elf_getscn(elf, 0), &sh))
		return mb_fail(
			err, EBADMSG,
			"e_phnum is PN_XNUM, but there is no section header 0 with the count");
	*ret = sh.sh_info;
	return 0;
}

static int check_file_header(Elf *elf, uint64_t file_bytes, size_t *ret_n, struct mb_err *err)
{
	uint64_t entry, end;
	size_t n, usable;
	GElf_Ehdr eh;
	int r;

	if (!gelf_getehdr(elf, &eh))
		return mb_fail(err, EBADMSG, "ELF header: %s", elf_errmsg(-1));
	if (eh.e_type != ET_CORE)
		return mb_fail(err, EBADMSG, "not an ELF core file: e_type is %d, not ET_CORE (4)",
			       eh.e_type);
	r = claimed_headers(elf, &eh, &n, err);
	if (r < 0)
		return r;
	if (n == 0)
		return mb_fail(err, EBADMSG, "no program headers");
	if (n > HEADERS_MAX)
		return mb_fail(err, EFBIG, "%zu program headers, more than %d", n, HEADERS_MAX);
	entry = gelf_fsize(elf, ELF_T_PHDR, 1, EV_CURRENT);
	if (eh.e_phentsize != entry)
		return mb_fail(err, EBADMSG, "e_phentsize is %d, not %" PRIu64, eh.e_phentsize,
			       entry);
	if (__builtin_add_overflow(eh.e_phoff, n * entry, &end) || end > file_bytes)
		return mb_fail(err, EBADMSG,
			       "e_phoff %" PRIu64
			       ": %zu program headers end beyond the file's %" PRIu64
			       " bytes (cut short?)",
			       (uint64_t)eh.e_phoff, n, file_bytes);
	if (elf_getphdrnum(elf, &usable) < 0 || usable != n)
		return mb_fail(err, EBADMSG, "program headers: %s", elf_errmsg(-1));
	*ret_n = n;
	return 0;
}

static bool has_qemu_note(Elf *elf, const GElf_Phdr *ph, uint64_t file_bytes)
{
	size_t pos = 0, next, name, desc;
	GElf_Nhdr note;
	Elf_Data *data;

	if (ph->p_offset > file_bytes || ph->p_filesz > file_bytes - ph->p_offset ||
	    ph->p_offset > INT64_MAX || !ph->p_filesz)
		return false;
	data = elf_getdata_rawchunk(elf, (int64_t)ph->p_offset, MB_MIN(ph->p_filesz, NOTES_MAX),
				    ph->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	while (data && (next = gelf_getnote(data, pos, &note, &name, &desc)) > 0) {
		if (note.n_namesz == sizeof("QEMU") &&
		    memcmp((char *)data->d_buf + name, "QEMU", sizeof("QEMU")) == 0)
			return true;
		pos = next;
	}
	return false;
}

static int find_kind(Elf *elf, size_t n, uint64_t file_bytes, struct mb_core *c, size_t *ret_loads,
		     struct mb_err *err)
{
	size_t loads = 0;

	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, (int)i, &ph))
			return mb_fail(err, EBADMSG, "program header %zu: %s", i, elf_errmsg(-1));
		if (ph.p_type == PT_NOTE && !c->physical)
			c->physical = has_qemu_note(elf, &ph, file_bytes);
		if (ph.p_type != PT_LOAD)
			continue;
		loads++;
		if (ph.p_paddr)
			c->physical = true;
	}
	*ret_loads = loads;
	return loads ? 0 : mb_fail(err, EBADMSG, "no PT_LOAD program header: no memory in it");
}

static int check_segment(const GElf_Phdr *ph, bool physical, bool is_32, uint64_t file_bytes,
			 struct mb_err *err)
{
	const char *field = physical ? "p_paddr" : "p_vaddr";
	uint64_t address = physical ? ph->p_paddr : ph->p_vaddr;
	/* The very last page is left out, so that an end fits. */
	uint64_t space = is_32 ? 1ull << 32 : UINT64_MAX - MB_PAGE_BYTES + 1;
	uint64_t end;

	if (address % MB_PAGE_BYTES)
		return mb_fail(err, EBADMSG, "%s 0x%" PRIx64 " is not a multiple of %d", field,
			       address, MB_PAGE_BYTES);
	if (ph->p_memsz % MB_PAGE_BYTES)
		return mb_fail(err, EBADMSG, "p_memsz 0x%" PRIx64 " is not a multiple of %d",
			       (uint64_t)ph->p_memsz, MB_PAGE_BYTES);
	if (ph->p_filesz % MB_PAGE_BYTES)
		return mb_fail(err, EBADMSG, "p_filesz 0x%" PRIx64 " is not a multiple of %d",
			       (uint64_t)ph->p_filesz, MB_PAGE_BYTES);
	if (ph->p_filesz > ph->p_memsz)
		return mb_fail(err, EBADMSG, "p_filesz 0x%" PRIx64 " exceeds p_memsz 0x%" PRIx64,
			       (uint64_t)ph->p_filesz, (uint64_t)ph->p_memsz);
	if (__builtin_add_overflow(address, ph->p_memsz, &end) || end > space)
		return mb_fail(err, EBADMSG,
			       "%s 0x%" PRIx64 " + p_memsz 0x%" PRIx64 " wraps the address space",
			       field, address, (uint64_t)ph->p_memsz);
	if (ph->p_filesz == 0)
		return 0;
	if (__builtin_add_overflow(ph->p_offset, ph->p_filesz, &end) || end > INT64_MAX)
		return mb_fail(err, EBADMSG,
			       "p_offset 0x%" PRIx64 " + p_filesz 0x%" PRIx64
			       " is no place in a file",
			       (uint64_t)ph->p_offset, (uint64_t)ph->p_filesz);
	if (end > file_bytes)
		return mb_fail(err, EBADMSG,
			       "p_offset + p_filesz is %" PRIu64
			       " bytes beyond the end of the file "
			       "(cut short?)",
			       end - file_bytes);
	return 0;
}

static int by_frame(const void *a, const void *b)
{
	const struct mb_core_segment *x = a, *y = b;

	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	return (x->header > y->header) - (x->header < y->header);
}

static int check_overlap(const struct mb_core *c, struct mb_err *err)
{
	for (size_t i = 1; i < c->n; i++) {
		const struct mb_core_segment *a = &c->segments[i - 1], *b = &c->segments[i];

		if (b->frame - a->frame < a->pages)
			return mb_fail(err, EBADMSG, "program headers %zu and %zu overlap in %s%s",
				       MB_MIN(a->header, b->header), MB_MAX(a->header, b->header),
				       c->physical ? "p_paddr" : "p_vaddr",
				       c->physical ? " (dumped with paging? dump without it)" : "");
	}
	return 0;
}

static int take_segments(Elf *elf, size_t n_headers, uint64_t file_bytes, struct mb_core *c,
			 struct mb_err *err)
{
	size_t loads;
	int r = find_kind(elf, n_headers, file_bytes, c, &loads, err);

	if (r < 0)
		return r;
	c->segments = calloc(loads, sizeof(*c->segments));
	if (!c->segments)
		return mb_fail_mem(err, "the list of segments");
	for (size_t i = 0; i < n_headers; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_LOAD)
			continue;
		r = check_segment(&ph, c->physical, gelf_getclass(elf) == ELFCLASS32, file_bytes,
				  err);
		if (r < 0)
			return mb_fail_in(err, r, "program header %zu", i);
		if (ph.p_memsz == 0 || c->n == loads)
			continue;
		c->segments[c->n++] = (struct mb_core_segment){
			.frame = (c->physical ? ph.p_paddr : ph.p_vaddr) / MB_PAGE_BYTES,
			.pages = ph.p_memsz / MB_PAGE_BYTES,
			.data_pages = ph.p_filesz / MB_PAGE_BYTES,
			.file_offset = ph.p_offset,
			.header = i,
		};
	}
	qsort(c->segments, c->n, sizeof(*c->segments), by_frame);
	return check_overlap(c, err);
}

static int read_headers(struct mb_core *c, const char *path, struct mb_err *err)
{
	mb_cleanup(elf_endp) Elf *elf = NULL;
	struct stat st;
	size_t n = 0;
	int r;

	c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->fd < 0 || fstat(c->fd, &st) < 0)
		return mb_fail(err, errno, "%m");
	if (!S_ISREG(st.st_mode))
		return mb_fail(err, EINVAL, "not a regular file");
	if (elf_version(EV_CURRENT) == EV_NONE)
		return mb_fail(err, ENOTSUP, "libelf: %s", elf_errmsg(-1));
	elf = elf_begin(c->fd, ELF_C_READ, NULL);
	if (!elf)
		return mb_fail(err, EBADMSG, "%s", elf_errmsg(-1));
	if (elf_kind(elf) != ELF_K_ELF)
		return mb_fail(err, EBADMSG, "not an ELF file");
	r = check_file_header(elf, (uint64_t)st.st_size, &n, err);
	return r < 0 ? r : take_segments(elf, n, (uint64_t)st.st_size, c, err);
}

int mb_core_open(struct mb_core *c, const char *path, struct mb_err *err)
{
	int r;

	*c = (struct mb_core){ .fd = -1 };
	r = read_headers(c, path, err);
	if (r == 0)
		return 0;
	mb_core_close(c);
	return mb_fail_in(err, r, "%s", path);
}
