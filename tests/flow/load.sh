#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Thirty agents at once, over TLS; the server is killed in the middle of it. No ack is lost, and in the
# end the server holds what each agent was told. The long form: make bench-fleet.
set -eu
. tests/flow/lib.sh

# At least 20 times 75 ms.
tests/bench/fleet --kill-every 1 --kills 1 --agents 30 --pages 500 --epochs 20 --pause 150ms --time 120s \
	--json >"$dir/out" 2>&1 || fail "$(cat "$dir/out")"
grep '"what":"verdict"' "$dir/out" | jq -e '.good and .verified == 30 and .lost_acks == 0 and .acks == 600
	and .server_starts == 2' >/dev/null || fail "$(cat "$dir/out")"

# A server that holds less than it has acked is noticed: here a database of before is put back.
# shellcheck disable=SC2016 # expanded in there
BUILD=$BUILD timeout 60 bash -eu -c '
	. tests/bench/lib.sh
	# at_least EPOCH: each of the three agents
	at_least() {
		until [ "$(sqlite3 -cmd ".timeout 5000" "$dir/db" "SELECT count(*) FROM vm WHERE epoch >= $1")" = 3 ]; do
			sleep 0.05
		done
	}
	start
	load --agents 3 --pages 500 --pause 50ms --time 1h >"$dir/load" 2>&1
	at_least 1
	kill_server
	sqlite3 "$dir/db" ".backup $dir/old"
	epoch=$(sqlite3 "$dir/db" "SELECT max(epoch) FROM vm")
	start
	at_least $((epoch + 2))
	kill_server
	rm -f "$dir"/db "$dir"/db-wal "$dir"/db-shm
	mv "$dir/old" "$dir/db"
	start
	until grep -q "LOST: load0000. was acked epoch" "$dir/load"; do sleep 0.05; done' >"$dir/out" 2>&1 ||
	fail "not noticed: $(cat "$dir/out")"
