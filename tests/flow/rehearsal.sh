#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mover that takes its time: what is under way survives kill -9, no move is begun twice, a server
# without that mover says so, and the operator ends it.
# usage: BUILD=DIR tests/flow/rehearsal.sh
set -eu -o pipefail

. tests/flow/lib.sh
export MBCTL_SERVER

# start: with these further options; -9: kills the one of before first
start() {
	if [ "${1:-}" = -9 ]; then
		kill -9 "$server_pid"
		wait "$server_pid" 2>/dev/null || :
		shift
	fi
	server --fleet "$dir/fleet.json" "$@"
	MBCTL_SERVER=$http
}

# execution: these of its keys, and of its moves
execution() {
	"$mbctl" executions 1 --json |
		jq -c '.execution | [.state, .restarts, (.moves | map([.state, .tries]))]'
}

# becomes: waits until that is what execution() says
becomes() {
	wait_for 10 test_execution "$1"
}

test_execution() {
	[ "$(execution)" = "$1" ]
}

# Two VMs have to leave h0, three minutes each, one after the other.
cat >"$dir/fleet.json" <<-END
	{ "hosts": [ { "name": "h0", "memory_mb": 8192 }, { "name": "h1", "memory_mb": 8192 } ],
	  "vms": [ { "name": "a", "memory_mb": 2048, "host": "h0" },
	           { "name": "b", "memory_mb": 2048, "host": "h0" } ],
	  "options": { "link_mbit_s": 100, "concurrent_max": 1 } }
END
start --mover rehearsal
"$mbctl" drain h0 --apply --json >"$dir/begun"
is "$(jq -c '.execution | [.id, .mover, .state]' "$dir/begun")" '[1,"rehearsal","running"]' begun
becomes '["running",0,[["running",1],["waiting",0]]]'
begun=$("$mbctl" executions 1 --json | jq '.execution.moves[0].begun_unix_ms')
refuses 'execution 1 is under way' "$mbctl" drain h0 --apply
refuses 'move 1 is not lost, but running' "$mbctl" executions decide 1 1 arrived
refuses 'no execution 7' "$mbctl" executions cancel 7

# The next server asks about what was begun, and does not begin it again.
start -9 --mover rehearsal
becomes '["running",1,[["running",1],["waiting",0]]]'
is "$("$mbctl" executions 1 --json | jq '.execution.moves[0].begun_unix_ms')" "$begun" "begun once"

# One that has not this mover leaves it as it is, and says so.
start -9
is "$(execution)" '["interrupted",1,[["running",1],["waiting",0]]]' interrupted
is "$("$mbctl" executions --json | jq -c '.executions[0] | [.state, .ended_unix_ms]')" \
	'["interrupted",null]' "interrupted, in the list"
refuses 'its mover "rehearsal" is not here' "$mbctl" executions cancel 1

start -9 --mover rehearsal
becomes '["running",2,[["running",1],["waiting",0]]]'
"$mbctl" executions cancel 1 >"$dir/text"
grep -q '^What runs is asked to stop' "$dir/text" || fail "cancel: $(cat "$dir/text")"
becomes '["cancelled",2,[["cancelled",1],["skipped",0]]]'
"$mbctl" executions 1 >"$dir/text"
grep -q '^Execution 1 by mover rehearsal: cancelled, taken up again after 2 restarts of the server (a rehearsal' \
	"$dir/text" || fail "text: $(cat "$dir/text")"
refuses 'execution 1 has ended' "$mbctl" executions cancel 1
# Now there is room for another one.
is "$("$mbctl" drain h0 --apply --json | jq -c '.execution | [.id, .state]')" '[2,"running"]' "the next"
