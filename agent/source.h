/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source: where the pages of a VM come from.
 *
 *	open -> describe -> { begin -> read, read, ... until no page comes } ... -> close
 *
 * The pass is the only caller. All hooks are required, run in one thread, and return -errno with a
 * reason. Sources do not see each other, nor the tracker.
 */
#ifndef MB_SOURCE_H
#define MB_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/frame_set.h"
#include "proto/base/err.h"
#include "proto/digest.h"
#include "proto/page.h"

/* Why a page was not read. What is not memory (holes, pages never touched) is not counted. */
enum mb_unread {
	MB_UNREAD_SWAPPED, /* out on swap; reading would bring it in */
	MB_UNREAD_NO_DATA, /* named, but without content (not dumped, file cut short) */
	MB_UNREAD_FAILED,  /* the read failed, as of memory that is secret to the kernel, too */
	MB_UNREAD_OFFLINE,
	MB_UNREAD_HWPOISON, /* damaged: not to be touched */
	MB_UNREAD_BALLOON,  /* given back to the hypervisor */
	MB_UNREAD_REASONS
};

struct mb_source_info {
	char text[160];	       /* for people: "process 4711 (qemu-system-x86), 256 MiB guest RAM" */
	uint64_t memory_bytes; /* the VM's full size as far as the source can tell */
	bool stable_frames;    /* a frame number names the same place in every epoch */
	bool this_machine;     /* frames are page frames of the machine that the agent runs on */
	bool live;	       /* memory in use, whose users the agent takes time from */
	/*
	 * Of the digests it gives. Not keyed: the pass keys them. Keyed (a recorded trace): they go
	 * out as they are, and the agent's own key must be the same.
	 */
	struct mb_identity identity;
	char vm[128];		/* a recorded trace's VM name, or "" */
	uint64_t taken_unix_ns; /* when the epoch begun last was recorded; 0: it is read now */
};

struct mb_source_options {
	enum mb_algorithm algorithm; /* for sources that hash pages themselves */
	const char *module;	     /* the kernel module's file, or NULL: look for it */
	uint32_t parts; /* digests per page (parts.h), 0: 1; not every source can have more */
};

/* What a check finds, in words. */
enum { MB_FOUND_MAX = 320 };

struct mb_source {
	const struct mb_source_ops *ops; /* each source embeds this first */
};

struct mb_source_ops {
	const char *scheme;  /* "process" */
	const char *syntax;  /* "process:PID[,ram|all]" */
	const char *summary; /* one line for --help and `mbagent check` */
	bool bare;	     /* "scheme" alone will do; its arg is "" */

	/*
	 * Can this host use it at all? 0, or -errno with what is missing. Changes nothing.
	 * `ret_found`: what there is, or left as it is where the summary says it all.
	 */
	int (*check)(char ret_found[MB_FOUND_MAX], struct mb_err *err);
	/* `arg` is what follows "scheme:". */
	int (*open)(const char *arg, const struct mb_source_options *options,
		    struct mb_source **ret, struct mb_err *err);
	void (*close)(struct mb_source *s);
	/* Valid after open; memory_bytes may change at each begin. */
	void (*describe)(struct mb_source *s, struct mb_source_info *ret);
	/*
	 * Starts an epoch over the frames in `only` (NULL: all); borrowed until the epoch's end.
	 * With only->known, frames that are of another class now, that may be written unseen
	 * (PINNED), or that are gone (`gone`) come, too. A source where frames do none of that but
	 * for -EAGAIN need not look.
	 * -ENODATA: there is no further epoch (a trace's end; a file is read once).
	 * -EAGAIN, never with NULL: since the last epoch frames have come, gone or been replaced
	 * in a way that no tracker sees, so `only` does not hold. Begin again with NULL.
	 * A source of this machine may also be begun again with NULL to read all after all.
	 */
	int (*begin)(struct mb_source *s, const struct mb_frame_set *only, struct mb_err *err);
	/*
	 * The next pages, ascending by frame also from call to call; *ret_n = 0 at the epoch's end.
	 * `cap` >= 1. Pages that could not be read are counted, not returned.
	 */
	int (*read)(struct mb_source *s, struct mb_page *pages, size_t cap, size_t *ret_n,
		    struct mb_err *err);
	/* Of the epoch begun last. */
	void (*unread)(struct mb_source *s, uint64_t ret[MB_UNREAD_REASONS]);
	/* Share of the epoch read, 0 to 1. */
	double (*progress)(struct mb_source *s);
};

extern const struct mb_source_ops mb_source_kmod, mb_source_process, mb_source_elf, mb_source_trace;

/* NULL after the last. */
const struct mb_source_ops *mb_source_at(size_t i);
/* "scheme:arg", or "scheme" of a bare one. -EINVAL names the schemes there are. */
int mb_source_open(const char *uri, const struct mb_source_options *options, struct mb_source **ret,
		   struct mb_err *err);
const char *mb_unread_name(enum mb_unread reason);

#endif
