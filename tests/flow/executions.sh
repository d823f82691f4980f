#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mbctl plan --apply: what a server says and keeps is what mbctl says without one, and it survives
# the server.
# usage: BUILD=DIR tests/flow/executions.sh
set -eu -o pipefail

. tests/flow/lib.sh
export MBCTL_SERVER

start() {
	server --fleet "$dir/fleet.json"
	MBCTL_SERVER=$http
}

# h0 is to be emptied: two VMs have to go.
seq 1 4000 >"$dir/a"
seq 1001 5000 >"$dir/b"
cat >"$dir/fleet.json" <<-END
	{ "hosts": [ { "name": "h0", "memory_mb": 64 }, { "name": "h1", "memory_mb": 64 } ],
	  "vms": [ { "name": "a", "memory_mb": 16, "trace": "a", "host": "h0" },
	           { "name": "b", "memory_mb": 16, "trace": "b", "host": "h0" } ] }
END
start
"$mbctl" executions | grep -q '^No plan was carried out yet' || fail "executions: $("$mbctl" executions)"
for vm in a b; do
	"$mbagent" run --source "trace:$dir/$vm" --vm $vm --server "unix:$dir/sock" --epochs 1 \
		--interval 0 --hash superfasthash32 2>"$dir/agent.log" || fail "agent: $(cat "$dir/agent.log")"
done

# Times from the begin on; the rest is the same, but for the number.
# shellcheck disable=SC2016 # jq's variable
same='.execution |= (.created_unix_ms as $t | del(.id) | .moves |= map(
	{vm, from, to, state, reason, tries, begin: (.begun_unix_ms - $t), end: (.ended_unix_ms - $t)})
	| {mover, state, moves})'
"$mbctl" drain h0 --apply --json >"$dir/live"
"$mbctl" drain h0 --apply --json --fleet "$dir/fleet.json" >"$dir/offline"
is "$(jq -Sc "$same" "$dir/live")" "$(jq -Sc "$same" "$dir/offline")" "live and offline"
is "$(jq -c '.execution | [.id, .mover, .state, ([.moves[] | .state] | unique)]' "$dir/live")" \
	'[1,"dry","done",["done"]]' "the execution"
# Both at once, or, with one slot a host, one after the other.
at_once='.execution.moves | length == 2 and .[1].begun_unix_ms == .[0].begun_unix_ms'
is "$(jq "$at_once" "$dir/live")" true "both at once"
"$mbctl" drain h0 --apply --concurrent-max 1 --json >"$dir/slow" --fleet "$dir/fleet.json"
is "$(jq '.execution.moves | .[1].begun_unix_ms >= .[0].ended_unix_ms' "$dir/slow")" true \
	"one after the other"
"$mbctl" drain h0 --apply >"$dir/text"
grep -q '^Execution 2 by mover dry: done (a dry run: nothing has been moved' "$dir/text" ||
	fail "text: $(cat "$dir/text")"
# Nothing has been moved.
is "$("$mbctl" status --json | jq -c '[.vms[].host]')" '["h0","h0"]' "hosts after the dry run"

kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null || :
start
is "$("$mbctl" executions --json | jq -c '[.executions[] | [.id, .question, .state, .moves, .done]]')" \
	'[[2,"drain","done",2,2],[1,"drain","done",2,2]]' "kept"
is "$("$mbctl" executions 1 --json | jq -Sc .execution)" "$(jq -Sc .execution "$dir/live")" "execution 1"
"$mbctl" executions 1 >"$dir/text"
grep -q '^Execution 1 by mover dry: done' "$dir/text" || fail "text: $(cat "$dir/text")"
got=0
"$mbctl" executions 9 2>"$dir/err" || got=$?
is "$got" 1 "execution 9"
grep -q 'no execution 9' "$dir/err" || fail "execution 9: $(cat "$dir/err")"

# A page that a browser shows has nothing carried out.
is "$(curl -s -o /dev/null -w '%{http_code}' -X POST -H 'Origin: http://x' "$MBCTL_SERVER/v1/plan")" 403 Origin
is "$("$mbctl" executions --json | jq '.executions | length')" 2 "executions after all"
