#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mbagent churn: a workload of known churn, its reports, exit codes as env(1) has them; traces; and what mbctl
# tells of the same from a server's history and between two epochs.
set -eu
. tests/flow/lib.sh
dirty=$BUILD/tests/tool_dirty

# exits CODE 'PATTERN' COMMAND...: what it says matches, on either output.
exits() {
	local want=$1 pattern=$2 code=0
	shift 2
	"$@" >"$dir/out" 2>&1 || code=$?
	[ $code = "$want" ] || fail "exit code $code, not $want: $* ($(cat "$dir/out"))"
	grep -qE -- "$pattern" "$dir/out" || fail "does not say \"$pattern\": $* ($(cat "$dir/out"))"
}

# has FILE FILTER: jq finds it true.
has() {
	jq -e "$2" "$1" >/dev/null || fail "$1 is not as: $2 ($(jq -c '.runs[0].epochs[:3]' "$1" 2>/dev/null))"
}

# 600 pages, the first 300 alike in pairs; 50 are rewritten a step: 25 pairs are torn in the first one. The
# program's own pages, a few of which may change, too, are of class file or are the stack.
exits 0 'epoch 5: .*dirtied' "$mbagent" churn --asks --epochs 6 --windows 1ms,1h --json-file "$dir/a.json" \
	--csv "$dir/a.csv" --html "$dir/a.html" --junit "$dir/a.xml" -- "$dirty" 600 50 5
has "$dir/a.json" '.runs[0].epochs | length == 6'
has "$dir/a.json" '[.runs[0].epochs[1:][].classes.anon.changed] | all(. >= 50 and . <= 53)'
has "$dir/a.json" '.runs[0].epochs[0].self.pages - .runs[0].epochs[1].self.pages == 25'
has "$dir/a.json" '.runs[0].epochs | .[5].self.survivors <= .[0].self.survivors - 25'
has "$dir/a.json" '.runs[0].summary.self.durable | (.[0].pages > 100) and (.[1].pages == null)'
has "$dir/a.json" '.runs[0].exit_code == 0 and .by == "frame" and .command[1] == "600"'
is "$(wc -l <"$dir/a.csv")" 7 'lines of CSV'
[ "$(grep -c '<svg ' "$dir/a.html")" -ge 4 ] || fail "hardly any plot"
grep -q 'testcase classname="tool_dirty" name="dirtied"' "$dir/a.xml" || fail "$(cat "$dir/a.xml")"

# One that does not ask, at an interval, until it ends, and with its own exit code.
exits 7 'Churn of tool_dirty' "$mbagent" churn --interval 50ms --json-file "$dir/b.json" -- "$dirty" 600 50 8 60 7
has "$dir/b.json" '.runs[0].summary.epochs >= 1 and .runs[0].exit_code == 7'
# Told to end, which is no failure; twice.
exits 0 'Run 2 of 2' "$mbagent" churn --interval 50ms --for 200ms --repeat 2 -- "$dirty" 600 50 100000 60
# Another process than the command: that is read after the command has ended, too.
sleep 1000 &
pids+=($!)
exits 3 'exit code 3' "$mbagent" churn --interval 30s --source "process:$!,all" -- sh -c 'exit 3'
# JSON on standard output, and nothing else there.
"$mbagent" churn --asks --json -- "$dirty" 100 10 2 | jq -e '.runs[0].summary.epochs == 2' >/dev/null ||
	fail "--json prints no JSON"

# What goes wrong.
exits 127 'nothing-there' "$mbagent" churn -- nothing-there
exits 126 'Permission denied' "$mbagent" churn -- /etc/passwd
exits 125 'source is missing' "$mbagent" churn
exits 125 'a change takes 2' "$mbagent" churn --epochs 1 -- true
exits 125 'ended too soon' "$mbagent" churn --interval 30s -- true
exits 125 'process:1048576999|PID' "$mbagent" churn --source process:1048576999 -- true
exits 125 'go together' "$mbagent" churn --fail-above 5% -- true
exits 125 'No such file' "$mbagent" churn --baseline "$dir/none" --fail-above 5% -- "$dirty" 100 10 2
exits 125 'no "metrics"' "$mbagent" churn --baseline <(echo '{}') --fail-above 5% -- "$dirty" 100 10 2
exits 125 'less than 2' "$mbagent" churn --asks --baseline "$dir/a.json" --fail-above 5% -- "$dirty" 100 10 2
exits 125 'full|No space' "$mbagent" churn --asks --html /dev/full -- "$dirty" 100 10 2

# A terminal has one block that is drawn over.
if command -v script >/dev/null; then
	script -qec "$mbagent churn --asks -- $dirty 100 10 3" /dev/null >"$dir/out" </dev/null
	grep -q $'\033\\[[0-9]*A' "$dir/out" || fail "the block is not drawn over"
	grep -q 'Churn of tool_dirty' "$dir/out" || fail "no summary on a terminal"
fi

# Traces have times of their own, a minute apart; the same epochs by frame and, from a server, by content.
"$BUILD/tests/tool_trace" "$dir/t.mbt" 8 1000 60 1 >/dev/null
"$BUILD/tests/tool_trace" "$dir/r.mbt" 1 1000 0 2 >/dev/null
"$mbagent" churn --source "trace:$dir/t.mbt" --reference "$dir/r.mbt" --json >"$dir/t.json"
has "$dir/t.json" '.runs[0].summary | .epochs == 7 and .duration_s == 420 and .reference.pages > 50'
has "$dir/t.json" '.runs[0].summary.self.durable | .[0].pages > .[1].pages and .[2].pages == null'
exits 1 'superfasthash32 there' "$mbctl" diff "$dir/t.mbt" <(echo 17)
"$mbctl" diff "$dir/t.mbt#1" "$dir/t.mbt#2" --json --ranges 5 >"$dir/d.json"
is "$(jq .frames.changed "$dir/d.json")" "$(jq '.runs[0].epochs[1].changed' "$dir/t.json")" 'changed frames'
is "$(jq .gained_digests "$dir/d.json")" "$(jq '.runs[0].epochs[1].gained_digests' "$dir/t.json")" 'digests gained'
has "$dir/d.json" '.frames | .same + .changed == 1000 and (.ranges | length) == 5 and .n_ranges > 5'
"$mbctl" diff "$dir/t.mbt" | grep -q 'Ranges of frames, the longest 20' || fail "mbctl diff"
exits 1 'no epoch 99' "$mbctl" diff "$dir/t.mbt#99" "$dir/t.mbt"

server --sharing-interval 1h
"$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" --vm web1 --host h1 --interval 0 2>/dev/null
"$mbctl" churn web1 --server "$http" --json --html "$dir/s.html" >"$dir/s.json"
for key in gained_digests lost_digests; do
	is "$(jq -c "[.runs[0].epochs[].$key]" "$dir/s.json")" "$(jq -c "[.runs[0].epochs[].$key]" "$dir/t.json")" \
		"$key of the server and of the agent"
done
is "$(jq -c '[.runs[0].epochs[].self | .pages, .kept, .survivors]' "$dir/s.json")" \
	"$(jq -c '[.runs[0].epochs[].self | .pages, .kept, .survivors]' "$dir/t.json")" 'sharing of server and agent'
is "$(jq '.history[0].changed * 7 | round' "$dir/s.json")" "$(jq '[.runs[0].epochs[].dirtied] | add' "$dir/t.json")" \
	'changed pages of the history'
exits 0 'web1' "$mbctl" churn h1 --server "$http"
# A host of one VM: what lasts of all together is what lasts of it. It shares with nobody.
"$mbctl" churn h1 --server "$http" --json >"$dir/h.json"
is "$(jq -c '.contents.self | .kept, .pages, .digests, .durable' "$dir/h.json")" \
	"$(jq -c '.runs[0].summary.self | .kept, .pages, .digests, .durable' "$dir/s.json")" 'contents of a host'
has "$dir/h.json" '.contents | .vms == 1 and .of_vms == 1 and .reference == null and .self.half_life.how == "fitted"'
exits 0 'Contents of 1 of 1 VMs' "$mbctl" churn h1 --server "$http"
exits 0 'Churn of fleet' "$mbctl" churn --server "$http"
exits 1 'no VM and no host "x"' "$mbctl" churn x --server "$http"
# A long answer is gzipped for who takes that, and the same.
curl -s -D "$dir/headers" --compressed "$http/v1/history?vm=web1" >"$dir/zipped.json"
grep -qi '^content-encoding: gzip' "$dir/headers" || fail "not gzipped: $(cat "$dir/headers")"
curl -s -D "$dir/headers" "$http/v1/history?vm=web1" >"$dir/plain.json"
! grep -qi '^content-encoding' "$dir/headers" || fail "gzipped for who has not asked"
cmp "$dir/zipped.json" "$dir/plain.json" || fail "another answer when gzipped"
# The fleet as a reference: all of the VM is in it, and all of it stays so.
"$mbctl" reference --db "$dir/db" --output "$dir/fleet.mbt" >/dev/null
"$mbagent" churn --source "trace:$dir/t.mbt" --domain default --reference "$dir/fleet.mbt" --json >"$dir/f.json"
has "$dir/f.json" '.runs[0].epochs[7] | .reference.digests == .distinct'
exits 1 'no such VM' "$mbctl" reference --db "$dir/db" --output "$dir/none.mbt" --except web1
stop_server
