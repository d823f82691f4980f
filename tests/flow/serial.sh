#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An agent on a serial line, which has no connections: kill -9 of the agent in mid-frame and of the
# server, and each time they find back to each other; no acked epoch is lost.
set -eu
. tests/flow/lib.sh
RANDOM=${SEED:-1}
kills=${KILLS:-20}
hash=$("$BUILD/tests/tool_trace" "$dir/t.mbt" 60 20000 10000 1)

# 200 kB/s or so: a frame takes longer than an agent lives.
"$BUILD/tests/tool_line" "$dir/sock" "$dir/tty" 256 &
pids+=($!)
wait_for 5 test -e "$dir/tty"

agent() {
	: >"$dir/agent.log"
	"$mbagent" run -v --source "trace:$dir/t.mbt" --vm t --server "serial:$dir/tty" \
		--interval 0 --retry 10ms "$@" >"$dir/agent.log" 2>&1 &
	agent_pid=$!
	pids+=("$agent_pid")
}

kill_server() {
	kill -9 "$server_pid"
	wait "$server_pid" 2>/dev/null || true
}

# With the server dead: what the agent was told is durable must be in the database.
check_acked() {
	local acked boot held
	acked=$(sed -n 's/.*: epoch \([0-9]*\) acked.*/\1/p' "$dir/agent.log" | tail -n 1)
	boot=$(sed -n 's/.*boot \([0-9a-f]*\)$/\1/p' "$dir/agent.log" | tail -n 1)
	[ -n "$acked" ] || return 0
	held=$(query "SELECT epoch FROM vm WHERE name='t' AND lower(hex(boot))='$boot'")
	[ "${held:-0}" -ge "$acked" ] || fail "epoch $acked was acked, but ${held:-none} is held"
	checks=$((checks + 1))
}

# A line whose guest has no agent yet.
server --verbose
sleep 0.2
agent
checks=0 server_kills=0
for ((i = 0; i < kills; i++)); do
	# The line works at every turn, whatever was left on it.
	wait_for 30 grep -q 'epoch [0-9]* acked' "$dir/agent.log"
	sleep "0.$((RANDOM % 40 + 10))"
	kill -9 "$agent_pid" 2>/dev/null || true
	wait "$agent_pid" 2>/dev/null || true
	if ((i % 5 == 4)); then
		kill_server
		server_kills=$((server_kills + 1))
		check_acked
		server --verbose
	fi
	agent
done

# The server dies, the agent lives: it is not told, and finds out.
wait_for 30 grep -q 'epoch [0-9]* acked' "$dir/agent.log"
kill_server
check_acked
server --verbose
wait "$agent_pid" || fail "agent: $(tail -n 20 "$dir/agent.log")"
[ "$(query "SELECT epoch || ' ' || hex(hash) FROM vm WHERE name='t'")" = "60 $hash" ] ||
	fail "the server does not hold the agent's last epoch"
MBCTL_SERVER=$http "$mbctl" status --json |
	jq -e '.vms[] | select(.name == "t") | .epoch == 60' >/dev/null ||
	fail "mbctl status shows another epoch: $(MBCTL_SERVER=$http "$mbctl" status --json)"
cut=$(grep -c 'began anew on its line, [1-9][0-9]* bytes' "$dir/server.log" || true)
[ "$cut" -gt $((kills / 4)) ] || fail "only $cut of $kills kills hit a frame: $(cat "$dir/server.log")"
[ "$checks" -gt 1 ] || fail "only $checks checks of acked epochs"

# An agent that has nothing to say is asked who is there.
agent --vm idle --interval 1h
wait_for 10 grep -q 'epoch 1 acked' "$dir/agent.log"
kill_server
server --verbose
wait_for 20 grep -q 'the server began anew' "$dir/agent.log"
wait_for 10 grep -q 'connected; server holds epoch 1$' "$dir/agent.log"
kill "$agent_pid"

# No such scheme, device, or kind of file: the reason, and for a device another try.
refuses 'none of tcp:HOST:PORT, unix:PATH, vsock:CID:PORT or serial:DEVICE' \
	"$mbagent" run --source "trace:$dir/t.mbt" --server "line:$dir/tty"
refuses 'ends at a unix: address on this side' \
	"$mbserver" --db "$dir/db2" --http 127.0.0.1:0 --listen "serial:$dir/tty"
agent --server "serial:$dir/none"
wait_for 5 grep -q 'No such file' "$dir/agent.log"
agent --server "serial:$dir/t.mbt"
wait_for 5 grep -q 'no character device' "$dir/agent.log"
stop_server
echo "$kills kills of the agent ($cut in mid-frame), $server_kills + 1 of the server, $checks checks"
