#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 of server or agent in mid-stream, 100 times at random points: no acked epoch is lost, and at
# the end the server holds what the agents hold.
set -eu
. tests/flow/lib.sh
RANDOM=${SEED:-1}
kills=${KILLS:-100}
agents=(a b c)

for vm in "${agents[@]}"; do
	"$BUILD/tests/tool_trace" "$dir/$vm.mbt" 150 3000 100 "$(printf %d "'$vm")" >"$dir/$vm.hash"
done

declare -A agent_pid
agent() {
	: >"$dir/$1.log"
	"$mbagent" run -v --source "trace:$dir/$1.mbt" --vm "$1" --server "unix:$dir/sock" \
		--interval 0 --retry 10ms >"$dir/$1.log" 2>&1 &
	agent_pid[$1]=$!
	pids+=($!)
}

# With the server dead: what each agent was told is durable must be in the database.
check_acked() {
	local vm acked boot held
	for vm in "${agents[@]}"; do
		acked=$(sed -n 's/.*: epoch \([0-9]*\) acked.*/\1/p' "$dir/$vm.log" | tail -n 1)
		boot=$(sed -n 's/.*boot \([0-9a-f]*\)$/\1/p' "$dir/$vm.log" | tail -n 1)
		[ -n "$acked" ] || continue
		held=$(query "SELECT epoch FROM vm WHERE name='$vm' AND lower(hex(boot))='$boot'")
		[ "${held:-0}" -ge "$acked" ] ||
			fail "VM $vm: epoch $acked was acked, but ${held:-none} is held (kill $i)"
		checks=$((checks + 1))
	done
}

server --sharing-interval 50ms
for vm in "${agents[@]}"; do agent "$vm"; done
checks=0 server_kills=0
for ((i = 0; i < kills; i++)); do
	sleep "0.0$((RANDOM % 90 + 10))"
	if ((RANDOM % 2)); then
		kill -9 "$server_pid"
		wait "$server_pid" 2>/dev/null || true
		server_kills=$((server_kills + 1))
		# Agents may be about to log an ack that has already reached them; that is fine.
		check_acked
		server --sharing-interval 50ms
	else
		vm=${agents[RANDOM % 3]}
		kill -9 "${agent_pid[$vm]}" 2>/dev/null || true
		wait "${agent_pid[$vm]}" 2>/dev/null || true
		agent "$vm"
	fi
	# An agent that has sent its whole trace starts over.
	for vm in "${agents[@]}"; do
		kill -0 "${agent_pid[$vm]}" 2>/dev/null || agent "$vm"
	done
done
for vm in "${agents[@]}"; do
	wait "${agent_pid[$vm]}" || fail "agent $vm: $(cat "$dir/$vm.log")"
done
stop_server
for vm in "${agents[@]}"; do
	[ "$(query "SELECT epoch || ' ' || hex(hash) FROM vm WHERE name='$vm'")" = "150 $(cat "$dir/$vm.hash")" ] ||
		fail "VM $vm: the server does not hold the agent's last epoch"
done
# The next start verifies every stored frame against the hash.
server --verbose
grep -q 'damaged' "$dir/server.log" || fail "no word of what was loaded"
grep 'VMs, ' "$dir/server.log" | grep -v ' 0 damaged' && fail "damage"
stop_server
[ $checks -gt 20 ] || fail "only $checks checks of acked epochs"
echo "$kills kills ($server_kills of the server), $checks acked epochs checked, none lost"
