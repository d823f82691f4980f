// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/metrics_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/base/version.h"
#include "proto/metrics.h"

void mb_metrics_file_epoch(struct mb_metrics_file *f, const struct mb_epoch *e)
{
	f->epochs++;
	f->full_walks += e->info.full;
	f->read_pages += e->info.pages_read;
	f->changed_pages += e->info.pages_changed;
	f->last = e->info;
	f->pages = e->fingerprint.n_pages;
	f->distinct = e->fingerprint.n_distinct;
	mb_audit_add(&f->audit, &e->info.audit);
}

void mb_metrics_file_acked(struct mb_metrics_file *f, uint64_t epoch, size_t wire_bytes,
			   uint64_t unix_ns)
{
	f->acked_epoch = epoch;
	f->sent_bytes += wire_bytes;
	f->acked_unix_s = (double)unix_ns / 1e9;
}

static void put_classes(struct mb_metrics *m, const char *name, const char *help,
			const struct mb_audit *a, const uint64_t of[MB_CLASS_END])
{
	mb_metrics_family(m, name, MB_COUNTER, help);
	for (unsigned int i = 0; i < MB_CLASS_END; i++) {
		if (!a->changed[i] && !(a->follows >> i & 1))
			continue;
		mb_metrics_label(m, "class", mb_class_name(i));
		mb_metrics_label(m, "followed", a->follows >> i & 1 ? "1" : "0");
		mb_metrics_put(m, (double)of[i]);
	}
}

static void put_last(struct mb_metrics *m, const struct mb_metrics_file *f)
{
	mb_metrics_one(m, "memory_buddies_agent_pages", MB_GAUGE, "Pages of the last epoch.",
		       (double)f->pages);
	mb_metrics_one(m, "memory_buddies_agent_distinct_pages", MB_GAUGE,
		       "Distinct contents among them.", (double)f->distinct);
	mb_metrics_one(m, "memory_buddies_agent_unread_pages", MB_GAUGE,
		       "Pages that the last epoch could not read.", (double)f->last.pages_unread);
	mb_metrics_one(m, "memory_buddies_agent_epoch_timestamp_seconds", MB_GAUGE,
		       "When the last epoch was taken.", (double)f->last.taken_unix_ns / 1e9);
	mb_metrics_one(m, "memory_buddies_agent_epoch_duration_seconds", MB_GAUGE,
		       "How long it took.", (double)f->last.duration_ns / 1e9);
}

static void put_all(struct mb_metrics *m, const struct mb_metrics_file *f,
		    const struct mb_pace *pace)
{
	struct mb_process_info info;

	mb_metrics_family(m, "memory_buddies_agent_info", MB_GAUGE,
			  "1; the agent's build, its VM and its tracker.");
	mb_metrics_label(m, "version", mb_version);
	mb_metrics_label(m, "vm", f->vm);
	mb_metrics_label(m, "tracker", f->tracker);
	mb_metrics_put(m, 1);
	mb_metrics_one(m, "memory_buddies_agent_epochs_total", MB_COUNTER, "Epochs taken.",
		       (double)f->epochs);
	mb_metrics_one(m, "memory_buddies_agent_full_walks_total", MB_COUNTER,
		       "Those of them that read all pages.", (double)f->full_walks);
	mb_metrics_one(m, "memory_buddies_agent_read_pages_total", MB_COUNTER, "Pages hashed.",
		       (double)f->read_pages);
	mb_metrics_one(m, "memory_buddies_agent_changed_pages_total", MB_COUNTER,
		       "Pages whose content had changed from one epoch to the next.",
		       (double)f->changed_pages);
	if (f->epochs)
		put_last(m, f);
	mb_metrics_one(m, "memory_buddies_agent_audits_total", MB_COUNTER,
		       "Epochs that judged the tracker.", f->audit.audits);
	put_classes(m, "memory_buddies_agent_audit_changed_pages_total",
		    "Changed pages, as audits found.", &f->audit, f->audit.changed);
	put_classes(m, "memory_buddies_agent_audit_stale_pages_total",
		    "Those of them that an incremental pass would have missed.", &f->audit,
		    f->audit.stale);
	if (f->acked_unix_s > 0)
		mb_metrics_one(m, "memory_buddies_agent_acked_timestamp_seconds", MB_GAUGE,
			       "When the server acked an epoch last.", f->acked_unix_s);
	mb_metrics_one(m, "memory_buddies_agent_sent_bytes_total", MB_COUNTER,
		       "Bytes of acked deltas, as frames on the wire.", (double)f->sent_bytes);
	mb_metrics_one(m, "memory_buddies_agent_interval_seconds", MB_GAUGE,
		       "Epochs are to be so far apart.", (double)pace->interval_ns / 1e9);
	mb_metrics_one(m, "memory_buddies_agent_wait_seconds", MB_GAUGE,
		       "They are so far apart, by interval and budget.",
		       (double)pace->wait_ns / 1e9);
	if (mb_process_info_get(&info, NULL) == 0)
		mb_metrics_process(m, &info);
}

int mb_metrics_file_write(const struct mb_metrics_file *f, const struct mb_pace *pace,
			  struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	struct mb_metrics m = { .out = &text };
	mb_autoclose int fd = -1;
	char now[PATH_MAX];
	int r;

	if (!f->path)
		return 0;
	put_all(&m, f, pace);
	r = mb_buf_check(&text, "metrics", err);
	if (r < 0)
		return r;
	if (snprintf(now, sizeof(now), "%s.new", f->path) >= (int)sizeof(now))
		return mb_fail(err, ENAMETOOLONG, "%s: %m", f->path);
	fd = open(now, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return mb_fail(err, errno, "%s: %m", now);
	r = mb_write_all(fd, text.data, text.len, err);
	if (r < 0)
		return mb_fail_in(err, r, "%s", now);
	return rename(now, f->path) < 0 ? mb_fail(err, errno, "%s: %m", f->path) : 0;
}
