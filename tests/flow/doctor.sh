#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Both doctors on the real programs: a fleet with every fault that can be had cheaply, and this machine's own
# KSM, off and on. KSM's settings are put back at the end.
set -eu -o pipefail
. tests/flow/lib.sh
ksm=/sys/kernel/mm/ksm

# shellcheck disable=SC2317 # called at the end
at_end() {
	[ ! -f "$dir/ksm" ] || {
		echo 0 >$ksm/run
		while read -r file value; do
			echo "$value" >"$ksm/$file"
		done <"$dir/ksm"
	}
}

# doctor_says CODE 'JQ' COMMAND...: the exit code, and what must hold of the findings in JSON.
doctor_says() {
	local code=$1 filter=$2 got=0
	shift 2
	"$@" --json >"$dir/out.json" 2>"$dir/out" || got=$?
	[ $got = "$code" ] || fail "exit code $got, not $code: $*: $(cat "$dir/out" "$dir/out.json")"
	jq -e "[.findings[]] | $filter" "$dir/out.json" >/dev/null || fail "not $filter: $(cat "$dir/out.json")"
}

# --- the fleet ---------------------------------------------------------------------------------

seq 1000 1300 >"$dir/t"
printf '%032x' 1 >"$dir/key1"
printf '%032x' 2 >"$dir/key2"
echo '{ "hosts": [ { "name": "h1", "memory_mb": 64 } ], "vms": [ { "name": "later", "memory_mb": 8 } ] }' >"$dir/fleet.json"
agent() {
	"$mbagent" run --source "trace:$dir/t" --server "unix:$dir/sock" --interval 0 --retry 20ms "$@" 2>"$dir/agent.log"
}
server --fleet "$dir/fleet.json"
export MBCTL_SERVER=$http
for vm in web1 web2; do
	agent --vm $vm --host h1 --key "$dir/key1" || fail "$(cat "$dir/agent.log")"
done
doctor_says 0 'any(.id == "agents-fresh") and any(.id == "store" and .severity == "ok") and
	any(.id == "vm-unseen" and .severity == "note")' "$mbctl" doctor

# Another key, a host that nobody knows, a VM alone in its domain, one that has gone silent.
agent --vm wrong --key "$dir/key2" --epochs 1 && fail "another key was taken"
agent --vm far --host nowhere --key "$dir/key1" || fail "$(cat "$dir/agent.log")"
agent --vm alone --host h1 --domain other --key "$dir/key2" || fail "$(cat "$dir/agent.log")"
sleep 1.1
doctor_says 1 'any(.id == "agent-stale" and .of == "web1" and (.fix | test("mbagent@web1 on h1"))) and
	any(.id == "agent-refused" and .of == "wrong" and (.seen | any(.value | test("another key")))
		and (.fix | test("mbctl key id"))) and
	any(.id == "host-unknown" and .of == "nowhere" and (.seen | any(.value == "far"))) and
	any(.id == "alone-in-domain" and (.seen | any(.value == "alone")))' "$mbctl" doctor --stale 1s
code=0
"$mbctl" doctor --stale 1s >"$dir/out" || code=$?
is "$code" 1 "exit code, as text"
grep -qE '^[0-9]+ problems, [0-9]+ notes, [0-9]+ checks are well$' "$dir/out" || fail "no count: $(cat "$dir/out")"
grep -q '^  fix  *mbctl key id' "$dir/out" || fail "no fix in the text: $(cat "$dir/out")"
doctor_says 1 'all(.of == "wrong")' "$mbctl" doctor wrong
doctor_says 0 'all(.severity != "problem") and all(.id != "host-unknown")' "$mbctl" doctor web1
doctor_says 1 'any(.id == "host-unknown")' "$mbctl" doctor nowhere
code=0
"$mbctl" doctor nobody >"$dir/out" 2>&1 || code=$?
is "$code" 2 "exit code for a VM that is not there"
grep -q 'no VM and no host "nobody"' "$dir/out" || fail "$(cat "$dir/out")"

# Two agents for one VM.
agent --vm web1 --host h1 --key "$dir/key1" --interval 1h &
pids+=($!)
web1_is_online() { curl -sf "$http/v1/status" | jq -e '.vms[] | select(.name == "web1") | .online'; }
wait_for 10 web1_is_online
timeout 1 "$mbagent" run --source "trace:$dir/t" --server "unix:$dir/sock" --vm web1 --key "$dir/key1" \
	2>/dev/null && fail "two agents for one VM"
doctor_says 1 'any(.id == "agent-duplicate" and .of == "web1" and .severity == "problem")' "$mbctl" doctor web1

# A fleet file that is broken is a finding, not the end.
echo '{' >"$dir/fleet.json"
doctor_says 1 'any(.id == "fleet-file" and .severity == "problem")' "$mbctl" doctor
echo '{ "hosts": [ { "name": "h1", "memory_mb": 64 }, { "name": "nowhere", "memory_mb": 64 } ], "vms": [] }' >"$dir/fleet.json"

# What the server predicts of a host against a host where KSM is off, and one where it has done its work.
saving=$(curl -sf "$http/v1/share" | jq '.hosts[] | select(.name == "h1") | .saving_pages')
[ "$saving" -gt 256 ] || fail "h1 could save $saving pages only"
host_says() {
	jq -n --argjson sharing "$1" --argjson run "$2" '{ doctor: "mbagent", at_unix_ms: (now * 1000 | floor),
		ksm: { run: $run, pages_sharing: $sharing }, predicted: null,
		findings: (if $run == 1 then [] else [ { id: "ksm-off", severity: "problem", of: "", text: "KSM is off",
			seen: [], lost_pages: 300, at_most: false, fix: "echo 1 > /sys/kernel/mm/ksm/run" } ] end) }'
}
host_says 0 0 >"$dir/off.json"
host_says "$saving" 1 >"$dir/on.json"
doctor_says 1 "any(.id == \"ksm-gap\" and .of == \"h1\" and .severity == \"problem\" and .lost_pages == $saving) and
	any(.id == \"ksm-off\" and .of == \"h1\")" "$mbctl" doctor h1 --ksm "h1=$dir/off.json"
doctor_says 1 'any(.id == "ksm-gap" and .severity == "ok" and .lost_pages == 0)' "$mbctl" doctor --ksm "h1=$dir/on.json"
for bad in "h1=$dir/t" "h9=$dir/on.json" "h1" "h1=$dir/none"; do
	code=0
	"$mbctl" doctor --ksm "$bad" >/dev/null 2>&1 || code=$?
	is "$code" 2 "exit code of --ksm $bad"
done
stop_server

# --- this machine ------------------------------------------------------------------------------

code=0
"$mbagent" doctor --source process:999999999 2>"$dir/out" || code=$?
is "$code" 2 "exit code for a process that is not there"
if ! { [ -w $ksm/run ] && [ -r /proc/kpageflags ]; }; then
	echo "all but KSM, which cannot be switched here"
	exit 77
fi
for file in pages_to_scan sleep_millisecs run; do
	echo "$file $(cat $ksm/$file)"
done >"$dir/ksm"
"$BUILD/tests/tool_mergeable" 2048 100 >"$dir/ready" &
pid=$!
pids+=("$pid")
wait_for 10 grep -q ready "$dir/ready"

# 2048 pages of 100 contents, each page marked; then KSM is switched on, and has merged them.
echo 0 >$ksm/run
lost='.lost_pages == 1948'
doctor_says 1 "any(.id == \"ksm-off\" and $lost and (.fix | test(\"echo 1 >\")))" "$mbagent" doctor --source "process:$pid"
jq -e '.predicted | .pages == 2048 and .distinct == 100 and .saving_pages == 1948 and .by_ksm_pages == 0 and
	.lost.waiting == 1948 and .frames_known' "$dir/out.json" >/dev/null || fail "$(cat "$dir/out.json")"
echo 20000 >$ksm/pages_to_scan
echo 10 >$ksm/sleep_millisecs
echo 1 >$ksm/run
merged() {
	"$mbagent" doctor --source "process:$pid" --json >"$dir/out.json"
	jq -e '.predicted.by_ksm_pages == 1948' "$dir/out.json"
}
wait_for 6 merged
doctor_says 0 'all(.severity != "problem") and any(.id == "ksm-on") and
	any(.id == "predicted" and (.text | test("KSM saves 1948 of them")))' "$mbagent" doctor --source "process:$pid"

# To be read, by the agent too, takes nothing apart of what is merged: with KSM off it would stay so.
echo 0 >$ksm/run
"$mbagent" scan --source "process:$pid,all" >/dev/null
"$mbagent" scan --source "process:$pid" >/dev/null
merged || fail "reading takes merged pages apart: $(jq -c .predicted "$dir/out.json")"
