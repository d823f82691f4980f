// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/insert.h"

#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/modinfo.h"
#include "proto/base/cleanup.h"
#include "tests/unit/util_source.h"

#define RELEASE "6.1.0-56-amd64"
#define MAGIC	"vermagic=" RELEASE " SMP preempt mod_unload modversions "

static const char good_info[] = "license=GPL v2\0name=mbwalk\0vermagicx=1\0" MAGIC;

/* --- modules ---------------------------------------------------------------------------------- */

struct shape {
	int class, type;
	const char *section;
	const void *info;
	size_t len;
};

static void put_section(Elf *elf, size_t name, GElf_Word type, const void *data, size_t len)
{
	Elf_Scn *section = elf_newscn(elf);
	Elf_Data *d = elf_newdata(section);
	GElf_Shdr sh;

	*d = (Elf_Data){ .d_buf = (void *)(uintptr_t)data,
			 .d_size = len,
			 .d_align = 1,
			 .d_version = EV_CURRENT };
	assert_non_null(gelf_getshdr(section, &sh));
	sh.sh_name = (GElf_Word)name;
	sh.sh_type = type;
	assert_true(gelf_update_shdr(section, &sh));
}

static void write_module(const char *path, const struct shape *s)
{
	mb_autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	char names[64] = "\0.text";
	size_t at = 7;
	GElf_Ehdr eh;
	Elf *elf;

	assert_true(fd >= 0);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_WRITE, NULL);
	assert_non_null(gelf_newehdr(elf, s->class));
	strcpy(names + at, s->section);
	put_section(elf, 1, SHT_PROGBITS, "code", 4);
	put_section(elf, at, SHT_PROGBITS, s->info, s->len);
	put_section(elf, 0, SHT_STRTAB, names, sizeof(names));
	assert_non_null(gelf_getehdr(elf, &eh));
	eh.e_type = (GElf_Half)s->type;
	eh.e_machine = EM_X86_64;
	eh.e_shstrndx = 3;
	assert_true(gelf_update_ehdr(elf, &eh));
	assert_true(elf_update(elf, ELF_C_WRITE) > 0);
	elf_end(elf);
}

static const char *module_file(const struct shape *s)
{
	const char *path = temp_file("mbwalk.ko", "", 0);

	write_module(path, s);
	return path;
}

static const struct shape good = { ELFCLASS64, ET_REL, ".modinfo", good_info, sizeof(good_info) };

static int get(const char *path, const char *key, char *ret, size_t size, struct mb_err *err)
{
	mb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return mb_modinfo_get(fd, path, key, ret, size, err);
}

static void test_modinfo(void **state)
{
	const char *path = module_file(&good);
	struct shape narrow = good;
	struct mb_err err = { 0 };
	char value[64];

	(void)state;
	assert_ok(get(path, "vermagic", value, sizeof(value), &err), &err);
	assert_string_equal(value, MAGIC + 9);
	assert_ok(get(path, "license", value, sizeof(value), &err), &err);
	assert_string_equal(value, "GPL v2");
	assert_ok(get(path, "vermagic", value, 5, &err), &err);
	assert_string_equal(value, "6.1.");
	assert_fails(get(path, "vermag", value, sizeof(value), &err), ENODATA, &err, "its vermag");
	assert_fails(get(path, "", value, sizeof(value), &err), ENODATA, &err, path);
	narrow.class = ELFCLASS32;
	assert_ok(get(module_file(&narrow), "name", value, sizeof(value), &err), &err);
	assert_string_equal(value, "mbwalk");
}

static void test_modinfo_edges(void **state)
{
	struct shape s = good;
	char big[70000] = "", value[64];
	struct mb_err err = { 0 };

	(void)state;
	/* The last string has no end, the section is empty, a key without anything. */
	s.len -= 1 + sizeof(" SMP preempt mod_unload modversions ") - 1;
	assert_ok(get(module_file(&s), "vermagic", value, sizeof(value), &err), &err);
	assert_string_equal(value, RELEASE);
	s.len = 0;
	assert_fails(get(module_file(&s), "name", value, 9, &err), ENODATA, &err, "its name");
	s.info = "vermagic";
	s.len = 8;
	assert_fails(get(module_file(&s), "vermagic", value, 9, &err), ENODATA, &err, "vermagic");
	s.info = big;
	s.len = 65536;
	assert_fails(get(module_file(&s), "name", value, 9, &err), ENODATA, &err, "its name");
	s.len++;
	assert_fails(get(module_file(&s), "name", value, 9, &err), EBADMSG, &err, "65536");
	s = good;
	s.section = ".modinf";
	assert_fails(get(module_file(&s), "name", value, 9, &err), EBADMSG, &err, ".modinfo");
	s = good;
	s.type = ET_EXEC;
	assert_fails(get(module_file(&s), "name", value, 9, &err), EBADMSG, &err, "relocatable");
}

/* Cut at any place, or with any byte changed: an error or an answer, and no more. */
static void test_damaged(void **state)
{
	const char *path = module_file(&good);
	uint8_t whole[8192], bad[8192];
	struct mb_err err = { 0 };
	char value[64];
	ssize_t n;

	(void)state;
	{
		mb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

		n = read(fd, whole, sizeof(whole));
		assert_true(n > 100 && n < (ssize_t)sizeof(whole));
	}
	for (ssize_t cut = 0; cut < n; cut++) {
		int r;

		r = get(temp_file("cut.ko", whole, (size_t)cut), "vermagic", value, 64, &err);
		assert_true(r < 0);
	}
	for (ssize_t i = 0; i < n; i++) {
		memcpy(bad, whole, (size_t)n);
		for (int bit = 0; bit < 8; bit += 7) {
			bad[i] = whole[i] ^ (uint8_t)(1 << bit);
			get(temp_file("bad.ko", bad, (size_t)n), "vermagic", value, 64, NULL);
		}
	}
	assert_fails(get(temp_file("text.ko", "hello", 5), "name", value, 9, &err), EBADMSG, &err,
		     "text.ko: no kernel module");
}

/* --- where they are --------------------------------------------------------------------------- */

static char top[64];

static char *below_top(const char *path)
{
	static char paths[64][256];
	static int i;
	char *ret = paths[i++ % 64];

	snprintf(ret, sizeof(paths[0]), "%s/%s", top, path);
	return ret;
}

static int make_top(void **state)
{
	static const char *const folders[] = { "m",
					       "m/" RELEASE,
					       "m/" RELEASE "/updates",
					       "m/" RELEASE "/updates/dkms",
					       "m/" RELEASE "/extra",
					       "b" };

	(void)state;
	strcpy(top, "/tmp/mbtest.XXXXXX");
	assert_non_null(mkdtemp(top));
	for (size_t i = 0; i < MB_ARRAY_LEN(folders); i++)
		assert_int_equal(mkdir(below_top(folders[i]), 0755), 0);
	return 0;
}

static int remove_top(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static struct mb_insert_places places(void)
{
	return (struct mb_insert_places){
		.modules = below_top("m"),
		.release = RELEASE,
		.beside = below_top("b"),
		.modprobe = "/sbin/modprobe",
	};
}

static void finds(const struct mb_insert_places *p, const char *path, bool for_modprobe,
		  bool opened)
{
	struct mb_insert_found found;
	struct mb_err err = { 0 };

	assert_ok(mb_insert_find(p, &found, &err), &err);
	assert_string_equal(found.path, path);
	assert_int_equal(found.for_modprobe, for_modprobe);
	assert_int_equal(found.fd >= 0, opened);
	mb_closep(&found.fd);
}

static void finds_none(const struct mb_insert_places *p, int code, const char *word)
{
	struct mb_insert_found found;
	struct mb_err err = { 0 };

	assert_fails(mb_insert_find(p, &found, &err), code, &err, word);
	assert_int_equal(found.fd, -1);
}

static void test_order(void **state)
{
	static const char extra[] = "m/" RELEASE "/extra/mbwalk.ko";
	static const char dkms[] = "m/" RELEASE "/updates/dkms/mbwalk.ko.xz";
	struct mb_insert_places p = places();

	(void)state;
	finds_none(&p, ENOENT, "make kmod KDIR=/lib/modules/" RELEASE "/build");
	finds_none(&p, ENOENT, "linux-headers-" RELEASE);
	p.beside = NULL;
	finds_none(&p, ENOENT, "make kmod");
	p = places();
	write_module(below_top("b/mbwalk.ko"), &good);
	finds(&p, below_top("b/mbwalk.ko"), false, true);
	write_module(below_top(extra), &good);
	finds(&p, below_top(extra), true, true);
	p.modprobe = NULL;
	finds(&p, below_top(extra), false, true);
	write_module(below_top(dkms), &good);
	finds_none(&p, ENOTSUP, "no modprobe");
	p.modprobe = "/sbin/modprobe";
	finds(&p, below_top(dkms), true, false);
	p.file = temp_file("named.ko", "", 0);
	finds_none(&p, EBADMSG, "named.ko");
	write_module(p.file, &good);
	finds(&p, p.file, false, true);
	p.file = "/does/not/exist.ko";
	finds_none(&p, ENOENT, "/does/not/exist.ko: No such file");
	p.file = top;
	finds_none(&p, EINVAL, "regular file");
	p.file = "/dev/zero";
	finds_none(&p, EINVAL, "regular file");
}

static void test_other_kernel(void **state)
{
	static const char info[] = "vermagic=6.1.0-55-amd64 SMP";
	struct shape s = good;
	struct mb_insert_places p = places();

	(void)state;
	s.info = info;
	s.len = sizeof(info);
	p.file = module_file(&s);
	finds_none(&p, ENOEXEC, "was built for 6.1.0-55-amd64, this kernel is 6.1.0-56-amd64");
	p.release = "6.1.0-55-amd64+";
	finds_none(&p, ENOEXEC, "this kernel is 6.1.0-55-amd64+");
	s.info = "name=x";
	s.len = 7;
	p.file = module_file(&s);
	finds_none(&p, ENODATA, "vermagic");
}

/* A program in /tmp must not have root load what anybody puts beside it. */
static void test_others_may_write(void **state)
{
	struct mb_insert_places p = places();
	const char *path = below_top("b/mbwalk.ko");

	(void)state;
	write_module(path, &good);
	assert_int_equal(chmod(path, 0666), 0);
	finds_none(&p, EPERM, "may write it");
	p.file = path;
	finds(&p, path, false, true);
	p.file = NULL;
	assert_int_equal(chmod(path, 0644), 0);
	finds(&p, path, false, true);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(path, 12345, 0), 0);
	finds_none(&p, EPERM, "may write it");
}

/* --- why not ---------------------------------------------------------------------------------- */

static void explains(int code, const char *lockdown, const char *word)
{
	struct mb_err err = { 0 };

	assert_fails(mb_insert_explain(code, "/a/mbwalk.ko", RELEASE, lockdown, &err), code, &err,
		     word);
	assert_memory_equal(err.text, "/a/mbwalk.ko: ", 14);
}

static void test_explain(void **state)
{
	static const char locked[] = "none [integrity] confidentiality";
	static const char open[] = "[none] integrity confidentiality";

	(void)state;
	explains(EPERM, "", "though CAP_SYS_MODULE");
	explains(EPERM, open, "though CAP_SYS_MODULE");
	explains(EPERM, locked, "Secure Boot: it is locked down");
	explains(EKEYREJECTED, "", "signed with a key");
	explains(ENOKEY, open, "mokutil");
	explains(EBADMSG, locked, "signed with a key");
	explains(ENOEXEC, "", "make kmod KDIR=/lib/modules/" RELEASE "/build");
	explains(EINVAL, "", "another configuration");
	explains(ENOENT, "", "dmesg");
	explains(EOPNOTSUPP, "", "confidential");
	explains(ENOSYS, "", "CONFIG_MODULES");
	explains(ENOMEM, "", "Cannot allocate memory");
}

static void test_modprobe_says(void **state)
{
	(void)state;
	assert_int_equal(mb_insert_errno_of("modprobe: ERROR: could not insert 'mbwalk': Key was "
					    "rejected by service"),
			 EKEYREJECTED);
	assert_int_equal(mb_insert_errno_of("could not insert 'mbwalk': Exec format error"),
			 ENOEXEC);
	assert_int_equal(mb_insert_errno_of("modprobe: FATAL: Module mbwalk not found"), 0);
	assert_int_equal(mb_insert_errno_of("modprobe: can't open 'modules.dep': No such file or "
					    "directory"),
			 0);
	assert_int_equal(mb_insert_errno_of("ERROR: could not insert 'mbwalk': Unknown symbol in "
					    "module, or unknown parameter (see dmesg)"),
			 ENOENT);
	assert_int_equal(mb_insert_errno_of(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modinfo),
		cmocka_unit_test(test_modinfo_edges),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test_setup_teardown(test_order, make_top, remove_top),
		cmocka_unit_test_setup_teardown(test_other_kernel, make_top, remove_top),
		cmocka_unit_test_setup_teardown(test_others_may_write, make_top, remove_top),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_modprobe_says),
	};

	return cmocka_run_group_tests_name("insert", tests, NULL, NULL);
}
