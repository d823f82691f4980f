#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup under load, a database that is spoiled, the backup put back: the agent, which is ahead of it, sends
# all it has, and nothing is missing.
set -eu
. tests/flow/lib.sh
hash=$("$BUILD/tests/tool_trace" "$dir/t.mbt" 200 3000 300 1)

acked() {
	[ "$(sed -n 's/.*epoch \([0-9]*\) acked.*/\1/p' "$dir/agent.log" | tail -n 1)" -ge "$1" ]
}

server --verbose
"$mbagent" run --source "trace:$dir/t.mbt" --vm t --server "unix:$dir/sock" --interval 15ms --retry 20ms \
	>"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 20 acked 10
"$mbserver" --db "$dir/db" --backup "$dir/b1" 2>/dev/null || fail "no backup"
refuses 'there is such a file' "$mbserver" --db "$dir/db" --backup "$dir/b1"
refuses 'another server has it' "$mbserver" --db "$dir/db" --restore "$dir/b1"
"$mbserver" --db "$dir/b1" --check 2>/dev/null || fail "the backup is not well"
held=$(sqlite3 "$dir/b1" 'SELECT epoch FROM vm')
[ "$held" -ge 10 ] || fail "epoch $held in the backup"
wait_for 20 acked $((held + 20))

# kill -9, and the disk has spoiled what was written.
kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null || true
rm -f "$dir/db-wal" "$dir/db-shm"
printf 'spoiled' | dd of="$dir/db" bs=1 seek=3 conv=notrunc status=none
refuses 'damaged: .*restore' "$mbserver" --db "$dir/db" --listen "unix:$dir/sock" --http 127.0.0.1:0
refuses 'damaged' "$mbserver" --db "$dir/db" --check
refuses 'damaged' "$mbserver" --db "$dir/db" --backup "$dir/b2"
[ ! -e "$dir/b2" ] || fail "a backup of what is damaged"
"$mbserver" --db "$dir/db" --restore "$dir/b1" 2>/dev/null || fail "not restored"
[ -e "$dir/db.before-restore" ] || fail "what was there is gone"
is "$(query 'SELECT epoch FROM vm')" "$held" "restored epoch"

server --verbose
wait "$agent_pid" || fail "agent: $(tail -n 3 "$dir/agent.log")"
grep -q "server holds our epoch $held, not our .*: sending a snapshot" "$dir/agent.log" ||
	fail "the agent did not notice: $(grep -v acked "$dir/agent.log")"
stop_server
is "$(query "SELECT epoch || ' ' || hex(hash) FROM vm")" "200 $hash" "the fingerprint"
"$mbserver" --db "$dir/db" --check 2>/dev/null || fail "not well"
