#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mbctl simulate on the ready scenarios, on traces, and on nonsense.
set -eu -o pipefail
. tests/flow/lib.sh

# placed FILE PLAYER
placed() {
	jq ".players[] | select(.player == \"$2\") | .placed" "$1"
}

for hosts in 4 100; do
	"$mbctl" simulate --json "tests/scenario/paper-$hosts-hosts.json" >"$dir/$hosts"
	[ "$(jq -c '[.players[].player]' "$dir/$hosts")" = '["first-fit","most-free","seed","paper","best"]' ] ||
		fail "players: $(cat "$dir/$hosts")"
	[ "$(placed "$dir/$hosts" best)" -gt "$(placed "$dir/$hosts" first-fit)" ] ||
		fail "$hosts hosts: best places no more than first-fit"
	"$mbctl" simulate --planner best "tests/scenario/paper-$hosts-hosts.json" >"$dir/text"
	grep -q "^VEE 2009: $(jq .published.aware "$dir/$hosts") placed" "$dir/text" || fail "$(cat "$dir/text")"
	! grep -q '^paper ' "$dir/text" || fail "--planner best plays others: $(cat "$dir/text")"
done

# Who plans again as memory churns has more of it shared in the end.
"$mbctl" simulate --json tests/scenario/churn.json >"$dir/churn"
jq -e '[.players[] | {(.player): (.steps[-1].inter_pages)}] | add | .best > 1.2 * .["first-fit"]' \
	"$dir/churn" >"$dir/out" || fail "churn: $(jq -c '[.players[].steps[-1].inter_pages]' "$dir/churn")"
"$mbctl" simulate --json tests/scenario/churn.json | cmp -s - "$dir/churn" || fail "not the same twice"
! "$mbctl" simulate --seed 2 --json tests/scenario/churn.json | cmp -s - "$dir/churn" || fail "--seed: the same"

# Traces: clones take no room but their own on arrival, where they meet each other.
"$BUILD/tests/tool_trace" "$dir/a.mbt" 2 2560 10 1 >/dev/null
"$BUILD/tests/tool_trace" "$dir/b.mbt" 1 2560 10 2 >/dev/null
cat >"$dir/traces.json" <<-END
	{ "hosts": [ { "memory_mb": 21 }, { "memory_mb": 21 } ],
	  "types": [ { "name": "a", "trace": "a.mbt" }, { "name": "b", "trace": "b.mbt" } ],
	  "arrivals": { "count": 6, "start": 2 } }
END
"$mbctl" simulate --json --planner best "$dir/traces.json" >"$dir/traces"
[ "$(placed "$dir/traces" best)" = 6 ] || fail "traces: $(cat "$dir/traces")"
[ "$(placed "$dir/traces" first-fit)" -lt 6 ] || fail "no clone is refused: $(cat "$dir/traces")"

# refuses WORD TEXT
refuses() {
	printf '%s' "$2" >"$dir/bad.json"
	if "$mbctl" simulate "$dir/bad.json" >"$dir/out" 2>&1; then
		fail "accepted: $2"
	fi
	grep -qF "$dir/bad.json: $1" "$dir/out" || fail "$2: $(cat "$dir/out")"
}

refuses 'line 1, column 13' '{ "hosts": [,] }'
refuses 'hosts[0].memory_mb: not a whole number' '{ "hosts": [ { "memory_mb": -1 } ] }'
refuses 'type "x": ' '{ "hosts": [ { "memory_mb": 9 } ], "types": [ { "name": "x", "trace": "none" } ] }'
refuses 'player first-fit: VM "x-1" should run from the start' '{ "hosts": [ { "memory_mb": 9 } ],
	"types": [ { "name": "x", "memory_mb": 9, "share_percent": 5 } ], "arrivals": { "count": 2, "start": 2 } }'
! "$mbctl" simulate --planner worst "$dir/traces.json" 2>"$dir/out" || fail "planner worst"
grep -q 'no planner "worst"' "$dir/out" || fail "$(cat "$dir/out")"
