#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A memory budget that holds less than half of the fleet: what is acked is the same, exact answers are those of a
# server that holds all, estimates are as good as they say, before and after a restart.
set -eu
. tests/flow/lib.sh
vms=(0 1 2 3 4 5 6 7)

cat >"$dir/fleet.json" <<'END'
{ "hosts": [ { "name": "h0", "memory_mb": 2000 }, { "name": "h1", "memory_mb": 2000 } ], "vms": [] }
END
for i in "${vms[@]}"; do
	"$BUILD/tests/tool_trace" "$dir/$i.mbt" 3 38000 800 "$i" >"$dir/hash$i"
done

# Every trace, epoch by epoch, all at once.
feed() {
	local i agents=()
	for i in "${vms[@]}"; do
		"$mbagent" run --source "trace:$dir/$i.mbt" --vm "v$i" --host "h$((i % 2))" \
			--server "unix:$dir/sock" --interval 5ms --retry 20ms 2>"$dir/agent$i.log" &
		agents+=($!)
		pids+=($!)
	done
	for i in "${vms[@]}"; do
		wait "${agents[$i]}" || fail "agent $i: $(cat "$dir/agent$i.log")"
		grep -q 'epoch 3 acked' "$dir/agent$i.log" || fail "agent $i: $(cat "$dir/agent$i.log")"
		is "$(query "SELECT hex(hash) FROM vm WHERE name = 'v$i'")" "$(cat "$dir/hash$i")" "what is stored of v$i"
	done
}

get() {
	curl -sSf "$http/v1/$1" >"$dir/$2"
}

# What an exact answer and the truth have in common: all but the server's numbering.
same() {
	diff <(jq -S . "$dir/$1") <(jq -S . "$dir/$2") >&2 || fail "$1 is not $2"
}

server --fleet "$dir/fleet.json" --sharing-interval 0
feed
get share true_share
get 'plan?planner=best' true_plan
get 'whatif?together=v0%20v1' true_whatif
curl -sSf "$http/v1/status" | jq -e '.server.memory | .budget_mb == null and .paged_out == 0 and
	.sample_one_in == null and .held_bytes > 1600000' >/dev/null || fail "memory without a budget"
jq -e 'has("estimate") or has("error_pages") | not' "$dir/true_share" >/dev/null || fail "exact, but an estimate"
stop_server

budget_is_kept() {
	curl -sSf "$http/v1/status" | jq -e '.server.memory | .budget_mb == 1 and .held_bytes <= 1048576 and
		.paged_out > 2' >/dev/null
}

check() {
	wait_for 5 budget_is_kept
	get status status
	jq -e '([.vms[] | select(.paged_out)] | length) == .server.memory.paged_out' "$dir/status" >/dev/null ||
		fail "who is paged out: $(cat "$dir/status")"
	get share share
	jq -e '.estimate.one_in >= 16 and .estimate.paged_out > 2' "$dir/share" >/dev/null || fail "no estimate"
	# 28 pairs, 8 VMs, 2 hosts, each with 95 %. VMs and hosts have no exact figure among the estimated ones.
	jq -e --slurpfile t "$dir/true_share" '
		def off(a; b): a - b | if . < 0 then -. else . end;
		. as $e | $t[0] as $t |
		[range(8) as $i | range($i) as $j |
			[off($e.identities[0].inter[$i][$j]; $t.identities[0].inter[$i][$j]),
			 $e.identities[0].inter_error[$i][$j]]] +
		[range(8) as $i | [off($e.identities[0].vms[$i].inter; $t.identities[0].vms[$i].inter),
			$e.identities[0].vms[$i].inter_error]] +
		[range(2) as $h | [off($e.hosts[$h].inter_saving_pages; $t.hosts[$h].inter_saving_pages),
			$e.hosts[$h].error_pages]] |
		length == 38 and (map(select(.[0] > .[1])) | length) <= 3 and any(.[]; .[0] > 0) and
		all(.[]; .[1] > 0 and .[1] < 8000)' "$dir/share" >/dev/null || fail "estimates: $(jq -c . "$dir/share")"
	# Exact is exact; and then it is known, until something changes.
	get 'plan?planner=best&exact=1' plan
	same plan true_plan
	get 'share?exact=1' share
	same share true_share
	get 'whatif?together=v0%20v1' whatif
	same whatif true_whatif
	budget_is_kept || fail "exact questions cost more than the budget"
}

rm "$dir/db"*
server --fleet "$dir/fleet.json" --sharing-interval 0 --memory-budget 1
feed
check
stop_server

# Read from the database, it is no more than the budget either.
server --fleet "$dir/fleet.json" --sharing-interval 0 --memory-budget 1
export MBCTL_SERVER=$http
"$mbctl" share >"$dir/out"
grep -q '^Estimated from one digest in 16, since . VMs are paged out' "$dir/out" || fail "share: $(cat "$dir/out")"
grep -qE '^v0 .* [0-9.]+ \+-[0-9.]+ ' "$dir/out" || fail "share: $(cat "$dir/out")"
"$mbctl" plan >"$dir/out"
grep -qE '^memory used: [0-9]+ \+-[0-9]+ MB -> ' "$dir/out" || fail "plan: $(cat "$dir/out")"
"$mbctl" plan explain >"$dir/out"
grep -q '^Estimated from' "$dir/out" || fail "explain: $(cat "$dir/out")"
grep -qE "^   It .*[0-9.]+ \+-[0-9.]+ MB" "$dir/out" || fail "explain: $(cat "$dir/out")"
"$mbctl" place v0 >"$dir/out"
grep -q '+-' "$dir/out" || fail "place: $(cat "$dir/out")"
"$mbctl" whatif v0=h1 >"$dir/out"
grep -q '+-' "$dir/out" || fail "whatif: $(cat "$dir/out")"
"$mbctl" status >"$dir/out"
grep -qE '^memory for fingerprints: [0-9.]+ MB of 1 MB, [0-9] VMs paged out' "$dir/out" || fail "status: $(cat "$dir/out")"
"$mbctl" plan --json | jq -e '.saving.gain_error_pages >= 0 and .hosts[0].after_error_mb >= 0 and
	all(.moves[]; has("gain_error_pages") and has("there_error_pages"))' >/dev/null || fail "errors of a plan"
get 'share?exact=1' share
same share true_share
budget_is_kept || fail "an exact question costs more than the budget"
"$mbctl" share --exact >"$dir/out"
grep -q '+-' "$dir/out" && fail "exact, but: $(cat "$dir/out")"
stop_server
