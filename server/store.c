// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening, locking, transactions. store_put.c writes, store_load.c reads, store_who.c does
 * both for who dirtied memory, store_sql.c has the SQL, store_copy.c copies all of it.
 */
#include "server/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"
#include "server/schema.sql.h"
#include "server/store_sql.h"

static int get_int(struct mb_store *s, const char *question, int *ret, struct mb_err *err)
{
	sqlite3_stmt *st = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(s->db, question, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		r = mb_sql_fail(s, err);
	else
		*ret = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return r;
}

int mb_sql_check_ours(struct mb_store *s, int *ret_version, struct mb_err *err)
{
	int r, version = 0, tables = 0;

	if ((r = get_int(s, "PRAGMA user_version", &version, err)) < 0 ||
	    (r = get_int(s, "SELECT count(*) FROM sqlite_master", &tables, err)) < 0)
		return r;
	if (version == 0 && tables)
		return mb_fail(err, EEXIST, "database %s: belongs to another program", s->path);
	if (version < 0 || version > MB_SCHEMA_VERSION)
		return mb_fail(err, EPROTONOSUPPORT,
			       "database %s: made by another version (schema %d; this is %d)",
			       s->path, version, MB_SCHEMA_VERSION);
	*ret_version = version;
	return 0;
}

static int exec(struct mb_store *s, const char *text, struct mb_err *err)
{
	return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : mb_sql_fail(s, err);
}

/* From `version` to ours, all or nothing: what is left open is undone with the handle. */
static int make_schema(struct mb_store *s, int version, struct mb_err *err)
{
	char text[64];
	int r;

	if (version == MB_SCHEMA_VERSION)
		return 0;
	r = exec(s, "BEGIN IMMEDIATE", err);
	for (; r == 0 && version < MB_SCHEMA_VERSION; version++)
		r = exec(s, mb_schema[version], err);
	snprintf(text, sizeof(text), "PRAGMA user_version = %d", MB_SCHEMA_VERSION);
	if (r < 0 || (r = exec(s, text, err)) < 0)
		return r;
	return exec(s, "COMMIT", err);
}

int mb_store_open(const char *path, struct mb_store **ret, struct mb_err *err)
{
	struct mb_store *s = calloc(1, sizeof(*s));
	mode_t old;
	int r, version;

	if (!s)
		return mb_fail_mem(err, "the store");
	s->path = strdup(path);
	old = umask(0077); /* digests are for nobody else's eyes */
	r = sqlite3_open_v2(path, &s->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	umask(old);
	if (!s->path || !s->db) {
		r = mb_fail_mem(err, "the store");
		goto failed;
	}
	sqlite3_busy_timeout(s->db, 10000);
	r = r == SQLITE_OK ? mb_sql_check_ours(s, &version, err) : mb_sql_fail(s, err);
	if (r < 0)
		goto failed;
	r = exec(s,
		 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
		 err);
	if (r < 0)
		goto failed;
	/* SQLite opens it all the same, and fails at the first epoch. */
	if (sqlite3_db_readonly(s->db, "main") == 1) {
		r = mb_fail(err, EROFS, "database %s: may not be written", path);
		goto failed;
	}
	if ((r = make_schema(s, version, err)) < 0 || (r = mb_sql_prepare(s, err)) < 0)
		goto failed;
	*ret = s;
	return 0;
failed:
	mb_store_close(s);
	return r;
}

int mb_store_lock(const char *path, int *ret_fd, struct mb_err *err)
{
	mb_autofree char *name = NULL;
	mb_autoclose int fd = -1;

	if (asprintf(&name, "%s.lock", path) < 0) {
		name = NULL;
		return mb_fail_mem(err, "the store");
	}
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return mb_fail(err, errno, "database %s: %s: %m", path, name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return mb_fail(err, errno == EWOULDBLOCK ? EBUSY : errno,
			       errno == EWOULDBLOCK ?
				       "database %s: another server has it; stop that one first" :
				       "database %s: flock: %m",
			       path);
	*ret_fd = mb_take_fd(fd);
	return 0;
}

void mb_store_close(struct mb_store *s)
{
	if (!s)
		return;
	for (int i = 0; i < SQL_END; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

void mb_store_set_checkpoint(struct mb_store *s, uint32_t pages)
{
	sqlite3_wal_autocheckpoint(s->db, (int)pages);
}

int mb_store_begin(struct mb_store *s, struct mb_err *err)
{
	return mb_sql_run(s, mb_sql_get(s, SQL_BEGIN), err);
}

int mb_store_commit(struct mb_store *s, struct mb_err *err)
{
	int r = mb_sql_run(s, mb_sql_get(s, SQL_COMMIT), err);

	if (r < 0)
		mb_store_rollback(s);
	return r;
}

void mb_store_rollback(struct mb_store *s)
{
	/* SQLite may have rolled back by itself; then there is nothing to do. */
	if (!sqlite3_get_autocommit(s->db))
		mb_sql_run(s, mb_sql_get(s, SQL_ROLLBACK), NULL);
}
