// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/privileges.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"

static const struct {
	int cap;
	const char *what_for;
} words[] = {
	{ CAP_DAC_OVERRIDE, "/proc/PID/clear_refs of other users" },
	{ CAP_SYS_PTRACE, "/proc/PID/pagemap of other processes" },
	{ CAP_SYS_ADMIN, "frames in /proc/PID/pagemap" },
	{ CAP_PERFMON, "BPF programs that look into the kernel" },
	{ CAP_BPF, "what BPF programs have counted" },
};

static void free_caps(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

/* One that is newer than the kernel is part of the one that it was split off. */
static int known(int cap)
{
	bool split_off = cap == CAP_PERFMON || cap == CAP_BPF || cap == CAP_CHECKPOINT_RESTORE;

	return split_off && cap >= cap_max_bits() ? CAP_SYS_ADMIN : cap;
}

static bool has(cap_t caps, int cap, cap_flag_t flag)
{
	cap_flag_value_t value = CAP_CLEAR;

	return cap_get_flag(caps, known(cap), flag, &value) == 0 && value == CAP_SET;
}

bool mb_privileges_has(int cap)
{
	mb_cleanup(free_caps) cap_t caps = cap_get_proc();

	return caps && has(caps, cap, CAP_EFFECTIVE);
}

/* "CAP_BPF (what for)" */
static size_t name_one(int cap, char *ret, size_t size)
{
	char *name = cap_to_name((cap_value_t)known(cap)), upper[32] = "";
	const char *what_for = NULL;

	/* A number when it has no name. */
	for (size_t i = 0; name && name[i] && i + 1 < sizeof(upper); i++)
		upper[i] = (char)toupper((unsigned char)name[i]);
	cap_free(name);
	for (size_t i = 0; i < MB_ARRAY_LEN(words); i++) {
		if (words[i].cap == cap)
			what_for = words[i].what_for;
	}
	return what_for ? (size_t)snprintf(ret, size, "%s (%s)", upper, what_for) :
			  (size_t)snprintf(ret, size, "%s", upper);
}

const char *mb_privileges_missing(uint64_t want, char *ret, size_t size)
{
	size_t n = 0;

	*ret = 0;
	for (int cap = 0; cap < 64; cap++) {
		if (!(want >> cap & 1) || mb_privileges_has(cap))
			continue;
		if (n && n < size)
			n += (size_t)snprintf(ret + n, size - n, ", ");
		if (n < size)
			n += name_one(cap, ret + n, size - n);
	}
	return ret;
}

/* The set of these, which are all in `from`. */
static int make_set(cap_t from, uint64_t keep, cap_t *ret, struct mb_err *err)
{
	cap_t set = cap_init();

	*ret = set;
	if (!set)
		return mb_fail_mem(err, "a set of capabilities");
	for (int cap = 0; cap < 64; cap++) {
		cap_value_t value = known(cap);

		if (!(keep >> cap & 1) || !has(from, cap, CAP_PERMITTED))
			continue;
		if (cap_set_flag(set, CAP_PERMITTED, 1, &value, CAP_SET) < 0 ||
		    cap_set_flag(set, CAP_EFFECTIVE, 1, &value, CAP_SET) < 0)
			return mb_fail(err, errno, "capability %d: %m", value);
	}
	return 0;
}

/* Each thread has its own. */
static int check_alone(struct mb_err *err)
{
	struct stat st;

	/* A link for each thread, and two. */
	if (stat("/proc/self/task", &st) < 0)
		return mb_fail(err, errno, "/proc/self/task: %m");
	return st.st_nlink == 3 ?
		       0 :
		       mb_fail(err, EBUSY, "%d threads are running", (int)st.st_nlink - 2);
}

/* What a program that is started could get. */
static int drop_bound(cap_t caps, struct mb_err *err)
{
	/* Without it these cannot be dropped, and no_new_privs must do. */
	if (!has(caps, CAP_SETPCAP, CAP_EFFECTIVE))
		return 0;
	for (int cap = 0; cap < cap_max_bits(); cap++) {
		if (cap_get_bound(cap) > 0 && cap_drop_bound(cap) < 0)
			return mb_fail(err, errno, "bounding set: %m");
	}
	return 0;
}

int mb_privileges_drop(uint64_t keep, struct mb_err *err)
{
	mb_cleanup(free_caps) cap_t now = cap_get_proc();
	mb_cleanup(free_caps) cap_t then = NULL;
	int r;

	if (!now)
		return mb_fail(err, errno, "capabilities: %m");
	r = check_alone(err);
	if (r == 0)
		r = make_set(now, keep, &then, err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return mb_fail(err, errno, "no_new_privs: %m");
	r = drop_bound(now, err);
	if (r < 0)
		return r;
	/* Before 4.3 there are none. */
	if (CAP_AMBIENT_SUPPORTED() && cap_reset_ambient() < 0)
		return mb_fail(err, errno, "ambient capabilities: %m");
	/* None is inheritable. */
	return cap_set_proc(then) < 0 ? mb_fail(err, errno, "capabilities: %m") : 0;
}
