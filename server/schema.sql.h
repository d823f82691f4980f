/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The database, for people who query it too. Times are in ns since 1970, UTC. */
#ifndef MB_SERVER_SCHEMA_SQL_H
#define MB_SERVER_SCHEMA_SQL_H

#define MB_SCHEMA_VERSION 1

static const char mb_schema[] =
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
	"CREATE INDEX sharing_by_age ON sharing (at_unix_ns);";

#endif
