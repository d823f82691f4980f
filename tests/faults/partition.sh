#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A network that swallows everything, between an agent and its server, and comes back: both notice within half
# a minute, another agent may take the VM meanwhile, and in the end nothing is missing. Network namespaces of
# its own; needs no root where users may have them.
set -eu
if [ "${1:-}" != inside ]; then
	unshare -rn true 2>/dev/null || {
		echo "no network namespaces for this user"
		exit 77
	}
	exec unshare -rn bash "$0" inside
fi
. tests/flow/lib.sh
hash=$("$BUILD/tests/tool_trace" "$dir/t.mbt" 400 3000 300 1)

# server (here) -- router -- agent. The router is what breaks.
unshare -n sleep 600 &
router=$!
unshare -n sleep 600 &
far=$!
pids+=("$router" "$far")
in_router() { nsenter -t "$router" -n "$@"; }
in_far() { nsenter -t "$far" -n "$@"; }
other_namespaces() {
	local here
	here=$(readlink /proc/self/ns/net)
	[ "$(readlink "/proc/$router/ns/net")" != "$here" ] && [ "$(readlink "/proc/$far/ns/net")" != "$here" ]
}
wait_for 5 other_namespaces
ip link set lo up
ip link add near type veth peer name to_near netns "$router"
in_router ip link add to_far type veth peer name eth netns "$far"
ip addr add 10.1.0.1/24 dev near
ip link set near up
ip route add 10.2.0.0/24 via 10.1.0.2
in_router ip addr add 10.1.0.2/24 dev to_near
in_router ip addr add 10.2.0.2/24 dev to_far
in_router ip link set to_near up
in_router ip link set to_far up
in_far ip addr add 10.2.0.1/24 dev eth
in_far ip link set eth up
in_far ip route add default via 10.2.0.2
network() {
	in_router sh -c "echo $1 >/proc/sys/net/ipv4/ip_forward"
}

acked() {
	[ "$(sed -n 's/.*epoch \([0-9]*\) acked.*/\1/p' "$dir/$1.log" | tail -n 1)" -ge "$2" ]
}

network 1
server --verbose --listen tcp:10.1.0.1:9876 --insecure
in_far "$mbagent" run --source "trace:$dir/t.mbt" --vm t --server tcp:10.1.0.1:9876 --insecure --interval 200ms \
	--retry 200ms >"$dir/agent.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 20 acked agent 5
network 0
cut=$SECONDS
before=$(query 'SELECT epoch FROM vm')

# Another one for the VM: only when the first is known to be gone.
"$mbagent" run --source "trace:$dir/t.mbt" --vm t --server "unix:$dir/sock" --interval 1h --retry 500ms \
	>"$dir/second.log" 2>&1 &
second=$!
pids+=($!)
wait_for 5 grep -q 'has a connected agent' "$dir/second.log"
wait_for 60 grep -qE 'VM t: (Connection timed out|No route to host)' "$dir/server.log"
took=$((SECONDS - cut))
[ "$took" -le 45 ] || fail "the server noticed after $took s"
wait_for 60 grep -q 'trying again' "$dir/agent.log"
agent_took=$((SECONDS - cut))
wait_for 90 grep -q 'epoch 1 acked' "$dir/second.log"

# The network is back; the first agent waits until the VM is free, then sends all it has.
network 1
wait_for 90 grep -q 'server refused for now: .*has a connected agent' "$dir/agent.log"
kill "$second"
wait_for 90 acked agent $((before + 1))
grep -q "another source's epoch\|sending a snapshot" "$dir/agent.log" || fail "no snapshot: $(cat "$dir/agent.log")"
wait "$agent_pid" || fail "agent: $(tail -n 3 "$dir/agent.log")"
stop_server
is "$(query "SELECT epoch || ' ' || hex(hash) FROM vm")" "400 $hash" "the fingerprint"
echo "the server noticed within $took s, the agent within $agent_took s"
