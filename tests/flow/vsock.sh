#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Agent and server over vsock within this machine. Never to another CID: that would leave it.
set -eu
. tests/flow/lib.sh
"$BUILD/tests/tool_trace" "$dir/t.mbt" 20 1000 100 1 >"$dir/hash"

# Loading a module is not a test's business; what is built in without a trace is not found here.
[ -d /sys/module/vsock_loopback ] || {
	# Without the loopback a server cannot listen on it, and says which module that is.
	refuses 'vsock:local:9876: .*(vsock_loopback|module vsock)' \
		"$mbserver" --db "$dir/db" --http 127.0.0.1:0 --listen vsock:local:9876
	echo "this kernel has no module vsock_loopback (loaded)"
	exit 77
}
server --listen vsock:local:0
port=$(sed -n 's/.*listening on vsock:local:\([0-9]*\)$/\1/p' "$dir/server.log")
"$mbagent" run --source "trace:$dir/t.mbt" --vm v --server "vsock:local:$port" --interval 0 \
	>"$dir/agent.log" 2>&1 || fail "agent: $(cat "$dir/agent.log")"
[ "$(query "SELECT epoch || ' ' || hex(hash) FROM vm WHERE name='v'")" = "20 $(cat "$dir/hash")" ] ||
	fail "the server does not hold the agent's last epoch"
stop_server
# Every guest could reach this one, and that is said.
server --listen vsock:any:0
grep -q 'vsock:any:[0-9]* can be reached by every guest' "$dir/server.log" || fail "no warning"
stop_server
