/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The database, for people who query it too. Times are in ns since 1970, UTC. */
#ifndef MB_SERVER_SCHEMA_SQL_H
#define MB_SERVER_SCHEMA_SQL_H

/*
 * Version n is what the first n steps make; a new database takes all of them, one of an older
 * version those that it lacks. So a step that was released is never changed.
 */
static const char *const mb_schema[] = {
	/* One row per VM: its last acked epoch. */
	"CREATE TABLE vm ("
	" id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, host TEXT NOT NULL,"
	" source TEXT NOT NULL, tracker TEXT NOT NULL, memory_bytes INTEGER NOT NULL,"
	" algorithm INTEGER NOT NULL, page_bytes INTEGER NOT NULL, bits INTEGER NOT NULL,"
	" keyed INTEGER NOT NULL, domain TEXT NOT NULL, zero_digest BLOB NOT NULL,"
	" boot BLOB NOT NULL, epoch INTEGER NOT NULL, hash BLOB NOT NULL,"
	" acked_unix_ns INTEGER NOT NULL);"
	/*
	 * Its fingerprint: the Delta frames (FORMAT.md) that lead from the empty one to the last
	 * acked epoch, in order of seq.
	 */
	"CREATE TABLE fingerprint ("
	" vm INTEGER NOT NULL REFERENCES vm(id), seq INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" frame BLOB NOT NULL, PRIMARY KEY (vm, seq)) WITHOUT ROWID;"
	/* What every acked epoch looked like, in pages. */
	"CREATE TABLE history ("
	" vm INTEGER NOT NULL REFERENCES vm(id), at_unix_ns INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, epochs INTEGER NOT NULL, pages INTEGER NOT NULL,"
	" distinct_pages INTEGER NOT NULL, zero INTEGER NOT NULL, self INTEGER NOT NULL,"
	" self_nonzero INTEGER NOT NULL, changed INTEGER NOT NULL, added INTEGER NOT NULL,"
	" removed INTEGER NOT NULL, unread INTEGER NOT NULL, wire_bytes INTEGER NOT NULL,"
	" duration_ns INTEGER NOT NULL, cpu_ns INTEGER NOT NULL, is_full INTEGER NOT NULL,"
	" acked_unix_ns INTEGER NOT NULL, tracker TEXT NOT NULL);"
	"CREATE INDEX history_by_vm ON history (vm, at_unix_ns);"
	"CREATE INDEX history_by_age ON history (acked_unix_ns);"
	/*
	 * Whenever the matrix was computed: what each VM shared with the others. acked_unix_ns is
	 * the history row that it is about: epochs start again with each boot of a source.
	 */
	"CREATE TABLE sharing ("
	" vm INTEGER NOT NULL REFERENCES vm(id), at_unix_ns INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, acked_unix_ns INTEGER NOT NULL, inter INTEGER NOT NULL,"
	" partner TEXT, partner_inter INTEGER NOT NULL);"
	"CREATE INDEX sharing_by_vm ON sharing (vm, acked_unix_ns);"
	"CREATE INDEX sharing_by_age ON sharing (at_unix_ns);",

	/*
	 * 2: what the passes read, and what audits found. recall is of the classes that the tracker
	 * follows, recall_all of all, both and precision from 0 to 1; stale, flagged,
	 * flagged_changed are pages. NULL: from before version 2, no audit, or nothing to judge by.
	 * Of the audits, so many are doubted: the tracker said itself that it may have missed some.
	 */
	"ALTER TABLE history ADD COLUMN read INTEGER;"
	"ALTER TABLE history ADD COLUMN audits INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE history ADD COLUMN doubted INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE history ADD COLUMN recall REAL;"
	"ALTER TABLE history ADD COLUMN recall_all REAL;"
	"ALTER TABLE history ADD COLUMN precision REAL;"
	"ALTER TABLE history ADD COLUMN stale INTEGER;"
	"ALTER TABLE history ADD COLUMN flagged INTEGER;"
	"ALTER TABLE history ADD COLUMN flagged_changed INTEGER;"
	/*
	 * The audits of a history row (acked_unix_ns, as above) by class of pages, those that are
	 * followed or have changed pages.
	 */
	"CREATE TABLE audit ("
	" vm INTEGER NOT NULL REFERENCES vm(id), acked_unix_ns INTEGER NOT NULL,"
	" class TEXT NOT NULL, is_followed INTEGER NOT NULL, changed INTEGER NOT NULL,"
	" stale INTEGER NOT NULL);"
	"CREATE INDEX audit_by_vm ON audit (vm, acked_unix_ns);"
	"CREATE INDEX audit_by_age ON audit (acked_unix_ns);",

	/*
	 * 3: plans that were carried out. ended_unix_ns NULL: under way. plan and execution are
	 * JSON (docs/json.md); of a dry run's the times are those expected. The view has a row per
	 * move, in the plan's order.
	 */
	"CREATE TABLE execution ("
	" id INTEGER PRIMARY KEY, at_unix_ns INTEGER NOT NULL, ended_unix_ns INTEGER,"
	" mover TEXT NOT NULL, question TEXT NOT NULL, planner TEXT NOT NULL,"
	" state TEXT NOT NULL, moves INTEGER NOT NULL, done INTEGER NOT NULL,"
	" plan TEXT NOT NULL, execution TEXT NOT NULL);"
	"CREATE VIEW execution_move AS SELECT e.id AS execution, m.key + 1 AS move,"
	" m.value ->> 'vm' AS vm, m.value ->> 'from' AS from_host, m.value ->> 'to' AS to_host,"
	" m.value ->> 'state' AS state, m.value ->> 'reason' AS reason,"
	" m.value ->> 'tries' AS tries,"
	" (m.value ->> 'begun_unix_ms') * 1000000 AS begun_unix_ns,"
	" (m.value ->> 'ended_unix_ms') * 1000000 AS ended_unix_ns"
	" FROM execution e, json_each(e.execution, '$.moves') m;",

	/*
	 * 4: who dirtied page frames in the passes of a history row (acked_unix_ns, as above), by
	 * process and cgroup as the agent named them, process '' for all that it did not name:
	 * frames, and how many of them by what was done first. No row: it did not count.
	 */
	"CREATE TABLE who ("
	" vm INTEGER NOT NULL REFERENCES vm(id), acked_unix_ns INTEGER NOT NULL,"
	" process TEXT NOT NULL, cgroup TEXT NOT NULL, frames INTEGER NOT NULL,"
	" unknown INTEGER NOT NULL, allocated INTEGER NOT NULL, freed INTEGER NOT NULL,"
	" first_write INTEGER NOT NULL, copy_on_write INTEGER NOT NULL, rewrite INTEGER NOT NULL,"
	" cache_new INTEGER NOT NULL, cache_write INTEGER NOT NULL, migrated INTEGER NOT NULL,"
	" truncated INTEGER NOT NULL, writeback INTEGER NOT NULL, exec INTEGER NOT NULL);"
	"CREATE INDEX who_by_vm ON who (vm, acked_unix_ns);"
	"CREATE INDEX who_by_age ON who (acked_unix_ns);",

	/*
	 * 5: trust domains on their way from one key to another: ids (mbctl key id). The VMs that
	 * have each are those whose zero_digest begins with it (its bytes in reverse).
	 */
	"CREATE TABLE key_rotation ("
	" domain TEXT PRIMARY KEY, from_key TEXT NOT NULL, to_key TEXT NOT NULL,"
	" begun_unix_ns INTEGER NOT NULL) WITHOUT ROWID;",

	/*
	 * 6: what operators want of an execution that is under way, until it was carried out: wish
	 * is cancel (move 0), or arrived or stayed, of a move that is lost: its number in
	 * execution_move.
	 */
	"CREATE TABLE execution_wish ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, execution INTEGER NOT NULL, move INTEGER NOT NULL,"
	" wish TEXT NOT NULL, at_unix_ns INTEGER NOT NULL);"
	"CREATE INDEX execution_wish_by_execution ON execution_wish (execution, id);"
	/*
	 * Where the VM ran when the matrix was computed (fleet file and all), and how many of its
	 * distinct pages another VM on that host had. NULL: not known, or from before version 6.
	 */
	"ALTER TABLE sharing ADD COLUMN host TEXT;"
	"ALTER TABLE sharing ADD COLUMN here INTEGER;",

	/*
	 * 7: how far inter and partner_inter may be off where they are estimates (estimate.h); 0:
	 * they are exact.
	 */
	"ALTER TABLE sharing ADD COLUMN error INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE sharing ADD COLUMN partner_error INTEGER NOT NULL DEFAULT 0;",

	/*
	 * 8: a VM's fingerprint may be a sample of 1 in `sample` of its digests, or all of
	 * them cut to `cut_bits`, 0: not cut (FORMAT.md); its row of history then has pages,
	 * distinct_pages, zero and self of all, exactly, added and removed as estimates.
	 */
	"ALTER TABLE vm ADD COLUMN sample INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE vm ADD COLUMN cut_bits INTEGER NOT NULL DEFAULT 0;",

	/*
	 * 9: the peer that wrote the VM last (peers.h), so that quotas outlive the server; NULL:
	 * not since this version.
	 */
	"ALTER TABLE vm ADD COLUMN writer TEXT;",

	/*
	 * 10: fingerprint again, with a rowid. A table without one is an index of its rows: SQLite
	 * read whole frames to compare two keys, which was a third of what ingest took.
	 */
	"CREATE TABLE fingerprint_10 ("
	" vm INTEGER NOT NULL REFERENCES vm(id), seq INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" frame BLOB NOT NULL, PRIMARY KEY (vm, seq));"
	"INSERT INTO fingerprint_10 SELECT vm, seq, epoch, frame FROM fingerprint;"
	"DROP TABLE fingerprint;"
	"ALTER TABLE fingerprint_10 RENAME TO fingerprint;",

	/* 11: how far `here` may be off where it is an estimate, as in 7. */
	"ALTER TABLE sharing ADD COLUMN here_error INTEGER NOT NULL DEFAULT 0;",
};

enum { MB_SCHEMA_VERSION = sizeof(mb_schema) / sizeof(*mb_schema) };

#endif
