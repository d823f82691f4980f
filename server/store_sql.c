// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_sql.h"

#include "proto/base/cleanup.h"

static const char *const sql[SQL_END] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	/* Marks of one name nest; the newest is the one that is gone back to. */
	[SQL_INSERT_VM] =
		"INSERT INTO vm (host, source, tracker, memory_bytes, algorithm, page_bytes,"
		" bits, keyed, domain, zero_digest, boot, epoch, hash, acked_unix_ns, name,"
		" sample, cut_bits, writer)"
		" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
	[SQL_UPDATE_VM] = "UPDATE vm SET host=?1, source=?2, tracker=?3, memory_bytes=?4,"
			  " algorithm=?5, page_bytes=?6, bits=?7, keyed=?8, domain=?9,"
			  " zero_digest=?10, boot=?11, epoch=?12, hash=?13, acked_unix_ns=?14,"
			  " sample=?16, cut_bits=?17, writer=?18"
			  " WHERE name=?15",
	[SQL_DELETE_FRAMES] = "DELETE FROM fingerprint WHERE vm=?1",
	[SQL_INSERT_FRAME] = "INSERT INTO fingerprint (vm, seq, epoch, frame) VALUES (?1,?2,?3,?4)",
	[SQL_INSERT_HISTORY] =
		"INSERT INTO history (vm, at_unix_ns, epoch, epochs, pages, distinct_pages, zero,"
		" self, self_nonzero, changed, added, removed, unread, wire_bytes, duration_ns,"
		" cpu_ns, is_full, acked_unix_ns, read, audits, doubted, tracker, recall,"
		" recall_all, precision, stale, flagged, flagged_changed)"
		" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,"
		" ?21,?22,?23,?24,?25,?26,?27,?28)",
	[SQL_INSERT_AUDIT] =
		"INSERT INTO audit (vm, acked_unix_ns, class, is_followed, changed, stale)"
		" VALUES (?1,?2,?3,?4,?5,?6)",
	[SQL_INSERT_WHO] =
		"INSERT INTO who (vm, acked_unix_ns, process, cgroup, frames, unknown, allocated,"
		" freed, first_write, copy_on_write, rewrite, cache_new, cache_write, migrated,"
		" truncated, writeback, exec)"
		" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
	[SQL_INSERT_SHARING] =
		"INSERT INTO sharing (vm, at_unix_ns, epoch, acked_unix_ns, inter, partner,"
		" partner_inter, host, here, error, partner_error, here_error)"
		" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
	/* In bits: an ack must not wait behind a month of rows. */
	[SQL_FORGET_HISTORY] = "DELETE FROM history WHERE rowid IN (SELECT rowid FROM history"
			       " WHERE acked_unix_ns < ?1 LIMIT 5000)",
	[SQL_FORGET_AUDIT] = "DELETE FROM audit WHERE rowid IN (SELECT rowid FROM audit"
			     " WHERE acked_unix_ns < ?1 LIMIT 5000)",
	[SQL_FORGET_WHO] = "DELETE FROM who WHERE rowid IN (SELECT rowid FROM who"
			   " WHERE acked_unix_ns < ?1 LIMIT 5000)",
	[SQL_FORGET_SHARING] = "DELETE FROM sharing WHERE rowid IN (SELECT rowid FROM sharing"
			       " WHERE at_unix_ns < ?1 LIMIT 5000)",
	[SQL_SELECT_MOST_HERE] =
		"SELECT vm.name, s.host, max(s.here), max(s.here_error)"
		" FROM sharing s JOIN vm ON vm.id = s.vm"
		" WHERE s.at_unix_ns >= ?1 AND s.host IS NOT NULL GROUP BY s.vm, s.host",
	[SQL_SELECT_VMS] =
		"SELECT vm.id, name, host, source, vm.tracker, memory_bytes, algorithm, page_bytes,"
		" bits, keyed, domain, zero_digest, boot, vm.epoch, hash, vm.acked_unix_ns,"
		" h.at_unix_ns, h.epochs, h.changed, h.unread, h.duration_ns, h.cpu_ns, h.is_full,"
		" h.wire_bytes, sample, cut_bits, writer"
		" FROM vm LEFT JOIN history h ON h.rowid ="
		"  (SELECT max(rowid) FROM history WHERE history.vm = vm.id)"
		" ORDER BY name",
	[SQL_SELECT_TAKEN] =
		"SELECT writer, (?1 - h.acked_unix_ns) / 3600000000000, sum(h.wire_bytes)"
		" FROM history h JOIN vm ON vm.id = h.vm"
		" WHERE h.acked_unix_ns > ?1 - ?2 AND writer IS NOT NULL"
		" GROUP BY 1, 2 ORDER BY 1, 2",
	[SQL_SELECT_FRAMES] = "SELECT seq, frame FROM fingerprint WHERE vm=?1 ORDER BY seq",
	[SQL_FIND_VM] = "SELECT id FROM vm WHERE name=?1",
	[SQL_SELECT_HISTORY] =
		"SELECT * FROM (SELECT h.rowid AS n, at_unix_ns, epoch, epochs, pages, "
		"distinct_pages,"
		" zero, self, self_nonzero, changed, added, removed, unread, wire_bytes,"
		" duration_ns, cpu_ns, is_full, tracker, acked_unix_ns, read, audits, recall,"
		" recall_all, precision, flagged, flagged_changed, doubted,"
		" (SELECT inter FROM sharing s WHERE s.vm = h.vm AND"
		"  s.acked_unix_ns = h.acked_unix_ns ORDER BY s.rowid DESC LIMIT 1) AS inter,"
		" (SELECT error FROM sharing s WHERE s.vm = h.vm AND"
		"  s.acked_unix_ns = h.acked_unix_ns ORDER BY s.rowid DESC LIMIT 1) AS error"
		" FROM history h WHERE vm=?1 ORDER BY h.rowid DESC LIMIT ?2) ORDER BY n",
	[SQL_NEWEST] = "SELECT acked_unix_ns FROM history ORDER BY rowid DESC LIMIT 1",
	[SQL_SELECT_AUDIT] = "SELECT class, is_followed, changed, stale FROM audit"
			     " WHERE vm=?1 AND acked_unix_ns=?2",
	/* +vm: by its age, not through all of the VM's history. */
	[SQL_SELECT_LAST_AUDIT] =
		"SELECT at_unix_ns, epoch, audits, doubted, flagged, flagged_changed, recall,"
		" recall_all, precision, acked_unix_ns FROM history WHERE +vm=?1 AND"
		" acked_unix_ns = (SELECT max(acked_unix_ns) FROM audit WHERE vm=?1)"
		" ORDER BY rowid DESC LIMIT 1",
	/* Each epoch that was counted has its row of all others: so many are there. */
	[SQL_SELECT_WHO] =
		"SELECT process, cgroup, count(*), sum(unknown), sum(allocated), sum(freed),"
		" sum(first_write), sum(copy_on_write), sum(rewrite), sum(cache_new),"
		" sum(cache_write), sum(migrated), sum(truncated), sum(writeback), sum(exec)"
		" FROM who WHERE vm=?1 AND acked_unix_ns IN"
		"  (SELECT acked_unix_ns FROM history WHERE vm=?1 ORDER BY rowid DESC LIMIT ?2)"
		" GROUP BY process, cgroup ORDER BY process = '', sum(frames) DESC, process, "
		"cgroup",
	/*
	 * A snapshot that follows nothing tells of no change: the first delta of a boot, or one for
	 * a server that held nothing.
	 */
	[SQL_SUM_HISTORY] =
		"SELECT count(*), coalesce(min(at_unix_ns), 0), coalesce(max(at_unix_ns), 0),"
		" avg(pages), avg(distinct_pages), avg(zero),"
		" coalesce(sum(epochs) FILTER (WHERE based), 0),"
		" coalesce(sum(changed) FILTER (WHERE based), 0),"
		" coalesce(sum(added) FILTER (WHERE based), 0),"
		" coalesce(sum(removed) FILTER (WHERE based), 0)"
		" FROM (SELECT *, epoch > max(epochs, 1) AND (added <> pages OR removed <> 0)"
		"  AS based FROM history WHERE vm=?1 AND at_unix_ns>=?2)",
	[SQL_SUM_SHARING] = "SELECT count(*), avg(inter), min(inter), max(inter),"
			    " (SELECT inter FROM sharing WHERE vm=?1 AND acked_unix_ns>=?2"
			    "  ORDER BY rowid LIMIT 1),"
			    " (SELECT inter FROM sharing WHERE vm=?1 AND acked_unix_ns>=?2"
			    "  ORDER BY rowid DESC LIMIT 1)"
			    " FROM sharing WHERE vm=?1 AND acked_unix_ns>=?2",
	[SQL_SUM_WHO] =
		"SELECT process, cgroup, count(*), sum(unknown), sum(allocated), sum(freed),"
		" sum(first_write), sum(copy_on_write), sum(rewrite), sum(cache_new),"
		" sum(cache_write), sum(migrated), sum(truncated), sum(writeback), sum(exec)"
		" FROM who WHERE vm=?1 AND acked_unix_ns>=?2"
		" GROUP BY process, cgroup ORDER BY process = '', sum(frames) DESC, process, "
		"cgroup",
};

int mb_sql_fail(struct mb_store *s, struct mb_err *err)
{
	switch (sqlite3_errcode(s->db) & 0xff) {
	case SQLITE_FULL:
		return mb_fail(err, ENOSPC, "database %s: %s", s->path, sqlite3_errmsg(s->db));
	case SQLITE_BUSY:
		return mb_fail(err, EBUSY, "database %s: %s", s->path, sqlite3_errmsg(s->db));
	case SQLITE_NOMEM:
		return mb_fail(err, ENOMEM, "database %s: %s", s->path, sqlite3_errmsg(s->db));
	case SQLITE_READONLY:
		return mb_fail(err, EROFS, "database %s: %s", s->path, sqlite3_errmsg(s->db));
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return mb_fail(err, EUCLEAN, "database %s: damaged: %s (docs/faults.md: restore)",
			       s->path, sqlite3_errmsg(s->db));
	default:
		return mb_fail(err, EIO, "database %s: %s", s->path, sqlite3_errmsg(s->db));
	}
}

sqlite3_stmt *mb_sql_get(struct mb_store *s, enum mb_sql which)
{
	sqlite3_reset(s->statements[which]);
	sqlite3_clear_bindings(s->statements[which]);
	return s->statements[which];
}

void mb_sql_reset(sqlite3_stmt **st)
{
	sqlite3_reset(*st);
}

int mb_sql_run(struct mb_store *s, sqlite3_stmt *st, struct mb_err *err)
{
	int r = sqlite3_step(st) == SQLITE_DONE ? 0 : mb_sql_fail(s, err);

	sqlite3_reset(st);
	return r;
}

int mb_sql_prepare(struct mb_store *s, struct mb_err *err)
{
	for (int i = 0; i < SQL_END; i++)
		if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &s->statements[i], NULL) != SQLITE_OK)
			return mb_sql_fail(s, err);
	return 0;
}

int mb_sql_find_vm(struct mb_store *s, const char *name, sqlite3_int64 *ret_id, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_FIND_VM);
	int step;

	mb_sql_bind_text(st, 1, name);
	step = sqlite3_step(st);
	if (step == SQLITE_DONE)
		return mb_fail(err, ENOENT, "no VM \"%s\"", name);
	if (step != SQLITE_ROW)
		return mb_sql_fail(s, err);
	*ret_id = sqlite3_column_int64(st, 0);
	return 0;
}
