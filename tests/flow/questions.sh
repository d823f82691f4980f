#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All questions to planners, with all planners, from a server and from a fleet file: the same answer,
# for people and as JSON, and what is said when there is none.
# usage: BUILD=DIR tests/flow/questions.sh
set -eu -o pipefail
. tests/flow/lib.sh

# Four VMs of 64 MB that run the wrong way round: web1 and web2 have two thirds in common, so have db1
# and db2; a host that is off and one that takes nobody.
seq 1 12000 >"$dir/web1"
seq 4001 16000 >"$dir/web2"
seq 20001 32000 >"$dir/db1"
seq 24001 36000 >"$dir/db2"
fleet() {
	cat >"$dir/fleet.json" <<-END
		{ "hosts": [ { "name": "h0", "memory_mb": 192, "cpu_millicores": 4000, "free_mb": 20 },
		             { "name": "h1", "memory_mb": 192 },
		             { "name": "spare", "memory_mb": 192, "state": "pool" },
		             { "name": "broken", "memory_mb": 192, "state": "maintenance" } ],
		  "vms": [ { "name": "db1", "memory_mb": 64, "trace": "db1", "host": "h0", "dirty_mb_s": 1 },
		           { "name": "db2", "memory_mb": 64, "trace": "db2", "host": "h1", "pinned": true },
		           { "name": "web1", "memory_mb": 64, "trace": "web1", "host": "h0", "tenant": "t" },
		           { "name": "web2", "memory_mb": 64, "trace": "web2", "host": "h1",
		             "cpu_millicores": { "mean": 1000, "peak": 2000 } } ],
		  $1 "options": { $2 } }
	END
}
fleet "" ""
offline=(--fleet "$dir/fleet.json")

server --fleet "$dir/fleet.json"
export MBCTL_SERVER=$http
for vm in web1 web2 db1 db2; do
	"$mbagent" run --source "trace:$dir/$vm" --vm $vm --server "unix:$dir/sock" --epochs 1 \
		--interval 0 --hash superfasthash32 2>"$dir/agent.log" || fail "agent: $(cat "$dir/agent.log")"
done

# --- live and offline, by all planners ------------------------------------------------------------

for planner in seed paper best; do
	while read -r question; do
		# shellcheck disable=SC2086 # words on purpose
		"$mbctl" $question --planner $planner --strict --json >"$dir/live"
		# shellcheck disable=SC2086
		"$mbctl" $question --planner $planner --strict --json "${offline[@]}" >"$dir/offline"
		# Ties go by the order of VMs: by name in a server, hence in the file, too.
		cmp "$dir/live" "$dir/offline" || fail "$question, $planner: live and offline differ"
		# shellcheck disable=SC2086
		"$mbctl" $question --planner $planner --strict >"$dir/text" || fail "$question"
		[ -s "$dir/text" ] || fail "$question says nothing"
	done <<-END
		plan
		place web1
		drain h0 --overcommit 40
		consolidate --low-percent 60 --overcommit 40
		hotspot
		whatif web1=h1 db1=-
		whatif --vms web1,web2
	END
done

# --- what they say --------------------------------------------------------------------------------

"$mbctl" plan --json >"$dir/plan"
is "$(jq -c '[.placement.web1 == .placement.web2, .placement.db1 == .placement.db2]' "$dir/plan")" \
	"[true,true]" "like to like"
is "$(jq -r '.placement.db2' "$dir/plan")" h1 "a pinned VM"
is "$(jq 'all(.moves[]; .feasible and .reason != "" and .copy_mb >= 64 and .converges)' "$dir/plan")" \
	true "moves"
"$mbctl" plan explain >"$dir/text"
grep -q '^1\. .*: h[01] -> h[01], at 0:00:00$' "$dir/text" || fail "explain: $(cat "$dir/text")"
grep -q 'MB of its pages are there already' "$dir/text" || fail "explain: $(cat "$dir/text")"
grep -q 'In all: .* MB to copy' "$dir/text" || fail "explain: $(cat "$dir/text")"

"$mbctl" place web1 --json >"$dir/place"
# 8000 of its pages are with web2.
is "$(jq -c '.hosts[0] | [.name, .fits, .gain_pages]' "$dir/place")" '["h1",true,8000]' "best host"
is "$(jq -c '[.hosts[] | select(.name == "broken").fits]' "$dir/place")" "[false]" "maintenance"
is "$(jq -c '.hosts[-1].name' "$dir/place")" '"broken"' "what does not fit comes last"
"$mbctl" place web1 | grep -q '^-  broken .*cannot: ' || fail "place: $("$mbctl" place web1)"

"$mbctl" drain h0 --overcommit 40 --json >"$dir/drain"
is "$(jq -c '[.drained, ([.placement[]] | unique)]' "$dir/drain")" '["h0",["h1"]]' "drained"
"$mbctl" drain h0 --overcommit 40 | grep -qx 'Host h0 is drained' || fail "drain"
is "$("$mbctl" consolidate --low-percent 60 --overcommit 40 --json | jq -c .emptied)" '["h0"]' "emptied"
"$mbctl" consolidate --low-percent 1 | grep -qx 'No host can be emptied' || fail "consolidate"
is "$("$mbctl" hotspot --json | jq -c '[.hotspots[].host]')" '["h0"]' "hotspot"
"$mbctl" hotspot --free-mb 10 | grep -qx 'No host is a hotspot' || fail "hotspot"

# Zero, self and inter are apart, and together they are all that is saved.
"$mbctl" whatif web1=h1 --json >"$dir/whatif"
is "$(jq -c '[.hosts[].after | .pages - .zero_pages - .self_pages - .inter_pages == .distinct_pages] | all' \
	"$dir/whatif")" true "sums"
is "$(jq -c '[.hosts[] | select(.name == "h1") | .before.inter_pages, .after.inter_pages]' "$dir/whatif")" \
	"[0,8000]" "what if"
is "$("$mbctl" whatif --vms db1,db2 --json | jq -c '[.hosts[].after.inter_pages] | add')" 8000 "together"
"$mbctl" whatif web1=broken | grep -q '^Not allowed on broken: ' || fail "whatif: not allowed"

# --- what is set: the file's word, then the question's --------------------------------------------

fleet "" '"min_gain_mb": 1000'
is "$("$mbctl" plan --json | jq '.moves | length')" 0 "moves that are not worth it"
is "$("$mbctl" plan --json --min-gain-mb 1 | jq '.moves | length > 0')" true "moves that are"
fleet '"rules": [ { "name": "r", "kind": "apart", "vms": ["web1", "web2"] } ],' ""
is "$("$mbctl" plan --json | jq '.placement.web1 == .placement.web2')" false "apart"
"$mbctl" whatif web1=h1 | grep -q 'Not allowed on h1: .*"r"' || fail "whatif: $("$mbctl" whatif web1=h1)"
fleet "" '"mean_percent": 10'
"$mbctl" place web2 | grep -q '^-  h0 .*cannot: ' || fail "cpu: $("$mbctl" place web2)"
fleet "" ""
"$mbctl" place web2 | grep -q '^1  h0 ' || fail "cpu: $("$mbctl" place web2)"

# --- errors: the file's line, the question's word -------------------------------------------------

for where in live offline; do
	from=()
	[ $where = live ] || from=("${offline[@]}")
	refuses 'no VM "nobody"' "$mbctl" place nobody "${from[@]}"
	refuses 'no host "nowhere"' "$mbctl" drain nowhere "${from[@]}"
	refuses 'no VM "x"' "$mbctl" whatif x=h0 "${from[@]}"
	refuses '"web1" is not VM=HOST' "$mbctl" whatif web1 "${from[@]}"
	refuses 'is named twice' "$mbctl" whatif web1=h0 web1=h1 "${from[@]}"
	refuses 'pinned' "$mbctl" drain h1 "${from[@]}"
	refuses 'low_percent' "$mbctl" consolidate --low-percent 101 "${from[@]}"
	fleet "" '"mean": 10'
	refuses 'fleet.json: line 10: options: unknown key "mean"' "$mbctl" plan "${from[@]}"
	fleet '"rules": [ { "name": "r", "kind": "apart", "vms": ["web1", "web3"] } ],' ""
	refuses 'line 10: rules\[0\].vms\[1\]: no VM "web3" in this file' "$mbctl" plan "${from[@]}"
	fleet "" ""
done
refuses 'durable_s is for the fleet file' "$mbctl" plan --durable-s 5
refuses 'no planner "nobody"' "$mbctl" plan --planner nobody
for usage in place drain whatif "place a b" "drain a b" "consolidate a" "plan explained" \
	"whatif --vms a,b c=d" "plan --mean-percent 0" "hotspot --free-mb x"; do
	code=0
	# shellcheck disable=SC2086 # words on purpose
	"$mbctl" $usage >"$dir/out" 2>"$dir/err" || code=$?
	[ $code = 2 ] || fail "$usage: exit code $code: $(cat "$dir/err")"
done
curl -s "$http/v1/nothing" | grep -q '/v1/whatif' || fail "the list of paths"
is "$(curl -s -o /dev/null -w '%{http_code}' "$http/v1/place?vm=nobody")" 404 "no such VM"
is "$(curl -s -o /dev/null -w '%{http_code}' "$http/v1/place")" 400 "no VM named"
is "$(curl -s -o /dev/null -w '%{http_code}' "$http/v1/drain?host=h0&overcommit=0&peak_percent=1")" 422 "no room"

# --- what lasts weighs more -----------------------------------------------------------------------

# Epochs a minute apart; of a's pages half change in each.
"$BUILD/tests/tool_trace" "$dir/a" 5 8000 4000 1 >"$dir/out"
"$BUILD/tests/tool_trace" "$dir/b" 5 8000 0 2 >"$dir/out"
cat >"$dir/fleet.json" <<-END
	{ "hosts": [ { "name": "h0", "memory_mb": 192 }, { "name": "h1", "memory_mb": 192 } ],
	  "vms": [ { "name": "a", "memory_mb": 64, "trace": "a", "host": "h0" },
	           { "name": "b", "memory_mb": 64, "trace": "b", "host": "h1" } ],
	  "options": { "durable_s": 120, "volatile_percent": 0 } }
END
value() {
	"$mbctl" place a "${offline[@]}" --json "$@" | jq ".hosts[] | select(.name == \"h1\") | $what"
}
what=.gain_pages
gain=$(value)
is "$(value --volatile-percent 100)" "$gain" "figures are those of all contents"
what=.value
is "$(value --volatile-percent 100)" "$(value --durable-s 0)" "all counts, all lasts"
is "$(value --durable-s 3600)" "$(value --durable-s 0)" "traces too short to tell"
is "$(jq -n "$(value) < $(value --volatile-percent 50) and
	$(value --volatile-percent 50) < $(value --volatile-percent 100)")" true "what lasts weighs more"
