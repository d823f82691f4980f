#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What an operator meets in the first days: a wrong key at bring-up, too few descriptors, one bad row,
# a VM that is no more, an interval too short for its pass, a slow peer.
set -eu
. tests/flow/lib.sh
"$BUILD/tests/tool_trace" "$dir/t.mbt" 40 3000 300 1 >/dev/null
"$BUILD/tests/tool_trace" "$dir/large.mbt" 30 400000 2000 2 >/dev/null
printf '%032x' 1 >"$dir/key1"
printf '%032x' 2 >"$dir/key2"

# An array, not a function: in the background it is the agent itself that $! names.
run_agent=("$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" --retry 20ms)

status() {
	curl -sf "$http/v1/status"
}

# Two keys greeted before anything was acked: the first ack decides, the other agent learns why, and
# a restart harms nobody.
server --verbose
"${run_agent[@]}" --vm right --key "$dir/key1" --epochs 1 2>/dev/null
refuses 'another key' "${run_agent[@]}" --vm wrong --key "$dir/key2" --epochs 1
stop_server
server --verbose
"${run_agent[@]}" --vm right --key "$dir/key1" --epochs 1 2>/dev/null

# Who is connected is told as it is, not as of the last epoch.
"${run_agent[@]}" --vm right --key "$dir/key1" --host h1 --interval 1h 2>"$dir/agent.log" &
agent_pid=$!
pids+=($!)
wait_for 10 grep -q 'epoch 1 acked' "$dir/agent.log"
[ "$(status | jq -c '.vms[] | select(.name == "right") | [.online, .host]')" = '[true,"h1"]' ] || fail "online: $(status)"
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null || true
offline() { status | jq -e '.vms[] | select(.name == "right") | .online | not'; }
wait_for 5 offline

# A row that is gone fails its own VM, again and again, and nobody else's.
"${run_agent[@]}" --vm victim --key "$dir/key1" --interval 20ms 2>"$dir/victim.log" &
pids+=($!)
wait_for 10 grep -q 'epoch 2 acked' "$dir/victim.log"
query "PRAGMA foreign_keys = OFF; DELETE FROM vm WHERE name = 'victim'"
wait_for 10 grep -q 'row of VM "victim" is gone' "$dir/victim.log"
healthy=()
for i in 1 2 3; do
	"${run_agent[@]}" --vm "healthy$i" --key "$dir/key1" --interval 5ms --epochs 20 2>"$dir/healthy$i.log" &
	healthy+=($!)
	pids+=($!)
done
for pid in "${healthy[@]}"; do
	wait "$pid" || fail "a healthy VM failed: $(cat "$dir"/healthy*.log)"
done
grep -q 'refused' "$dir"/healthy*.log && fail "a healthy VM was refused: $(cat "$dir"/healthy*.log)"

# A VM that is no more.
refuses 'another server has it' "$mbserver" --db "$dir/db" --forget-vm healthy1
stop_server
refuses 'no VM "nobody"' "$mbserver" --db "$dir/db" --forget-vm nobody
"$mbserver" --db "$dir/db" --forget-vm healthy1 2>/dev/null
server --verbose --frame-budget-mb 1
status | jq -e '[.vms[].name] | index("healthy1") == null and index("healthy2") != null' >/dev/null ||
	fail "forgotten: $(status)"

# An interval that no pass can keep: epochs still arrive, and the agent says that it stretches.
timeout 20 "$mbagent" run --source "trace:$dir/large.mbt" --vm large --key "$dir/key1" \
	--server "unix:$dir/sock" --interval 1ms --budget 0 2>"$dir/large.log" >/dev/null && fail "1 MB took all"
grep -q 'too long for --interval' "$dir/large.log" || fail "stretched silently: $(cat "$dir/large.log")"
grep -q 'the server accepts' "$dir/large.log" || fail "above the budget: $(cat "$dir/large.log")"
stop_server
server --verbose
"$mbagent" run --source "trace:$dir/large.mbt" --vm large --key "$dir/key1" \
	--server "unix:$dir/sock" --interval 1ms --budget 0 2>"$dir/large.log" || fail "$(cat "$dir/large.log")"
grep 'apart again' "$dir/large.log" && fail "the end of a trace was taken for a fast epoch"
[ "$(grep -c ' acked' "$dir/large.log")" -gt 3 ] || fail "hardly an ack: $(cat "$dir/large.log")"

# A replay takes nobody's time: no budget, unless one is asked for.
"$mbagent" run --source "trace:$dir/large.mbt" --vm large --key "$dir/key1" --epochs 2 \
	--server "unix:$dir/sock" --interval 1s 2>"$dir/large.log" || fail "$(cat "$dir/large.log")"
grep 'budget' "$dir/large.log" && fail "a replay is slowed down"
stop_server

# A budget that the interval does not keep to: said, and kept.
"$mbagent" run --source "trace:$dir/large.mbt" --vm large --key "$dir/key1" --epochs 2 \
	--server "unix:$dir/sock" --interval 1s --budget 0.01% 2>"$dir/large.log" &
start=$SECONDS
wait_for 20 grep -q 'to stay within 0.01 % of a core (--budget)' "$dir/large.log"
kill $!
wait $! && fail "two epochs within 0.01 % of a core, in $((SECONDS - start)) s: $(cat "$dir/large.log")"

# Fewer descriptors than agents: said once a second at most, and it serves on.
(
	ulimit -n 60
	exec "$mbserver" --db "$dir/db2" --listen "unix:$dir/few" --http 127.0.0.1:0 >"$dir/few.log" 2>&1
) &
pids+=($!)
wait_for 10 grep -q 'http on' "$dir/few.log"
grep -q 'agents at once' "$dir/few.log" || fail "no word of the limit: $(cat "$dir/few.log")"
for i in $(seq 80); do
	"$BUILD/tests/tool_peer" "unix:$dir/few" --hang >/dev/null 2>&1 &
	pids+=($!)
done
wait_for 10 grep -q 'turned away\|no new agents' "$dir/few.log"
sleep 2
[ "$(wc -l <"$dir/few.log")" -lt 200 ] || fail "$(wc -l <"$dir/few.log") lines of log"
