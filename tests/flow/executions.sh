#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mbctl plan --apply: what a server says and keeps is what mbctl says without one, and it survives
# the server.
# usage: BUILD=DIR tests/flow/executions.sh
set -eu -o pipefail

cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
tmp=$(mktemp -d)
server=""
# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT

die()
{
	echo "executions.sh: $*" >&2
	[ ! -s "$tmp/server.log" ] || tail -n 20 "$tmp/server.log" >&2
	exit 1
}

is()
{
	[ "$1" = "$2" ] || die "$3: \"$1\", expected \"$2\""
}

mbctl()
{
	"$build/mbctl" "$@"
}

start()
{
	: >"$tmp/server.log"
	"$build/mbserver" --db "$tmp/db" --fleet "$tmp/fleet.json" --listen "unix:$tmp/agents" \
		--http 127.0.0.1:0 2>"$tmp/server.log" &
	server=$!
	for _ in {1..100}; do
		http=$(sed -n 's/.*http on \([^ ]*\).*/\1/p' "$tmp/server.log")
		[ -z "$http" ] || break
		kill -0 "$server" 2>/dev/null || die "the server has ended"
		sleep 0.05
	done
	export MBCTL_SERVER="http://$http"
}

# h0 is to be emptied: two VMs have to go.
seq 1 4000 >"$tmp/a"
seq 1001 5000 >"$tmp/b"
cat >"$tmp/fleet.json" <<-END
	{ "hosts": [ { "name": "h0", "memory_mb": 64 }, { "name": "h1", "memory_mb": 64 } ],
	  "vms": [ { "name": "a", "memory_mb": 16, "trace": "a", "host": "h0" },
	           { "name": "b", "memory_mb": 16, "trace": "b", "host": "h0" } ] }
END
start
mbctl executions | grep -q '^No plan was carried out yet' || die "executions: $(mbctl executions)"
for vm in a b; do
	"$build/mbagent" run --source "trace:$tmp/$vm" --vm $vm --server "unix:$tmp/agents" --epochs 1 \
		--interval 0 --hash superfasthash32 2>"$tmp/agent.log" || die "agent: $(cat "$tmp/agent.log")"
done

# Times from the begin on; the rest is the same, but for the number.
# shellcheck disable=SC2016 # jq's variable
same='.execution |= (.created_unix_ms as $t | del(.id) | .moves |= map(
	{vm, from, to, state, reason, tries, begin: (.begun_unix_ms - $t), end: (.ended_unix_ms - $t)})
	| {mover, state, moves})'
mbctl drain h0 --apply --json >"$tmp/live"
mbctl drain h0 --apply --json --fleet "$tmp/fleet.json" >"$tmp/offline"
is "$(jq -Sc "$same" "$tmp/live")" "$(jq -Sc "$same" "$tmp/offline")" "live and offline"
is "$(jq -c '.execution | [.id, .mover, .state, ([.moves[] | .state] | unique)]' "$tmp/live")" \
	'[1,"dry","done",["done"]]' "the execution"
# Both at once, or, with one slot a host, one after the other.
at_once='.execution.moves | length == 2 and .[1].begun_unix_ms == .[0].begun_unix_ms'
is "$(jq "$at_once" "$tmp/live")" true "both at once"
mbctl drain h0 --apply --concurrent-max 1 --json >"$tmp/slow" --fleet "$tmp/fleet.json"
is "$(jq '.execution.moves | .[1].begun_unix_ms >= .[0].ended_unix_ms' "$tmp/slow")" true \
	"one after the other"
mbctl drain h0 --apply >"$tmp/text"
grep -q '^Execution 2 by mover dry: done (a dry run: nothing has been moved' "$tmp/text" ||
	die "text: $(cat "$tmp/text")"
# Nothing has been moved.
is "$(mbctl status --json | jq -c '[.vms[].host]')" '["h0","h0"]' "hosts after the dry run"

kill -9 "$server"
wait "$server" 2>/dev/null || :
start
is "$(mbctl executions --json | jq -c '[.executions[] | [.id, .question, .state, .moves, .done]]')" \
	'[[2,"drain","done",2,2],[1,"drain","done",2,2]]' "kept"
is "$(mbctl executions 1 --json | jq -Sc .execution)" "$(jq -Sc .execution "$tmp/live")" "execution 1"
mbctl executions 1 >"$tmp/text"
grep -q '^Execution 1 by mover dry: done' "$tmp/text" || die "text: $(cat "$tmp/text")"
got=0
mbctl executions 9 2>"$tmp/err" || got=$?
is "$got" 1 "execution 9"
grep -q 'no execution 9' "$tmp/err" || die "execution 9: $(cat "$tmp/err")"

# A page that a browser shows has nothing carried out.
is "$(curl -s -o /dev/null -w '%{http_code}' -X POST -H 'Origin: http://x' "$MBCTL_SERVER/v1/plan")" 403 Origin
is "$(mbctl executions --json | jq '.executions | length')" 2 "executions after all"
