// SPDX-License-Identifier: GPL-2.0-or-later
/* Only CAP_SYS_ADMIN of the machine itself opens the device, whatever the file's mode says. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"

static void drop_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		fail_errno("capget");
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	data[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	data[0].inheritable &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &header, data) < 0)
		fail_errno("capset");
}

static void become_nobody(void)
{
	if (setgid(65534) < 0 || setuid(65534) < 0)
		fail_errno("setuid");
}

/* Root, with all capabilities, of a user namespace of its own. */
static void enter_namespace(void)
{
	char map[32];

	snprintf(map, sizeof map, "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER) < 0) {
		say("no user namespaces for user %u: %s", geteuid(), strerror(errno));
		_exit(0);
	}
	/* Its files in /proc would be the real root's, after setuid(). */
	prctl(PR_SET_DUMPABLE, 1);
	if (!file_put("/proc/self/uid_map", map))
		fail_errno("uid_map");
	CHECK(geteuid() == 0);
}

static void nobody_in_namespace(void)
{
	become_nobody();
	enter_namespace();
}

static void check_open(const char *who, const char *path, void (*become)(void), int want)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int pid = fork();

	if (pid == 0) {
		become();
		for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
			int fd = open(path, modes[i]), error = errno;

			if (fd >= 0)
				fail("%s may open %s", who, path);
			if (error != want)
				fail("%s, %s: errno %d, not %d", who, path, error, want);
		}
		_exit(0);
	}
	wait_good(pid, who);
}

int main(void)
{
	const char *node = "/tmp/mbwalk.open";
	struct stat st;

	if (stat(MBWALK_PATH, &st) < 0)
		fail_errno(MBWALK_PATH);
	CHECK(S_ISCHR(st.st_mode) && (st.st_mode & 07777) == 0600 && st.st_uid == 0);
	unlink(node);
	if (mknod(node, S_IFCHR | 0666, st.st_rdev) < 0 || chmod(node, 0666) < 0)
		fail_errno("%s", node);
	close(walk_open());
	check_open("nobody", MBWALK_PATH, become_nobody, EACCES);
	check_open("nobody", node, become_nobody, EPERM);
	check_open("root without CAP_SYS_ADMIN", MBWALK_PATH, drop_admin, EPERM);
	check_open("root without CAP_SYS_ADMIN", node, drop_admin, EPERM);
	check_open("root of a namespace", MBWALK_PATH, enter_namespace, EPERM);
	check_open("root of a namespace", node, enter_namespace, EPERM);
	check_open("nobody as root of a namespace", MBWALK_PATH, nobody_in_namespace, EACCES);
	check_open("nobody as root of a namespace", node, nobody_in_namespace, EPERM);
	unlink(node);
	close(walk_open());
	return 0;
}
