#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mbctl plan --fleet on the seed project's real traces: the planning case of its report, without the
# VM whose trace is lost.
# usage: BUILD=DIR tests/flow/plan.sh      MB_TRACES: the folder of the traces
set -eu -o pipefail

cd "$(dirname "$0")/../.."
mbctl=${BUILD:-build/release}/mbctl
traces=${MB_TRACES:-../shared/traces}
if [ ! -d "$traces" ]; then
	echo "skipped: no real traces at $traces (set MB_TRACES)"
	exit 77
fi
for file in Trace3/VM1.txt0 kernelBuild/VM1.txt1 Trace3/VM1.txt2 Trace4/VM1.txt0; do
	if [ ! -e "$traces/$file.zst" ]; then
		echo "skipped: no $file.zst in $traces"
		exit 77
	fi
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

die()
{
	echo "plan.sh: $*" >&2
	exit 1
}

is()
{
	[ "$1" = "$2" ] || die "$3: \"$1\", expected \"$2\""
}

# Traces are named from the fleet file's folder, wherever mbctl runs.
ln -s "$(cd "$traces" && pwd)" "$tmp/traces"
cat >"$tmp/fleet.json" <<-END
	{ "hosts": [ { "name": "H0", "memory_mb": 3072 }, { "name": "H1", "memory_mb": 3072 },
	             { "name": "H2", "memory_mb": 3072 } ],
	  "vms": [
	    { "name": "VM0", "memory_mb": 1024, "trace": "traces/Trace3/VM1.txt0.zst", "host": "H0" },
	    { "name": "VM1", "memory_mb": 2048, "trace": "traces/kernelBuild/VM1.txt1.zst", "host": "H0" },
	    { "name": "VM2", "memory_mb": 1024, "trace": "traces/Trace3/VM1.txt2.zst", "host": "H1" },
	    { "name": "VM4", "memory_mb": 1024, "trace": "traces/Trace4/VM1.txt0.zst", "host": "H2" } ] }
END

"$mbctl" plan --fleet "$tmp/fleet.json" --planner seed --json >"$tmp/seed"
is "$(jq -c .placement "$tmp/seed")" '{"VM0":"H1","VM1":"H1","VM2":"H0","VM4":"H0"}' placement
is "$(jq -c '[.before_mb, .after_mb, .saved_mb]' "$tmp/seed")" "[3206,2867,339]" "MB of all hosts"
is "$(jq -c '[.hosts[].before_mb]' "$tmp/seed")" "[1536,813,857]" "MB before"
is "$(jq -c '[.hosts[].after_mb]' "$tmp/seed")" "[1331,1536,0]" "MB after"
is "$(jq -c '.saving | .gain_pages == .after_pages - .before_pages' "$tmp/seed")" true gain
is "$(jq -c '[.hosts[].full_before_mb]' "$tmp/seed")" "[3072,1024,1024]" "full MB before"
is "$(jq -c '[.hosts[].full_after_mb]' "$tmp/seed")" "[2048,3072,0]" "full MB after"
# All VMs run before and after: self-sharing is the same, so inter-VM sharing is all that changes.
is "$(jq '.saving | .inter_after_pages - .inter_before_pages == .gain_pages' "$tmp/seed")" true \
	"gain in inter-VM sharing"

"$mbctl" plan --fleet "$tmp/fleet.json" --planner best --json >"$tmp/best"
is "$(jq -n --slurpfile s "$tmp/seed" --slurpfile b "$tmp/best" '
	$b[0].after_mb <= $s[0].after_mb and
	$b[0].saving.after_pages >= $s[0].saving.after_pages')" true "best is no worse than seed"
is "$(jq 'all(.moves[]; .feasible)' "$tmp/best")" true "moves of best are feasible"
"$mbctl" plan --fleet "$tmp/fleet.json" --planner paper --json >"$tmp/paper"
for planner in seed paper best; do
	# Whoever follows the moves gets the placement.
	is "$(jq '(reduce .hosts[] as $h ({}; . + ([$h.vms_before[] | {(.): $h.name}] | add // {}))) as $at |
		reduce .moves[] as $m ($at; .[$m.vm] = $m.to) == .placement' "$tmp/$planner")" true \
		"moves of $planner"
	"$mbctl" plan --fleet "$tmp/fleet.json" --planner $planner --json | cmp -s - "$tmp/$planner" ||
		die "$planner: another plan the second time"
done
"$mbctl" plan --fleet "$tmp/fleet.json" --planner seed --strict --json |
	jq -e '.strict and .planner == "seed"' >"$tmp/strict"
"$mbctl" plan --fleet "$tmp/fleet.json" --planner seed >"$tmp/text"
grep -q '^memory used: 3206 MB -> 2867 MB, 339 MB saved$' "$tmp/text" || die "text: $(cat "$tmp/text")"
inter=$(jq -r '.saving | .inter_before_pages, .inter_after_pages' "$tmp/seed" | awk '
	{ mb[NR] = sprintf("%.1f MB", $1 / 256) } END { print mb[1] " -> " mb[2] }')
grep -qFx "inter-VM sharing: $inter" "$tmp/text" || die "text, not $inter: $(cat "$tmp/text")"

# The other questions, on the same memory: VM2 goes to VM4 (facts of the report's table: 339 MB in common).
"$mbctl" place VM2 --fleet "$tmp/fleet.json" --json >"$tmp/place"
is "$(jq -c '.hosts[0] | [.name, (.gain_pages / 256 | floor)]' "$tmp/place")" '["H2",339]' "best host for VM2"
"$mbctl" drain H1 --fleet "$tmp/fleet.json" --json >"$tmp/drain"
is "$(jq -c '[.placement.VM2, .saved_mb]' "$tmp/drain")" '["H2",339]' "drained"
is "$("$mbctl" consolidate --low-percent 40 --fleet "$tmp/fleet.json" --json | jq -c .emptied)" '["H1"]' emptied
"$mbctl" whatif VM2=H2 --fleet "$tmp/fleet.json" --json >"$tmp/whatif"
is "$(jq -c '[.hosts[].after.distinct_pages / 256 | floor] | add' "$tmp/whatif")" \
	"$(jq .after_mb "$tmp/drain")" "what if is what drain does"
is "$("$mbctl" whatif --vms VM0,VM1 --fleet "$tmp/fleet.json" --json |
	jq '[.hosts[].after.inter_pages] | add / 256 | floor')" 254 "VM0 and VM1 together"
"$mbctl" plan explain --fleet "$tmp/fleet.json" | grep -q 'most of them in "VM4"' || die "explain"
