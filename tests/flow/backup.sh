#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup under load, a database that is spoiled, the backup put back: the agent, which is ahead of it, sends
# all it has, and nothing is missing.
set -eu
. tests/flow/lib.sh
mapfile -t hashes < <("$BUILD/tests/tool_trace" "$dir/t.mbt" 30 3000 300 1 each)

# The agent takes its next epoch, and has it acked: next_epoch; sets $epoch.
epoch=0
next_epoch() {
	[ $epoch = 0 ] || kill -USR1 "$agent_pid"
	epoch=$((epoch + 1))
	wait_for 20 grep -q "epoch $epoch acked" "$dir/agent.log"
}

server --verbose
"$mbagent" run --source "trace:$dir/t.mbt" --vm t --server "unix:$dir/sock" --interval 1h --retry 20ms \
	>"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
for _ in 1 2 3; do next_epoch; done
held=$epoch
# Another one writes all the while.
"$mbagent" run --source "trace:$dir/t.mbt" --vm load --server "unix:$dir/sock" --interval 0 >/dev/null 2>&1 &
pids+=($!)
load=$!
"$mbserver" --db "$dir/db" --backup "$dir/b1" 2>/dev/null || fail "no backup"
refuses 'there is such a file' "$mbserver" --db "$dir/db" --backup "$dir/b1"
refuses 'another server has it' "$mbserver" --db "$dir/db" --restore "$dir/b1"
"$mbserver" --db "$dir/b1" --check 2>/dev/null || fail "the backup is not well"
is "$(sqlite3 "$dir/b1" "SELECT epoch FROM vm WHERE name = 't'")" $held "epoch in the backup"
for _ in 1 2 3; do next_epoch; done

# kill -9, and the disk has spoiled what was written.
kill -9 "$server_pid"
kill -9 "$load" 2>/dev/null || true # it may be done
wait "$server_pid" 2>/dev/null || true
rm -f "$dir/db-wal" "$dir/db-shm"
printf 'spoiled' | dd of="$dir/db" bs=1 seek=3 conv=notrunc status=none
refuses 'damaged: .*restore' "$mbserver" --db "$dir/db" --listen "unix:$dir/sock" --http 127.0.0.1:0
refuses 'damaged' "$mbserver" --db "$dir/db" --check
refuses 'damaged' "$mbserver" --db "$dir/db" --backup "$dir/b2"
[ ! -e "$dir/b2" ] || fail "a backup of what is damaged"
"$mbserver" --db "$dir/db" --restore "$dir/b1" 2>/dev/null || fail "not restored"
[ -e "$dir/db.before-restore" ] || fail "what was there is gone"
is "$(query "SELECT epoch FROM vm WHERE name = 't'")" $held "restored epoch"

# The agent has nothing new to say, and notices all the same.
server --verbose
wait_for 20 grep -q "server holds our epoch $held, not our $epoch: sending a snapshot" "$dir/agent.log"
snapshot_is_held() {
	[ "$(query "SELECT epoch || ' ' || hex(hash) FROM vm WHERE name = 't'")" = "$epoch ${hashes[epoch - 1]}" ]
}
wait_for 20 snapshot_is_held
next_epoch
snapshot_is_held || fail "another fingerprint: $(query "SELECT epoch, hex(hash) FROM vm")"
kill "$agent_pid"
wait "$agent_pid" || fail "agent: $(tail -n 3 "$dir/agent.log")"
stop_server
"$mbserver" --db "$dir/db" --check 2>/dev/null || fail "not well"
