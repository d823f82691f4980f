#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# While the server is away an agent goes on, in bounded memory, and then sends one net delta; a
# restarted server does not ask for what it has.
set -eu
. tests/flow/lib.sh
hash=$("$BUILD/tests/tool_trace" "$dir/t.mbt" 60 20000 2000 1)

"$mbagent" run --source "trace:$dir/t.mbt" --vm t --server "unix:$dir/sock" --interval 10ms \
	--retry 500ms >"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 10 grep -q "epoch 10:" "$dir/agent.log"
early_kb=$(awk '/VmRSS/ {print $2}' /proc/$agent_pid/status)
wait_for 20 grep -q 'epoch 60:' "$dir/agent.log"
late_kb=$(awk '/VmRSS/ {print $2}' /proc/$agent_pid/status)
[ "$late_kb" -lt $((early_kb * 3 / 2)) ] || fail "agent grew from $early_kb to $late_kb kB"
server --verbose
wait "$agent_pid" || fail "agent: $(cat "$dir/agent.log")"
[ "$(query 'SELECT count(*), sum(epochs), max(epoch) FROM history')" = '1|60|60' ] ||
	fail "not one net delta: $(query 'SELECT * FROM history')"
[ "$(query 'SELECT hex(hash) FROM vm')" = "$hash" ] || fail "another fingerprint"

# --epochs counts what was taken, also when the server sees it as one.
"$mbagent" run --source "trace:$dir/t.mbt" --vm e --server "unix:$dir/late" --interval 1ms \
	--epochs 7 --retry 300ms >"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 10 grep -q 'epoch 7:' "$dir/agent.log"
stop_server
server --listen "unix:$dir/late"
wait "$agent_pid" || fail "agent: $(cat "$dir/agent.log")"
[ "$(query "SELECT epoch FROM vm WHERE name='e'")" = 7 ] || fail "not 7 epochs"

# Restart between epochs: the same agent goes on with a delta.
"$mbagent" run --source "trace:$dir/t.mbt" --vm u --server "unix:$dir/sock" --interval 100ms \
	--retry 20ms >"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 10 grep -q 'epoch 5 acked' "$dir/agent.log"
stop_server
server --verbose
wait_for 30 grep -qE 'epoch (1[2-9]|[2-6][0-9]) acked' "$dir/agent.log"
kill "$agent_pid"
wait "$agent_pid" || fail "agent stopped with $?: $(cat "$dir/agent.log")"
grep -q 'snapshot' "$dir/agent.log" && fail "a snapshot after a restart: $(cat "$dir/agent.log")"
grep -q 'server holds epoch' "$dir/agent.log" || fail "did not resume: $(cat "$dir/agent.log")"
stop_server
