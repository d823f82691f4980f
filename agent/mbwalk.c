// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/mbwalk.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/insert.h"
#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"

#define PATH   "/dev/" MBWALK_DEVICE
#define SYSFS  "/sys/module/mbwalk/version"
#define LOADED "/sys/class/misc/mbwalk"

enum {
	RANGES_MAX = 1 << 20,
	TRIES_MAX = 1000, /* signal after signal, or range after range plugged in */
};
#define FRAMES_MAX ((uint64_t)1 << 52) /* of a trace */

/* --- the machine ------------------------------------------------------------------------------ */

static int machine_open(void)
{
	int fd = open(PATH, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void machine_close(int fd)
{
	close(fd);
}

static int machine_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

struct mb_mbwalk_machine mb_mbwalk_machine = {
	.open = machine_open,
	.close = machine_close,
	.ioctl = machine_ioctl,
	.insert_check = mb_insert_check,
	.insert = mb_insert,
};

/* --- open ------------------------------------------------------------------------------------- */

static int fail_no_node(struct mb_err *err)
{
	return mb_fail(err, ENOENT,
		       "the module mbwalk is loaded, but there is no " PATH
		       ": mount devtmpfs on /dev");
}

int mb_mbwalk_open(int *ret_fd, struct mb_err *err)
{
	int fd = mb_mbwalk_machine.open();

	switch (fd) {
	case -ENOENT:
		if (access(LOADED, F_OK) == 0)
			return fail_no_node(err);
		/* fall through */
	case -ENXIO: /* a node that was left behind */
	case -ENODEV:
		return mb_fail(err, ENODEV, "the module mbwalk is not loaded (no " PATH ")");
	case -EPERM:
	case -EACCES:
		return mb_fail(err, -fd, PATH ": only root (CAP_SYS_ADMIN) may read all memory");
	}
	if (fd < 0)
		return mb_fail(err, -fd, PATH ": %s", strerror(-fd));
	*ret_fd = fd;
	return 0;
}

int mb_mbwalk_open_loaded(const char *module, int *ret_fd, struct mb_err *err)
{
	int r = mb_mbwalk_open(ret_fd, err);

	if (r != -ENODEV)
		return r;
	r = mb_mbwalk_machine.insert(module, err);
	if (r < 0)
		return r;
	r = mb_mbwalk_open(ret_fd, err);
	return r == -ENODEV ? fail_no_node(err) : r;
}

void mb_mbwalk_close(int fd)
{
	if (fd >= 0)
		mb_mbwalk_machine.close(fd);
}

/* --- info ------------------------------------------------------------------------------------- */

/* It takes only the size of its own version, and so cannot say which that is; sysfs can. */
static int fail_version(struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf version = { 0 };
	char *text = NULL;

	if (mb_file_read(SYSFS, 64, &version, NULL) == 0) {
		text = (char *)version.data;
		text[strcspn(text, "\n")] = 0;
	}
	return mb_fail(
		err, EPROTO,
		PATH ": the module mbwalk that is loaded has version %s, this agent "
		     "needs version %d: `rmmod mbwalk`, and load the one that came with the agent",
		text ? text : "(unknown)", MBWALK_VERSION);
}

/* A signal, or memory that is being plugged: it is soon over. */
static bool is_passing(int r)
{
	if (r == -EAGAIN)
		usleep(1000);
	return r == -EINTR || r == -EAGAIN;
}

static int ask(int fd, struct mbwalk_info *info, struct mbwalk_range *ranges, uint64_t cap,
	       struct mb_err *err)
{
	int r = 0;

	for (int tries = 0; tries < TRIES_MAX && (!tries || is_passing(r)); tries++) {
		*info = (struct mbwalk_info){
			.size = sizeof(*info),
			.ranges = (uintptr_t)ranges,
			.cap_ranges = cap,
		};
		r = mb_mbwalk_machine.ioctl(fd, MBWALK_INFO, info);
	}
	if (r == -EINVAL || r == -ENOTTY)
		return fail_version(err);
	if (r < 0)
		return mb_fail(err, -r, PATH ": MBWALK_INFO: %s", strerror(-r));
	if (info->version != MBWALK_VERSION)
		return mb_fail(err, EPROTO,
			       PATH ": the module has version %" PRIu32 ", this agent needs "
				    "version %d",
			       info->version, MBWALK_VERSION);
	if (info->parts_max > MBWALK_PARTS_MAX)
		/* A record of ours has room for no more of them. */
		info->parts_max = MBWALK_PARTS_MAX;
	if (info->n_ranges > RANGES_MAX)
		return mb_fail(err, EPROTO, PATH ": %" PRIu64 " ranges of RAM are too many",
			       (uint64_t)info->n_ranges);
	return 0;
}

static int check_ranges(const struct mbwalk_info *info, const struct mbwalk_range *ranges,
			struct mb_err *err)
{
	uint64_t end = 0, frames = 0;

	for (size_t i = 0; i < info->n_ranges; i++) {
		if (ranges[i].first < end || ranges[i].first > FRAMES_MAX || !ranges[i].n ||
		    ranges[i].n > FRAMES_MAX - ranges[i].first)
			return mb_fail(err, EPROTO,
				       PATH ": range %zu of RAM, %" PRIu64 " frames from "
					    "%" PRIu64 " on, does not follow the one before",
				       i, (uint64_t)ranges[i].n, (uint64_t)ranges[i].first);
		end = ranges[i].first + ranges[i].n;
		frames += ranges[i].n;
	}
	if (end != info->end_frame || frames != info->ram_frames)
		return mb_fail(err, EPROTO,
			       PATH ": %" PRIu64 " frames of RAM, but its ranges have %" PRIu64,
			       (uint64_t)info->ram_frames, frames);
	return 0;
}

int mb_mbwalk_info(int fd, struct mbwalk_info *ret, struct mbwalk_range **ret_ranges,
		   struct mb_err *err)
{
	mb_autofree struct mbwalk_range *ranges = NULL;
	uint64_t cap = 0;
	int r;

	/* Ranges may come between asking how many there are and asking for them. */
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		r = ask(fd, ret, ranges, cap, err);
		if (r < 0)
			return r;
		if (ranges && ret->n_ranges <= cap) {
			r = check_ranges(ret, ranges, err);
			if (r == 0)
				*ret_ranges = mb_take_ptr(ranges);
			return r;
		}
		free(ranges);
		cap = ret->n_ranges + 8;
		ranges = calloc(cap, sizeof(*ranges));
		if (!ranges)
			return mb_fail_mem(err, "ranges of RAM");
	}
	return mb_fail(err, EPROTO, PATH ": the number of ranges does not settle");
}

/* --- scan ------------------------------------------------------------------------------------- */

static int fail_scan(const struct mbwalk_scan *s, const char *what, struct mb_err *err)
{
	return mb_fail(err, EPROTO,
		       PATH ": MBWALK_SCAN of %" PRIu64 " frames from %" PRIu64 " on: %s",
		       (uint64_t)s->n, (uint64_t)s->first, what);
}

static int check_scan(const struct mbwalk_scan *asked, const struct mbwalk_scan *s,
		      struct mb_err *err)
{
	const struct mbwalk_record *records = (void *)(uintptr_t)asked->records;
	uint64_t frame = asked->first, sum = 0;

	if (s->n_records > asked->cap_records)
		return fail_scan(asked, "more records than there is room for", err);
	if (s->next <= asked->first || s->next - asked->first > asked->n)
		return fail_scan(asked, "it does not get on", err);
	for (size_t i = 0; i < s->n_records; i++) {
		if (records[i].frame < frame || records[i].frame >= s->next)
			return fail_scan(asked, "frames do not ascend", err);
		frame = records[i].frame + 1;
		if ((uint64_t)records[i].zero_parts >> asked->parts)
			return fail_scan(asked, "zero parts that no page has", err);
		/* That one is counted, too. */
		if (records[i].cls == MBWALK_GONE && !asked->known)
			return fail_scan(asked, "frames are gone that nobody knew", err);
		sum += records[i].cls != MBWALK_GONE;
	}
	/* Each count is held against the whole, so that the sum cannot wrap. */
	for (int i = 0; i < MBWALK_COUNTS; i++) {
		if (s->counts[i] > asked->n)
			return fail_scan(asked, "it counts more frames than there are", err);
		sum += s->counts[i];
	}
	return sum == s->next - asked->first ?
		       0 :
		       fail_scan(asked, "frames were lost, or counted twice", err);
}

int mb_mbwalk_scan(int fd, struct mbwalk_scan *scan, struct mb_err *err)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		struct mbwalk_scan got = *scan;
		int r;

		got.size = sizeof(got);
		r = mb_mbwalk_machine.ioctl(fd, MBWALK_SCAN, &got);
		if (is_passing(r))
			continue;
		if (r < 0)
			return mb_fail_in(err, mb_fail(err, -r, "%s", strerror(-r)),
					  PATH ": MBWALK_SCAN of %" PRIu64 " frames from %" PRIu64
					       " on",
					  (uint64_t)scan->n, (uint64_t)scan->first);
		r = check_scan(scan, &got, err);
		if (r == 0)
			*scan = got;
		return r;
	}
	return mb_fail(err, EINTR,
		       PATH ": MBWALK_SCAN: a signal each of %d times, or memory that is plugged "
			    "all the time",
		       TRIES_MAX);
}
