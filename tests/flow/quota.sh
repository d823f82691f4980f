#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Above its quota an agent is told when to come back, goes on meanwhile, and brings one net delta; another
# VM than it may have is refused for now; all of it is counted.
set -eu
. tests/flow/lib.sh
hash=$("$BUILD/tests/tool_trace" "$dir/t.mbt" 80 3000 300 1)

refused() {
	curl -sf "$http/v1/status" | jq -r ".refused.$1"
}

server --verbose --quota frames_per_minute=30,vms=1,sessions=2
"$mbagent" run --source "trace:$dir/t.mbt" --vm t --server "unix:$dir/sock" --interval 10ms --retry 10ms \
	>"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 20 grep -q 'server refused for now: .*quota of 30 frames a minute is used up; trying again in 2' \
	"$dir/agent.log"
is "$(refused quota_frames_per_minute)" 1 "counted"
is "$(query 'SELECT count(*) FROM history')" 30 "epochs that were taken"
"$mbagent" run --source "trace:$dir/t.mbt" --vm other --server "unix:$dir/sock" --interval 1h >"$dir/out" 2>&1 &
pids+=($!)
wait_for 10 grep -q 'server refused for now: .*quota of 1 VMs is used up' "$dir/out"
is "$(refused quota_vms)" 1 "VMs refused"
wait "$agent_pid" || fail "agent: $(cat "$dir/agent.log")"
stop_server
is "$(query "SELECT epoch || ' ' || hex(hash) FROM vm WHERE name = 't'")" "80 $hash" "the fingerprint"
is "$(query "SELECT sum(epochs) FROM history")" 80 "epochs"
[ "$(query 'SELECT count(*) FROM history')" -lt 40 ] || fail "not one net delta"
is "$(grep -c 'refused: .*frames a minute' "$dir/server.log")" 1 "said once"
