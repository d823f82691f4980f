#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Files may not grow any more, as on a full disk; somebody else keeps the database locked: the agent is told
# to come back, the server goes on, nothing that was acked is lost.
set -eu
. tests/flow/lib.sh
hash=$("$BUILD/tests/tool_trace" "$dir/t.mbt" 50 20000 2000 1)

last_acked() {
	sed -n 's/.*epoch \([0-9]*\) acked.*/\1/p' "$dir/agent.log" | tail -n 1
}

mbserver=$(realpath "$mbserver")
{
	echo '#!/bin/bash'
	echo 'ulimit -f 1024'
	echo "exec '$mbserver' \"\$@\""
} >"$dir/limited"
chmod +x "$dir/limited"
unlimited=$mbserver
mbserver=$dir/limited
server
"$mbagent" run --source "trace:$dir/t.mbt" --vm t --server "unix:$dir/sock" --interval 0 --retry 20ms \
	>"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 20 grep -q 'server refused for now: database' "$dir/agent.log"
[ "$(curl -sf "$http/v1/status" | jq .refused.not_stored)" -ge 1 ] || fail "not counted"
kill -0 "$server_pid" || fail "the server is gone"
is "$(curl -s -o "$dir/body" -w '%{http_code}' "$http/readyz")" 503 "ready on a full disk"
grep -q 'could not be kept' "$dir/body" || fail "readyz: $(cat "$dir/body")"
is "$(curl -s -o "$dir/body" -w '%{http_code}' "$http/healthz")" 200 "alive on a full disk"
curl -s "$http/metrics" | grep -q '^memory_buddies_failed_epochs_total [1-9]' || fail "metrics do not count"
[ "$(query 'SELECT epoch FROM vm')" -ge "$(last_acked)" ] || fail "acked, but not held"
stop_server
mbserver=$unlimited
server
wait "$agent_pid" || fail "agent: $(tail -n 3 "$dir/agent.log")"
is "$(curl -s -o "$dir/body" -w '%{http_code}' "$http/readyz")" 200 "ready again"
is "$(query "SELECT epoch || ' ' || hex(hash) FROM vm")" "50 $hash" "the fingerprint"

# Locked for a while: the ack waits, nobody is refused.
{
	echo 'BEGIN IMMEDIATE;'
	sleep 1
	echo 'COMMIT;'
} | sqlite3 "$dir/db" &
pids+=($!)
"$mbagent" run --source "trace:$dir/t.mbt" --vm u --server "unix:$dir/sock" --interval 0 --epochs 3 \
	>"$dir/agent.log" 2>&1 || fail "agent: $(cat "$dir/agent.log")"
grep -q 'refused' "$dir/agent.log" && fail "refused: $(cat "$dir/agent.log")"
stop_server
