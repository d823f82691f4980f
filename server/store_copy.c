// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "server/schema.sql.h"
#include "server/store_sql.h"

static void closep(struct mb_store **s)
{
	mb_store_close(*s);
}

/* As it is: neither made, nor upgraded. */
static int open_as_it_is(const char *path, struct mb_store **ret, int *ret_version,
			 struct mb_err *err)
{
	struct mb_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return mb_fail_mem(err, "the store");
	s->path = strdup(path);
	r = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!s->path || !s->db) {
		r = mb_fail_mem(err, "the store");
	} else {
		sqlite3_busy_timeout(s->db, 10000);
		r = r == SQLITE_OK ? mb_sql_check_ours(s, ret_version, err) : mb_sql_fail(s, err);
	}
	if (r == 0 && *ret_version == 0)
		r = mb_fail(err, ENOENT, "database %s: empty", path);
	if (r < 0)
		mb_store_close(s);
	else
		*ret = s;
	return r;
}

static int check_integrity(struct mb_store *s, void (*each)(void *ctx, const char *text), void *ctx,
			   struct mb_err *err)
{
	sqlite3_stmt *st = NULL;
	int step, r = 0;

	if (sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(20)", -1, &st, NULL) != SQLITE_OK)
		return mb_sql_fail(s, err);
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		if (text && strcmp(text, "ok") == 0)
			continue;
		if (each)
			each(ctx, text ? text : "?");
		if (r == 0)
			r = mb_fail(err, EUCLEAN, "database %s: damaged: %s", s->path,
				    text ? text : "?");
	}
	if (step != SQLITE_DONE)
		r = mb_sql_fail(s, err);
	sqlite3_finalize(st);
	return r;
}

static int sync_path(const char *path, int flags, struct mb_err *err)
{
	mb_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	return fd < 0 || fsync(fd) < 0 ? mb_fail(err, errno, "%s: %m", path) : 0;
}

static int sync_folder_of(const char *path, struct mb_err *err)
{
	mb_autofree char *folder = strdup(path);
	char *slash;

	if (!folder)
		return mb_fail_mem(err, "a path");
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = 0;
	return sync_path(slash ? folder : ".", O_DIRECTORY, err);
}

static int copy_pages(struct mb_store *from, struct mb_store *to, struct mb_err *err)
{
	sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
	int step, end;

	if (!b)
		return mb_sql_fail(to, err);
	/* All in one step: one moment, and writers do not make it begin anew. */
	step = sqlite3_backup_step(b, -1);
	end = sqlite3_backup_finish(b);
	if (step == SQLITE_DONE && end == SQLITE_OK)
		return 0;
	if (step == SQLITE_BUSY || step == SQLITE_LOCKED)
		return mb_fail(err, EBUSY, "database %s: somebody else is writing to it",
			       from->path);
	return mb_sql_fail(to, err);
}

/* A whole, checked and durable copy at `to`, which must not be there. */
static int copy(const char *path, const char *to, struct mb_err *err)
{
	mb_cleanup(closep) struct mb_store *from = NULL, *copied = NULL;
	mb_autoclose int fd = -1;
	int r, version;

	r = open_as_it_is(path, &from, &version, err);
	if (r < 0)
		return r;
	fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return mb_fail(err, errno, "%s: %m", to);
	/* Closed before SQLite opens it: closing it later would drop its locks. */
	mb_closep(&fd);
	copied = calloc(1, sizeof(*copied));
	if (!copied || !(copied->path = strdup(to)))
		return mb_fail_mem(err, "the store");
	/* One file, without a log beside it. */
	if (sqlite3_open_v2(to, &copied->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		return mb_sql_fail(copied, err);
	r = copy_pages(from, copied, err);
	if (r == 0 &&
	    sqlite3_exec(copied->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK)
		r = mb_sql_fail(copied, err);
	if (r == 0)
		r = check_integrity(copied, NULL, NULL, err);
	return r < 0 ? r : sync_path(to, 0, err);
}

int mb_store_backup(const char *path, const char *to, struct mb_err *err)
{
	mb_autofree char *part = NULL;
	int r;

	if (asprintf(&part, "%s.part", to) < 0) {
		part = NULL;
		return mb_fail_mem(err, "a path");
	}
	if (access(to, F_OK) == 0)
		return mb_fail(err, EEXIST, "backup %s: there is such a file", to);
	/* Of a backup that was interrupted. */
	unlink(part);
	r = copy(path, part, err);
	/* Two at once: the second finds the first one's file. */
	if (r == 0 && link(part, to) < 0)
		r = mb_fail(err, errno, "%s: %m", to);
	unlink(part);
	if (r == 0)
		r = sync_folder_of(to, err);
	return r < 0 ? mb_fail_in(err, r, "backup") : 0;
}

/* The new one is there before the old one is not: never is there none. */
static int exchange(const char *path, const char *fresh, struct mb_err *err)
{
	mb_autofree char *old = NULL, *old_log = NULL, *log = NULL, *shm = NULL;

	if (asprintf(&old, "%s.before-restore", path) < 0 ||
	    asprintf(&old_log, "%s.before-restore-wal", path) < 0 ||
	    asprintf(&log, "%s-wal", path) < 0 || asprintf(&shm, "%s-shm", path) < 0)
		return mb_fail_mem(err, "a path");
	if (link(path, old) < 0 && errno != ENOENT)
		return mb_fail(err, errno, "%s: %m", old);
	/* The log of one database must not be found beside another. */
	if (rename(log, old_log) < 0 && errno != ENOENT)
		return mb_fail(err, errno, "%s: %m", old_log);
	unlink(shm);
	if (rename(fresh, path) < 0)
		return mb_fail(err, errno, "%s: %m", path);
	return sync_folder_of(path, err);
}

int mb_store_restore(const char *path, const char *from, struct mb_err *err)
{
	mb_autofree char *fresh = NULL;
	int r;

	if (asprintf(&fresh, "%s.restored", path) < 0) {
		fresh = NULL;
		return mb_fail_mem(err, "a path");
	}
	unlink(fresh);
	r = copy(from, fresh, err);
	if (r == 0)
		r = exchange(path, fresh, err);
	unlink(fresh);
	return r < 0 ? mb_fail_in(err, r, "restore") : 0;
}

struct check {
	void (*each)(void *ctx, const char *text);
	void *ctx;
	const char *path;
	int damaged;
	struct mb_err first;
};

static int on_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err)
{
	struct check *c = ctx;
	char text[700];

	(void)err;
	if (damage) {
		snprintf(text, sizeof(text), "VM %s: %s", vm->name, damage);
		c->each(c->ctx, text);
		if (!c->damaged++)
			mb_fail(&c->first, EUCLEAN, "database %s: damaged: %s", c->path, text);
	}
	mb_vm_deinit(vm);
	return 0;
}

int mb_store_check(const char *path, void (*each)(void *ctx, const char *text), void *ctx,
		   struct mb_err *err)
{
	struct check c = { .each = each, .ctx = ctx, .path = path };
	mb_cleanup(closep) struct mb_store *s = NULL;
	int version, r = open_as_it_is(path, &s, &version, err);

	if (r == 0)
		r = check_integrity(s, each, ctx, err);
	/* Of another version's fingerprints this one knows nothing. */
	if (r < 0 || version != MB_SCHEMA_VERSION)
		return r;
	if ((r = mb_sql_prepare(s, err)) < 0 || (r = mb_store_load(s, on_vm, &c, err)) < 0)
		return r;
	if (c.damaged && err)
		*err = c.first;
	return c.damaged ? -EUCLEAN : 0;
}
