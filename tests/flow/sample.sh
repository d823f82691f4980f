#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# VMs that send a sample, or a Bloom filter: less on the wire, estimates that are right within the
# error that they say, over a kill -9 of the server, beside a VM that sends all; and a server that
# takes neither.
set -eu
. tests/flow/lib.sh

for i in 1 2 3 4; do
	"$BUILD/tests/tool_trace" "$dir/$i.mbt" 3 60000 2000 "$i" >/dev/null
done
run() {
	"$mbagent" run --source "trace:$dir/$1.mbt" --vm "web$1" --host "h$1" --server "unix:$dir/sock" \
		--interval 0 "${@:2}" 2>>"$dir/agent.log"
}

cat >"$dir/fleet.json" <<'END'
{ "hosts": [ { "name": "h1", "memory_mb": 2048 }, { "name": "h2", "memory_mb": 2048 },
             { "name": "h3", "memory_mb": 2048 }, { "name": "h4", "memory_mb": 2048 } ],
  "vms": [ { "name": "web1", "memory_mb": 256 }, { "name": "web2", "memory_mb": 256 },
           { "name": "web3", "memory_mb": 256 }, { "name": "web4", "memory_mb": 256 } ] }
END
server --fleet "$dir/fleet.json"
run 3
all=$(query 'SELECT max(wire_bytes) FROM history')
run 1 --sample 16
run 2 --sample 4 --epochs 2
run 4 --bloom 18
[ "$(query "SELECT max(wire_bytes) * 10 < $all FROM history h JOIN vm ON vm.id = h.vm WHERE name = 'web1'")" = 1 ] ||
	fail "1 in 16 takes $(query 'SELECT wire_bytes FROM history'), all $all"
is "$(query 'SELECT group_concat(sample) || " " || max(cut_bits) FROM (SELECT * FROM vm ORDER BY name)')" '16,4,1,1 18' "rates"
[ "$(query "SELECT max(wire_bytes) * 5 < $all FROM history h JOIN vm ON vm.id = h.vm WHERE name = 'web4'")" = 1 ] ||
	fail "a filter of 32 KiB takes $(query 'SELECT wire_bytes FROM history'), all $all"
# What is known of the whole is known exactly.
is "$(query 'SELECT count(DISTINCT pages) || "," || max(pages) FROM history')" 1,60000 "pages"
kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null || true
server --fleet "$dir/fleet.json"
run 2 --sample 4

"$mbctl" analyze --json "$dir"/[1234].mbt >"$dir/truth.json" 2>/dev/null
# All pairs, and no error above this: pairs_are_right PAGES
pairs_are_right() {
	"$mbctl" share --server "$http" --json >"$dir/share.json"
	jq -e -n --slurpfile t "$dir/truth.json" --slurpfile s "$dir/share.json" --argjson most "$1" '
		def truth(a; b): $t[0].pairs[] | select((.a | test("/\(a)\\.mbt#3$")) and (.b | test("/\(b)\\.mbt#3$"))) | .inter;
		$s[0].identities[0] as $i | [[1, 2], [1, 3], [2, 3], [1, 4], [2, 4], [3, 4]] |
		all(.[]; . as [$a, $b] | ($i.inter[$a - 1][$b - 1] - truth($a; $b) | fabs) as $off |
			$i.inter_error[$a - 1][$b - 1] as $error | $off <= $error and $error > 20 and $error < $most)' >/dev/null ||
		fail "not within the error: $(jq -c '.identities[0] | [.inter, .inter_error]' "$dir/share.json") $(jq -c '[.pairs[] | [.a, .b, .inter]]' "$dir/truth.json")"
}
pairs_are_right 3000
jq -e '.identities[0] | .sample == 16 and ([.vms[].sample] == [16, 4, 1, 1]) and all(.vms[]; .inter_error > 0)' \
	"$dir/share.json" >/dev/null || fail "$(jq -c '.identities[0].vms' "$dir/share.json")"
"$mbctl" share --server "$http" | grep -q '^Estimated from one digest in 16, since agents send samples' || fail "mbctl share"
"$mbctl" share --server "$http" | grep -q '1 VM is sent as Bloom filters' || fail "mbctl share, filters"
"$mbctl" status --server "$http" --json | jq -e '[.vms[].sample] == [16, 4, 1, 1] and .vms[3].cut_bits == 18' >/dev/null || fail "status"
# Who sends digests is brought together, with the error of what that saves; of the filter nothing is known.
"$mbctl" plan --server "$http" --json >"$dir/plan.json"
jq -e '.placement as $p | $p.web1 == $p.web2 and $p.web2 == $p.web3 and $p.web4 != $p.web1 and
	.vms_of_unknown_sharing == 1 and .saving.gain_error_pages > 100 and
	.saving.gain_error_pages < .saving.gain_pages' "$dir/plan.json" >/dev/null || fail "$(jq -c . "$dir/plan.json")"
"$mbctl" plan --server "$http" | grep -q '1 VM is sent as Bloom filters' || fail "mbctl plan, filters"
stop_server

# Beside a memory budget: what is paged out, filters too, counts as a sample of what was sent.
server --memory-budget 1
run 2
run 4 --bloom 18
run 1 --sample 16
curl -sSf "$http/v1/status" | jq -e '[.vms[].sample] == [16, 1, 1, 1] and .vms[3].cut_bits == 18 and
	.server.memory.paged_out > 0' >/dev/null || fail "budget: $(curl -sS "$http/v1/status" | jq -c '[.server.memory, .vms]')"
pairs_are_right 12000
stop_server
! grep -q 'does not take' "$dir/agent.log" || fail "$(cat "$dir/agent.log")"

# The operator wants all: the agent says so, and sends all. What was held as a sample is of no use.
server --no-samples
run 1 --sample 16
grep -q 'server does not take a sample of 1 in 16: it gets all' "$dir/agent.log" || fail "$(tail -n 3 "$dir/agent.log")"
is "$(query "SELECT sample FROM vm WHERE name = 'web1'")" 1 "rate of a VM that sent all"
[ "$(query 'SELECT wire_bytes FROM history ORDER BY rowid DESC LIMIT 1')" -gt 0 ] || fail "no history"
stop_server
code=0
run 1 --sample 12 || code=$?
is "$code" 2 "exit code for --sample 12"
grep -q '"12" is no power of two' "$dir/agent.log" || fail "$(tail -n 3 "$dir/agent.log")"
code=0
run 1 --sample 4 --bloom 18 || code=$?
is "$code" 2 "exit code for --sample with --bloom"
code=0
run 1 --bloom 15 || code=$?
is "$code" 2 "exit code for --bloom 15"

# Sharing that was lost, told by samples: no further off than they say.
rm "$dir/db"*
cat >"$dir/fleet.json" <<'END'
{ "hosts": [ { "name": "h1", "memory_mb": 2048 }, { "name": "h2", "memory_mb": 2048 } ], "vms": [] }
END
server --fleet "$dir/fleet.json" --sharing-interval 50ms
# The same contents twice, on one host; then one of them gets others.
run 1 --sample 16
run 1 --vm web2 --sample 16
both_share() {
	[ "$(query 'SELECT min(most) > 10000 FROM (SELECT max(here) AS most FROM sharing GROUP BY vm)')" = 1 ]
}
wait_for 10 both_share
run 2 --host h1 --sample 16
"$mbctl" hotspot --server "$http" --lost-pages 2000 --json >"$dir/hot.json"
jq -e -n --slurpfile t "$dir/truth.json" --slurpfile h "$dir/hot.json" '
	def is(n): test("/\(n)\\.mbt#3$");
	($t[0].pairs[] | select((.a | is(1)) and (.b | is(2))) | .inter) as $now |
	($t[0].files[] | select(.file | is(1)) | .distinct) as $before | (2 * ($before - $now)) as $lost |
	$h[0].hotspots[0] |
	.host == "h1" and .lost_error_pages > 2800 and .lost_error_pages < $lost and
	(.lost_pages - $lost | fabs) <= .lost_error_pages' >/dev/null || fail "lost: $(jq -c .hotspots "$dir/hot.json")"
"$mbctl" hotspot --server "$http" --lost-pages 2000 | grep -qE '^Hotspot h1: its guests lost [0-9]+ \+-[0-9]+ shared pages' ||
	fail "hotspot: $("$mbctl" hotspot --server "$http" --lost-pages 2000)"
# Less than it may be off above the limit is nothing.
most=$(jq '.hotspots[0] | .lost_pages - .lost_error_pages' "$dir/hot.json")
for limit in "$((most - 1)) 1" "$most 0"; do
	is "$("$mbctl" hotspot --server "$http" --lost-pages "${limit% *}" --json | jq '.hotspots | length')" "${limit#* }" "lost, ${limit% *}"
done
stop_server
