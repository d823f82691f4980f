// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/insert.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/modinfo.h"
#include "proto/base/cleanup.h"

#define MODULE "mbwalk"

enum { MODULE_BYTES_MAX = 64 << 20 }; /* with debug info it has one */

/* The first line of a small file, or "". */
static void read_line(const char *path, char *ret, size_t size)
{
	mb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

/* --- find ------------------------------------------------------------------------------------- */

static int check_fit(int fd, const char *path, const char *release, struct mb_err *err)
{
	char magic[256];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return mb_fail(err, errno, "%s: %m", path);
	if (!S_ISREG(st.st_mode) || st.st_size > MODULE_BYTES_MAX)
		return mb_fail(err, EINVAL,
			       "%s: no kernel module (not a regular file of %d MiB at "
			       "most)",
			       path, MODULE_BYTES_MAX >> 20);
	r = mb_modinfo_get(fd, path, "vermagic", magic, sizeof(magic), err);
	if (r < 0)
		return r;
	/* The first word; the others are for the kernel to judge. */
	magic[strcspn(magic, " ")] = 0;
	if (strcmp(magic, release) == 0)
		return 0;
	return mb_fail(err, ENOEXEC, "%s was built for %s, this kernel is %s", path, magic,
		       release);
}

static int take_file(struct mb_insert_found *ret, const char *release, struct mb_err *err)
{
	mb_autoclose int fd = open(ret->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return mb_fail(err, errno, "%s: %m", ret->path);
	r = check_fit(fd, ret->path, release, err);
	if (r == 0)
		ret->fd = mb_take_fd(fd);
	return r;
}

/* -ENOENT, without a reason, when it is not there. */
static int take_installed(const struct mb_insert_places *p, struct mb_insert_found *ret,
			  struct mb_err *err)
{
	static const char *const folders[] = { "updates/dkms", "updates", "extra" };
	static const char *const packed[] = { "", ".xz", ".zst", ".gz" };

	for (size_t i = 0; i < MB_ARRAY_LEN(folders); i++) {
		for (size_t k = 0; k < MB_ARRAY_LEN(packed); k++) {
			if ((size_t)snprintf(ret->path, sizeof(ret->path),
					     "%s/%s/%s/" MODULE ".ko%s", p->modules, p->release,
					     folders[i], packed[k]) >= sizeof(ret->path) ||
			    access(ret->path, F_OK) < 0)
				continue;
			ret->for_modprobe = p->modprobe;
			if (!*packed[k])
				return take_file(ret, p->release, err);
			if (!p->modprobe)
				return mb_fail(err, ENOTSUP,
					       "%s is compressed, and there is no modprobe",
					       ret->path);
			return 0;
		}
	}
	return -ENOENT;
}

/* Whoever else can write it could have our root run their code. */
static int check_owner(const struct mb_insert_found *found, struct mb_err *err)
{
	struct stat st;

	if (fstat(found->fd, &st) < 0)
		return mb_fail(err, errno, "%s: %m", found->path);
	if ((st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	return mb_fail(err, EPERM,
		       "%s: others than root and you may write it; to take it all the "
		       "same name it by --module",
		       found->path);
}

static int take_beside(const struct mb_insert_places *p, struct mb_insert_found *ret,
		       struct mb_err *err)
{
	int r;

	if (!p->beside ||
	    (size_t)snprintf(ret->path, sizeof(ret->path), "%s/" MODULE ".ko", p->beside) >=
		    sizeof(ret->path) ||
	    access(ret->path, F_OK) < 0)
		return -ENOENT;
	r = take_file(ret, p->release, err);
	if (r == 0 && (r = check_owner(ret, err)) < 0) {
		mb_closep(&ret->fd);
		ret->fd = -1;
	}
	return r;
}

int mb_insert_find(const struct mb_insert_places *p, struct mb_insert_found *ret,
		   struct mb_err *err)
{
	struct mb_err reason = { 0 };
	int r;

	*ret = (struct mb_insert_found){ .fd = -1 };
	if (p->file) {
		if ((size_t)snprintf(ret->path, sizeof(ret->path), "%s", p->file) >=
		    sizeof(ret->path))
			return mb_fail(err, ENAMETOOLONG, "%s: %s", p->file,
				       strerror(ENAMETOOLONG));
		return take_file(ret, p->release, err);
	}
	r = take_installed(p, ret, &reason);
	if (r == -ENOENT && !*reason.text)
		r = take_beside(p, ret, &reason);
	if (r == -ENOENT && !*reason.text)
		return mb_fail(
			err, ENOENT,
			"the module " MODULE " is not loaded, and there is none for this kernel: "
			"with package linux-headers-%s, memory-buddies-dkms builds it, or in the "
			"source tree `make kmod KDIR=/lib/modules/%s/build` (name it by --module)",
			p->release, p->release);
	return r < 0 ? mb_fail(err, -r, "%s", reason.text) : 0;
}

/* --- explain ---------------------------------------------------------------------------------- */

int mb_insert_explain(int code, const char *path, const char *release, const char *lockdown,
		      struct mb_err *err)
{
	bool locked = *lockdown && !strstr(lockdown, "[none]");

	switch (code) {
	case EPERM:
		if (!locked)
			return mb_fail(err, code,
				       "%s: not permitted, though CAP_SYS_MODULE is there: a "
				       "container, or a security module",
				       path);
		/* fall through */
	case EKEYREJECTED:
	case ENOKEY:
	case EBADMSG:
		return mb_fail(err, code,
			       "%s: this kernel takes only modules signed with a key that it "
			       "knows (Secure Boot%s): sign it, and have the key enrolled (mokutil "
			       "--import)",
			       path, locked ? ": it is locked down" : ", sig_enforce");
	case ENOEXEC:
	case EINVAL:
	case ENOENT:
		return mb_fail(err, code,
			       "%s: does not fit this kernel (%s; dmesg says more): it was "
			       "built with another configuration; build it anew: make kmod "
			       "KDIR=/lib/modules/%s/build",
			       path, strerror(code), release);
	case EOPNOTSUPP:
		return mb_fail(err, code, "%s: declines to read a confidential guest's memory",
			       path);
	case ENOSYS:
		return mb_fail(err, code,
			       "%s: this kernel has no loadable modules (CONFIG_MODULES)", path);
	default:
		return mb_fail(err, code, "%s: cannot be loaded: %s", path, strerror(code));
	}
}

int mb_insert_errno_of(const char *text)
{
	/* modprobe's own words; for other errors it has the C library's. */
	static const struct {
		const char *words;
		int code;
	} own[] = {
		{ "Invalid module format", ENOEXEC },
		{ "Unknown symbol in module", ENOENT },
		{ "wrong symbol version", EINVAL },
		{ "invalid parameters", EINVAL },
	};
	static const int codes[] = { EPERM,  EKEYREJECTED, ENOKEY, EBADMSG, ENOEXEC,
				     EINVAL, EOPNOTSUPP,   ENOSYS, EBUSY,   ENOMEM };

	for (size_t i = 0; i < MB_ARRAY_LEN(own); i++)
		if (strcasestr(text, own[i].words))
			return own[i].code;
	for (size_t i = 0; i < MB_ARRAY_LEN(codes); i++)
		if (strstr(text, strerror(codes[i])))
			return codes[i];
	return 0;
}

/* --- load ------------------------------------------------------------------------------------- */

static bool have_module_capability(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(SYS_capget, &header, data) == 0 && data[0].effective >> CAP_SYS_MODULE & 1;
}

static int check_allowed(struct mb_err *err)
{
	char disabled[8];

	read_line("/proc/sys/kernel/modules_disabled", disabled, sizeof(disabled));
	if (disabled[0] == '1')
		return mb_fail(err, EPERM,
			       "no more modules can be loaded until the next boot "
			       "(/proc/sys/kernel/modules_disabled is 1)");
	if (!have_module_capability())
		return mb_fail(err, EPERM,
			       "the module " MODULE " is not loaded, and only root "
			       "(CAP_SYS_MODULE) can load it");
	return 0;
}

static int explain(int code, const char *path, const char *release, struct mb_err *err)
{
	char lockdown[80];

	read_line("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown));
	return mb_insert_explain(code, path, release, lockdown, err);
}

/* Its first line on standard error, and how it ended; -errno when it cannot be run. */
static int run_modprobe(const char *modprobe, char *said, size_t size, int *ret_status)
{
	char *argv[] = { (char[]){ "modprobe" }, (char[]){ MODULE }, NULL };
	char *envp[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, (char[]){ "LC_ALL=C" },
			 NULL };
	mb_autoclose int from = -1;
	posix_spawn_file_actions_t actions;
	size_t len = 0;
	char more[256];
	int fds[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	from = fds[0];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	r = posix_spawn(&pid, modprobe, &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (r != 0)
		return -r;
	while ((n = read(from, more, sizeof(more))) > 0 || (n < 0 && errno == EINTR))
		for (ssize_t i = 0; i < n && len + 1 < size; i++)
			said[len++] = more[i];
	said[len] = 0;
	said[strcspn(said, "\n")] = 0;
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int load_by_modprobe(const char *modprobe, const char *path, const char *release,
			    struct mb_err *err)
{
	char said[240] = "";
	int status = 0, r = run_modprobe(modprobe, said, sizeof(said), &status);

	if (r < 0)
		return mb_fail(err, -r, "%s: %s", modprobe, strerror(-r));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	r = mb_insert_errno_of(said);
	return r ? explain(r, path, release, err) :
		   mb_fail(err, EIO, "%s: %s " MODULE " failed (%s); `depmod` may be due", path,
			   modprobe, said);
}

/* depmod has not run since the file came: modprobe does not know it, but it is there. */
static int load(const struct mb_insert_places *p, const struct mb_insert_found *f,
		struct mb_err *err)
{
	int r = 0;

	if (f->for_modprobe) {
		r = load_by_modprobe(p->modprobe, f->path, p->release, err);
		if (r == 0 || f->fd < 0)
			return r;
	}
	if (syscall(SYS_finit_module, f->fd, "", 0) == 0 || errno == EEXIST)
		return 0;
	return explain(errno, f->path, p->release, err);
}

/* --- this machine ----------------------------------------------------------------------------- */

struct machine {
	struct mb_insert_places places;
	struct utsname name;
	char program[PATH_MAX];
};

/* A bare initramfs has no /proc; then it is what exec was given. */
static void find_program(char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	const char *given = (const char *)getauxval(AT_EXECFN);

	if (n > 0)
		ret[n] = 0;
	else
		snprintf(ret, PATH_MAX, "%s", given ? given : "");
}

static void look_at_machine(struct machine *m, const char *file)
{
	static const char *const modprobes[] = { "/sbin/modprobe", "/usr/sbin/modprobe" };
	char *slash;

	*m = (struct machine){ .places.file = file, .places.modules = "/lib/modules" };
	uname(&m->name);
	m->places.release = m->name.release;
	find_program(m->program);
	slash = strrchr(m->program, '/');
	if (slash) {
		*slash = 0;
		m->places.beside = m->program;
	}
	for (size_t i = 0; i < MB_ARRAY_LEN(modprobes) && !m->places.modprobe; i++)
		if (access(modprobes[i], X_OK) == 0)
			m->places.modprobe = modprobes[i];
}

static int find_here(struct machine *m, const char *file, struct mb_insert_found *ret,
		     struct mb_err *err)
{
	int r;

	look_at_machine(m, file);
	r = mb_insert_find(&m->places, ret, err);
	if (r == 0 && (r = check_allowed(err)) < 0) {
		mb_closep(&ret->fd);
		ret->fd = -1;
	}
	return r;
}

int mb_insert_check(const char *file, char ret_path[PATH_MAX], struct mb_err *err)
{
	struct mb_insert_found found;
	struct machine m;
	int r = find_here(&m, file, &found, err);

	mb_closep(&found.fd);
	if (r == 0)
		memcpy(ret_path, found.path, sizeof(found.path));
	return r;
}

int mb_insert(const char *file, struct mb_err *err)
{
	struct mb_insert_found found;
	struct machine m;
	int r = find_here(&m, file, &found, err);

	if (r == 0)
		r = load(&m.places, &found, err);
	mb_closep(&found.fd);
	return r;
}
