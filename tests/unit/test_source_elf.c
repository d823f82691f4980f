// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_source.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

enum { SEGMENTS_MAX = 4, NOTE_AT = 2048, DATA_AT = 4096, SALT = 7 };

/* A core of 64 bits, little-endian, to be changed by the tests before it is built. */
struct core {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[SEGMENTS_MAX];
	const char *note;  /* its name */
	size_t data_pages; /* page i of the data is page i of the pattern */
};

static struct core good_core(void)
{
	return (struct core){
		.eh = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_CORE,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 4,
		},
		.ph = {
			{ .p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 20, .p_align = 4 },
			/* Not in order; only the second page of the first one has no data. */
			{ .p_type = PT_LOAD, .p_offset = DATA_AT, .p_vaddr = 0x7f0000200000,
			  .p_filesz = 0x1000, .p_memsz = 0x2000 },
			{ .p_type = PT_LOAD, .p_offset = DATA_AT + 0x1000, .p_vaddr = 0x400000,
			  .p_filesz = 0x12c000, .p_memsz = 0x12c000 },
			{ .p_type = PT_LOAD, .p_offset = 0, .p_vaddr = 0x7f0000100000,
			  .p_filesz = 0, .p_memsz = 0x3000 },
		},
		.note = "CORE",
		.data_pages = 301,
	};
}

static const char *build(const struct core *c, const char *name)
{
	size_t bytes = DATA_AT + c->data_pages * MB_PAGE_BYTES;
	mb_autofree uint8_t *file = calloc(1, bytes);
	Elf64_Nhdr note = { .n_namesz = (Elf64_Word)strlen(c->note) + 1, .n_type = NT_PRSTATUS };

	assert_non_null(file);
	memcpy(file, &c->eh, sizeof(c->eh));
	memcpy(file + sizeof(c->eh), c->ph, sizeof(c->ph));
	memcpy(file + NOTE_AT, &note, sizeof(note));
	strcpy((char *)file + NOTE_AT + sizeof(note), c->note);
	for (uint32_t i = 0; i < c->data_pages; i++)
		fill_page(file + DATA_AT + (size_t)i * MB_PAGE_BYTES, SALT, i);
	return temp_file(name, file, bytes);
}

static struct mb_source *open_core(const char *path)
{
	char uri[256];

	snprintf(uri, sizeof(uri), "elf:%s", path);
	return open_source(uri);
}

static void assert_core_fails(const struct core *c, const char *word)
{
	char uri[256];

	snprintf(uri, sizeof(uri), "elf:%s", build(c, "bad"));
	assert_open_fails(uri, EBADMSG, word);
	assert_open_fails(uri, EBADMSG, "/bad: ");
}

static void assert_good_epoch(const struct taken *t)
{
	assert_int_equal(t->n, 301);
	for (uint32_t i = 0; i < 300; i++)
		assert_page(t, 0x400 + i, SALT, 1 + i);
	assert_page(t, 0x7f0000200, SALT, 0);
	assert_int_equal(t->unread[MB_UNREAD_NO_DATA], 4);
	assert_int_equal(t->unread[MB_UNREAD_SWAPPED], 0);
	assert_int_equal(t->unread[MB_UNREAD_FAILED], 0);
}

static void test_process_core(void **state)
{
	struct core c = good_core();
	struct mb_source_info info;
	struct mb_err err = { 0 };
	struct mb_source *s;
	struct taken t;

	(void)state;
	for (size_t cap = 1; cap <= 1000; cap *= 10) {
		s = open_core(build(&c, "good"));
		s->ops->describe(s, &info);
		assert_int_equal(info.memory_bytes, 305 * MB_PAGE_BYTES);
		assert_true(info.stable_frames);
		assert_false(info.live);
		assert_false(info.identity.keyed);
		assert_non_null(strstr(info.text, "process"));
		take_epoch(s, NULL, cap, &t);
		assert_good_epoch(&t);
		free_taken(&t);
		assert_fails(s->ops->begin(s, NULL, &err), ENODATA, &err, "no further core");
		s->ops->close(s);
	}
}

/* Each page as four parts, in whatever portions they are asked for. */
static void test_parts(void **state)
{
	const struct mb_source_options options = { .algorithm = MB_XXH64, .parts = 4 };
	struct core c = good_core();
	struct mb_source_info info;
	struct mb_err err = { 0 };
	struct mb_source *s;
	struct taken t;
	char uri[256];

	(void)state;
	snprintf(uri, sizeof(uri), "elf:%s", build(&c, "good"));
	for (size_t cap = 1; cap <= 1000; cap *= 10) {
		assert_ok(mb_source_open(uri, &options, &s, &err), &err);
		s->ops->describe(s, &info);
		assert_int_equal(info.identity.page_bytes, 1024);
		assert_int_equal(info.memory_bytes, 305 * MB_PAGE_BYTES);
		take_epoch(s, NULL, cap, &t);
		assert_int_equal(t.n, 4 * 301);
		for (uint32_t i = 0; i < 300; i++) {
			uint8_t content[MB_PAGE_BYTES];

			fill_page(content, SALT, 1 + i);
			for (uint32_t k = 0; k < 4; k++) {
				const struct mb_page *part = find_frame(&t, (0x400 + i) * 4 + k);

				assert_non_null(part);
				assert_int_equal(part->digest,
						 mb_raw_hash(MB_XXH64, content + k * 1024, 1024));
			}
		}
		/* Pages are what cannot be read. */
		assert_int_equal(t.unread[MB_UNREAD_NO_DATA], 4);
		free_taken(&t);
		s->ops->close(s);
	}
}

static void test_machine_core(void **state)
{
	struct core c = good_core();
	struct mb_source_info info;
	struct mb_source *s;
	struct taken t;

	(void)state;
	/* Virtual addresses are of no concern once there is a physical one. */
	c.ph[1].p_paddr = 0x100000;
	c.ph[2].p_paddr = 0x200000;
	c.ph[1].p_vaddr = c.ph[2].p_vaddr = 0x123;
	s = open_core(build(&c, "good"));
	s->ops->describe(s, &info);
	assert_non_null(strstr(info.text, "machine"));
	take_epoch(s, NULL, 1000, &t);
	assert_page(&t, 0x100, SALT, 0);
	assert_page(&t, 0x200, SALT, 1);
	assert_page(&t, 0x200 + 299, SALT, 300);
	free_taken(&t);
	s->ops->close(s);
	/* RAM from 0 on: only QEMU's note tells. */
	c = good_core();
	c.eh.e_phnum = 2;
	c.note = "QEMU";
	s = open_core(build(&c, "good"));
	take_epoch(s, NULL, 1000, &t);
	assert_int_equal(t.n, 1);
	assert_page(&t, 0, SALT, 0);
	free_taken(&t);
	s->ops->close(s);
}

static void test_only(void **state)
{
	uint64_t words[5] = { 0x5, 0, 0, 0, 1ull << 43 };
	struct mb_frame_set only = { .words = words, .first = 0x400, .n = 300 };
	uint64_t no_words[1] = { 0x2 };
	struct mb_frame_set no_data = { .words = no_words, .first = 0x7f0000100, .n = 3 };
	struct core c = good_core();
	struct mb_source *s;
	struct taken t;

	(void)state;
	s = open_core(build(&c, "good"));
	take_epoch(s, &only, 1000, &t);
	assert_int_equal(t.n, 4);
	assert_page(&t, 0x400, SALT, 1);
	assert_page(&t, 0x402, SALT, 3);
	assert_page(&t, 0x400 + 299, SALT, 300);
	assert_page(&t, 0x7f0000200, SALT, 0);
	assert_int_equal(t.unread[MB_UNREAD_NO_DATA], 4);
	free_taken(&t);
	s->ops->close(s);
	s = open_core(build(&c, "good"));
	take_epoch(s, &no_data, 1000, &t);
	assert_int_equal(t.n, 301);
	assert_int_equal(t.unread[MB_UNREAD_NO_DATA], 2);
	free_taken(&t);
	s->ops->close(s);
}

/* As in the ELF of 32 bits and the other byte order. */
static const char *build_32_big(void)
{
	const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2MSB, EV_CURRENT };
	uint8_t file[DATA_AT + 2 * MB_PAGE_BYTES] = { 0 };
	const struct {
		size_t at, bytes;
		uint32_t v;
	} fields[] = {
		{ 16, 2, ET_CORE },
		{ 18, 2, EM_PPC },
		{ 20, 4, EV_CURRENT },
		{ 28, 4, sizeof(Elf32_Ehdr) },
		{ 40, 2, sizeof(Elf32_Ehdr) },
		{ 42, 2, sizeof(Elf32_Phdr) },
		{ 44, 2, 1 },
		/* type, offset, vaddr, paddr, filesz, memsz */
		{ 52, 4, PT_LOAD },
		{ 56, 4, DATA_AT },
		{ 60, 4, 0xfffff000u - 0x1000u },
		{ 64, 4, 0 },
		{ 68, 4, 0x2000 },
		{ 72, 4, 0x2000 },
	};

	memcpy(file, ident, sizeof(ident));
	for (size_t i = 0; i < MB_ARRAY_LEN(fields); i++)
		for (size_t k = 0; k < fields[i].bytes; k++)
			file[fields[i].at + k] =
				(uint8_t)(fields[i].v >> 8 * (fields[i].bytes - 1 - k));
	for (uint32_t i = 0; i < 2; i++)
		fill_page(file + DATA_AT + (size_t)i * MB_PAGE_BYTES, SALT, i);
	return temp_file("big", file, sizeof(file));
}

static void test_32_bits_big_endian(void **state)
{
	struct mb_source *s = open_core(build_32_big());
	struct taken t;

	(void)state;
	take_epoch(s, NULL, 1000, &t);
	assert_int_equal(t.n, 2);
	assert_page(&t, 0xffffe, SALT, 0);
	assert_page(&t, 0xfffff, SALT, 1);
	free_taken(&t);
	s->ops->close(s);
}

static void test_several_files(void **state)
{
	struct core c = good_core(), machine = good_core();
	struct mb_source_info info;
	struct mb_err err = { 0 };
	struct mb_source *s;
	struct taken t;
	char uri[512];

	(void)state;
	machine.ph[1].p_paddr = 0x1000000;
	machine.ph[2].p_paddr = 0x2000000;
	snprintf(uri, sizeof(uri), "elf:%s,%s,%s,%s", build(&c, "a"), build(&c, "b"),
		 build(&machine, "c"), temp_file("d", "text", 4));
	s = open_source(uri);
	for (int i = 0; i < 2; i++) {
		take_epoch(s, NULL, 1000, &t);
		assert_good_epoch(&t);
		free_taken(&t);
	}
	s->ops->describe(s, &info);
	assert_non_null(strstr(info.text, "3 more"));
	assert_fails(s->ops->begin(s, NULL, &err), EINVAL, &err, "core of a machine");
	s->ops->close(s);
	assert_open_fails("elf:", EINVAL, "has no name");
	assert_open_fails("elf:a,,b", EINVAL, "file 2");
	assert_open_fails("elf:/does/not/exist,b", ENOENT, "/does/not/exist");
	assert_open_fails("elf:/", EINVAL, "not a regular file");
}

static void test_not_a_core(void **state)
{
	struct core c = good_core();
	char uri[256];

	(void)state;
	snprintf(uri, sizeof(uri), "elf:%s", temp_file("bad", "", 0));
	assert_open_fails(uri, EBADMSG, "not an ELF file");
	snprintf(uri, sizeof(uri), "elf:%s", temp_file("bad", "#!/bin/sh\n", 10));
	assert_open_fails(uri, EBADMSG, "not an ELF file");
	snprintf(uri, sizeof(uri), "elf:%s", temp_file("bad", &c.eh, 40));
	assert_open_fails(uri, EBADMSG, "/bad: ");
	snprintf(uri, sizeof(uri), "elf:%s", temp_file("bad", &c.eh, sizeof(c.eh)));
	assert_open_fails(uri, EBADMSG, "e_phoff 64: 4 program headers end beyond");
	c.eh.e_type = ET_EXEC;
	assert_core_fails(&c, "e_type is 2");
	c.eh.e_type = ET_CORE;
	c.eh.e_phnum = 1;
	assert_core_fails(&c, "no PT_LOAD");
	c.eh.e_phnum = 0;
	assert_core_fails(&c, "no program headers");
}

static void test_lying_file_header(void **state)
{
	struct core c = good_core();
	Elf64_Shdr sh = { .sh_info = UINT32_MAX };
	char uri[256];

	(void)state;
	c.eh.e_phentsize = 55;
	assert_core_fails(&c, "e_phentsize is 55");
	c = good_core();
	c.eh.e_phoff = UINT64_MAX - 10;
	assert_core_fails(&c, "e_phoff");
	c = good_core();
	c.eh.e_phnum = 0xfff0;
	assert_core_fails(&c, "65520 program headers end beyond");
	c.eh.e_phnum = PN_XNUM;
	assert_core_fails(&c, "section header 0");
	/* Four billion headers, said by section header 0. */
	c.eh.e_shoff = sizeof(c.eh) + 3 * sizeof(c.ph[0]);
	c.eh.e_shnum = 1;
	c.eh.e_shentsize = sizeof(sh);
	memcpy((uint8_t *)c.ph + 3 * sizeof(c.ph[0]), &sh, sizeof(c.ph[0]));
	snprintf(uri, sizeof(uri), "elf:%s", build(&c, "bad"));
	assert_open_fails(uri, EFBIG, "4294967295 program headers");
}

static void test_lying_program_headers(void **state)
{
	struct core c;

	(void)state;
	/* c is good but for what `change` does to it. */
#define REFUSED(change, word)                                                                      \
	do {                                                                                       \
		c = good_core();                                                                   \
		change;                                                                            \
		assert_core_fails(&c, word);                                                       \
	} while (0)
	REFUSED(c.ph[1].p_vaddr += 8, "program header 1: p_vaddr");
	REFUSED(c.ph[2].p_paddr = 12, "program header 2: p_paddr 0xc");
	REFUSED(c.ph[1].p_memsz += 1, "program header 1: p_memsz");
	REFUSED(c.ph[1].p_filesz -= 1, "program header 1: p_filesz");
	REFUSED(c.ph[1].p_filesz = 0x3000, "program header 1: p_filesz 0x3000 exceeds p_memsz");
	REFUSED(c.ph[3].p_memsz = UINT64_MAX & ~0xfffull, "program header 3: p_vaddr");
	REFUSED(c.ph[3].p_memsz = 0 - c.ph[3].p_vaddr, "wraps the address space");
	REFUSED(c.ph[2].p_offset += 0x1234, "program header 2: p_offset + p_filesz is 4660 bytes "
					    "beyond the end of the file");
	REFUSED(c.data_pages = 299, "program header 2: p_offset + p_filesz is 8192 bytes beyond");
	REFUSED(c.ph[1].p_offset = UINT64_MAX - 100, "program header 1: p_offset");
	REFUSED(c.ph[1].p_offset = 1ull << 63, "is no place in a file");
	REFUSED((c.ph[2].p_filesz = c.ph[2].p_memsz = 1ull << 40), "beyond the end of the file");
	REFUSED(c.ph[1].p_vaddr = 0x400000, "program headers 1 and 2 overlap in p_vaddr");
	REFUSED(c.ph[3].p_memsz = 0x7e0000000000, "program headers 1 and 3 overlap in p_vaddr");
	REFUSED((c.ph[1].p_paddr = 0x1000, c.ph[2].p_paddr = 0x2000), "dump without it");
#undef REFUSED
}

static void test_lying_note_is_harmless(void **state)
{
	struct mb_source *s;
	struct core c;
	struct taken t;

	(void)state;
	for (int i = 0; i < 4; i++) {
		c = good_core();
		if (i == 0)
			c.ph[0].p_filesz = UINT64_MAX;
		if (i == 1)
			c.ph[0].p_offset = UINT64_MAX - 4;
		if (i == 2)
			c.ph[0].p_filesz = 5;
		if (i == 3)
			c.ph[0].p_filesz = 0;
		s = open_core(build(&c, "good"));
		take_epoch(s, NULL, 1000, &t);
		assert_good_epoch(&t);
		free_taken(&t);
		s->ops->close(s);
	}
}

/* A header may claim more memory than anyone can count page by page. */
static void test_vast_memory_without_data(void **state)
{
	struct core c = good_core();
	uint64_t words[1] = { 0 };
	struct mb_frame_set only = { .words = words, .first = 0x7f0000100, .n = 64 };
	struct mb_source *s;
	struct taken t;

	(void)state;
	c.ph[3].p_vaddr = 0x7f0000300000;
	c.ph[3].p_memsz = 1ull << 63;
	s = open_core(build(&c, "good"));
	take_epoch(s, &only, 1000, &t);
	assert_int_equal(t.n, 301);
	assert_int_equal(t.unread[MB_UNREAD_NO_DATA], (1ull << 51) + 1);
	free_taken(&t);
	s->ops->close(s);
}

static void test_file_cut_while_read(void **state)
{
	struct core c = good_core();
	const char *path = build(&c, "good");
	struct mb_err err = { 0 };
	struct mb_source *s;
	struct taken t;

	(void)state;
	s = open_core(path);
	assert_ok(s->ops->begin(s, NULL, &err), &err);
	assert_int_equal(truncate(path, DATA_AT + 11 * MB_PAGE_BYTES + 100), 0);
	assert_ok(read_epoch(s, 1000, &t, &err), &err);
	assert_int_equal(t.n, 11);
	assert_page(&t, 0x400 + 9, SALT, 10);
	assert_page(&t, 0x7f0000200, SALT, 0);
	assert_int_equal(t.unread[MB_UNREAD_NO_DATA], 4 + 290);
	free_taken(&t);
	s->ops->close(s);
}

static void test_check(void **state)
{
	char found[MB_FOUND_MAX] = "";
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_source_elf.check(found, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_core),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_machine_core),
		cmocka_unit_test(test_only),
		cmocka_unit_test(test_32_bits_big_endian),
		cmocka_unit_test(test_several_files),
		cmocka_unit_test(test_not_a_core),
		cmocka_unit_test(test_lying_file_header),
		cmocka_unit_test(test_lying_program_headers),
		cmocka_unit_test(test_lying_note_is_harmless),
		cmocka_unit_test(test_vast_memory_without_data),
		cmocka_unit_test(test_file_cut_while_read),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests_name("source elf", tests, NULL, NULL);
}
