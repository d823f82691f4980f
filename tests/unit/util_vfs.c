// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/multiset_hash.h"
#include "tests/unit/util_test.h"

enum { FILES_MAX = 8, UNSYNCED_MAX = 4096 };

/* A file that was opened since vfs_on(). */
struct disk {
	char path[200];
	struct mb_buf synced; /* its content, as it would be found again */
	struct unsynced {
		uint64_t at;
		struct mb_buf data;
	} unsynced[UNSYNCED_MAX];
	int n;
};

struct file {
	sqlite3_file base;
	struct disk *disk; /* NULL: a temporary file */
	sqlite3_file *real;
};

static struct disk disks[FILES_MAX];
static int n_disks;
static enum vfs_fault fault;
static uint64_t left;
static bool failed, full;
static sqlite3_vfs vfs, *real;

/* Whether this operation is the one; all are counted in one row. */
static bool fails(enum vfs_fault kind)
{
	if (fault == VFS_POWER && (kind == VFS_WRITE || kind == VFS_SYNC))
		kind = VFS_POWER;
	if (fault == VFS_FULL && kind == VFS_WRITE)
		kind = VFS_FULL;
	if (failed && (fault == VFS_POWER || (full && kind == VFS_FULL)))
		return true;
	if (kind != fault || failed || --left)
		return false;
	failed = true;
	full = fault == VFS_FULL;
	return true;
}

static void forget_unsynced(struct disk *d)
{
	while (d->n)
		mb_buf_deinit(&d->unsynced[--d->n].data);
}

static void put_at(struct mb_buf *b, uint64_t at, const void *data, size_t n)
{
	while (b->len < at + n)
		mb_buf_put(b, "", 1);
	memcpy(b->data + at, data, n);
}

static struct disk *disk_of(const char *path)
{
	struct disk *d = disks;
	FILE *f;
	int c;

	while (d < disks + n_disks && strcmp(d->path, path) != 0)
		d++;
	if (d < disks + n_disks)
		return d;
	assert_true(n_disks < FILES_MAX);
	n_disks++;
	snprintf(d->path, sizeof(d->path), "%s", path);
	f = fopen(path, "r");
	while (f && (c = getc(f)) != EOF)
		mb_buf_put(&d->synced, &(uint8_t){ (uint8_t)c }, 1);
	if (f)
		fclose(f);
	return d;
}

/* --- one file --------------------------------------------------------------------------------- */

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

static int on_close(sqlite3_file *f)
{
	int r = real_of(f)->pMethods->xClose(real_of(f));

	free(real_of(f));
	return r;
}

static int on_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return fails(VFS_READ) ? SQLITE_IOERR_READ :
				 real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int on_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	struct disk *d = ((struct file *)f)->disk;
	struct unsynced *u;

	if (fails(VFS_WRITE))
		return fault == VFS_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	if (d && fault == VFS_POWER) {
		assert_true(d->n < UNSYNCED_MAX);
		u = &d->unsynced[d->n++];
		u->at = (uint64_t)at;
		mb_buf_put(&u->data, data, (size_t)n);
	}
	return real_of(f)->pMethods->xWrite(real_of(f), data, n, at);
}

/* What was cut off may come back: as if it were synced only. */
static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return fails(VFS_WRITE) ? SQLITE_IOERR_TRUNCATE :
				  real_of(f)->pMethods->xTruncate(real_of(f), size);
}

/* Not on the real disk: nobody cuts its power, and it takes long. */
static int on_sync(sqlite3_file *f, int flags)
{
	struct disk *d = ((struct file *)f)->disk;

	(void)flags;
	if (fails(VFS_SYNC))
		return SQLITE_IOERR_FSYNC;
	for (int i = 0; d && i < d->n; i++)
		put_at(&d->synced, d->unsynced[i].at, d->unsynced[i].data.data,
		       d->unsynced[i].data.len);
	if (d)
		forget_unsynced(d);
	return SQLITE_OK;
}

static int on_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int on_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int on_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int on_check_lock(sqlite3_file *f, int *ret)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int on_control(sqlite3_file *f, int what, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), what, arg);
}

static int on_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int on_features(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int on_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), region, size, extend, ret);
}

static int on_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}

static void on_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int on_shm_unmap(sqlite3_file *f, int remove_it)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), remove_it);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_unlock,
	.xCheckReservedLock = on_check_lock,
	.xFileControl = on_control,
	.xSectorSize = on_sector,
	.xDeviceCharacteristics = on_features,
	.xShmMap = on_shm_map,
	.xShmLock = on_shm_lock,
	.xShmBarrier = on_shm_barrier,
	.xShmUnmap = on_shm_unmap,
};

/* --- the file system -------------------------------------------------------------------------- */

static int on_open(sqlite3_vfs *v, sqlite3_filename path, sqlite3_file *file, int flags, int *ret)
{
	struct file *f = (struct file *)file;
	int r;

	(void)v;
	f->base.pMethods = NULL;
	f->real = calloc(1, (size_t)real->szOsFile);
	assert_non_null(f->real);
	r = real->xOpen(real, path, f->real, flags, ret);
	if (r != SQLITE_OK) {
		free(f->real);
		return r;
	}
	f->disk = path && fault == VFS_POWER ? disk_of(path) : NULL;
	f->base.pMethods = &methods;
	return SQLITE_OK;
}

/* A log that is gone is gone for good: it is deleted when nothing is in it any more. */
static int on_delete(sqlite3_vfs *v, const char *path, int sync)
{
	(void)v;
	(void)sync;
	if (fails(VFS_WRITE))
		return SQLITE_IOERR_DELETE;
	if (fault == VFS_POWER) {
		struct disk *d = disk_of(path);

		forget_unsynced(d);
		mb_buf_clear(&d->synced);
	}
	return real->xDelete(real, path, 0);
}

void vfs_on(enum vfs_fault what, uint64_t nth)
{
	real = sqlite3_vfs_find("unix");
	assert_non_null(real);
	vfs = *real;
	vfs.zName = "faulty";
	vfs.szOsFile = sizeof(struct file);
	vfs.xOpen = on_open;
	vfs.xDelete = on_delete;
	fault = what;
	left = nth;
	failed = full = false;
	while (n_disks) {
		struct disk *d = &disks[--n_disks];

		forget_unsynced(d);
		mb_buf_deinit(&d->synced);
	}
	assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

bool vfs_failed(void)
{
	return failed;
}

void vfs_mend(void)
{
	full = false;
}

void vfs_off(void)
{
	left = UINT64_MAX;
	sqlite3_vfs_unregister(&vfs);
	assert_int_equal(sqlite3_vfs_register(real, 1), SQLITE_OK);
}

void vfs_power_up(uint64_t seed)
{
	for (int i = 0; i < n_disks; i++) {
		struct disk *d = &disks[i];
		FILE *f;

		for (int k = 0; seed && k < d->n; k++) {
			const struct mb_buf *b = &d->unsynced[k].data;

			if (mb_mix64(seed + (uint64_t)(i * UNSYNCED_MAX + k)) % 2)
				put_at(&d->synced, d->unsynced[k].at, b->data, b->len);
		}
		f = d->synced.len ? fopen(d->path, "w") : NULL;
		if (!f) {
			unlink(d->path);
			continue;
		}
		assert_int_equal(fwrite(d->synced.data, 1, d->synced.len, f), d->synced.len);
		fclose(f);
	}
}
