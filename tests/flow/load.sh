#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Thirty agents at once, over TLS, as fast as acks allow; the server is killed once among it. No ack is
# lost, and in the end the server holds what each agent was told. The long form: make bench-fleet.
set -eu
. tests/flow/lib.sh

tests/bench/fleet --kill-every 2 --kills 1 --agents 30 --pages 2000 --time 4s --json >"$dir/out" 2>&1 ||
	fail "$(cat "$dir/out")"
grep '"what":"verdict"' "$dir/out" | jq -e '.good and .verified == 30 and .lost_acks == 0 and .acks >= 60
	and .server_starts == 2' >/dev/null || fail "$(cat "$dir/out")"

# It notices when the server holds less than it acked: here a database that is put back.
BUILD=$BUILD bash -c '
	. tests/bench/lib.sh
	start
	load --agents 3 --pages 500 --time 2s --every 1h --json
	sleep 0.7
	kill_server
	cp "$dir/db" "$dir/old"
	cp "$dir/db-wal" "$dir/old-wal"
	start
	sleep 0.7
	kill_server
	rm -f "$dir"/db*
	mv "$dir/old" "$dir/db"
	mv "$dir/old-wal" "$dir/db-wal"
	start
	wait_for_load' >"$dir/out" 2>&1 && fail "not noticed: $(cat "$dir/out")"
grep -q 'LOST: load0000. was acked epoch' "$dir/out" || fail "$(cat "$dir/out")"
