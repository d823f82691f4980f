#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a broken or hostile peer sends: refused with the reason, and the server goes on.
set -eu
. tests/flow/lib.sh
peer=$BUILD/tests/tool_peer
"$BUILD/tests/tool_trace" "$dir/t.mbt" 2 1000 100 1 >/dev/null
printf '%032x' 1 >"$dir/key1"
printf '%032x' 2 >"$dir/key2"
server --verbose

run_agent() {
	"$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" --interval 0 "$@"
}

answer() {
	timeout 20 "$peer" "unix:$dir/sock" "$@" || fail "the server did not answer $*"
}

expect() {
	local pattern=$1 got
	shift
	got=$(answer "$@")
	[[ $got =~ $pattern ]] || fail "sent $*, expected \"$pattern\", got \"$got\""
}

run_agent --vm good --key "$dir/key1" 2>/dev/null

expect 'Refusal 4 not a Memory Buddies frame' Makefile
expect 'Refusal 4 .*version' tests/golden/bad-frame-version.bin
expect 'Refusal 4 .*must-understand' tests/golden/bad-frame-must-understand.bin
expect 'Refusal 4 .*frame of .* bytes; at most' tests/golden/bad-frame-above-cap.bin
expect 'Refusal 4 .*where a Hello belongs' tests/golden/delta.bin
for bad in tests/golden/bad-zstd-*.bin tests/golden/bad-message-*.bin tests/golden/bad-hello-*.bin; do
	expect 'Refusal 4' "$bad"
done
for bad in tests/golden/bad-zstd-*.bin tests/golden/bad-delta-*.bin tests/golden/hello.bin; do
	expect $'Welcome epoch 0\n(Refusal 4|Resync)' --hello "$bad"
done
# Cut short: nothing to answer, nothing to wait for.
head -c 20 tests/golden/hello.bin >"$dir/cut"
[ -z "$(answer "$dir/cut")" ] || fail "an answer to half a frame"
# One who announces a large frame and sends none holds up nobody.
timeout 20 "$peer" "unix:$dir/sock" --hang "$dir/cut" >/dev/null &
pids+=($!)

# A snapshot is asked for when the base is not what is held.
expect $'Welcome epoch 0\nResync' --hello tests/golden/delta.bin
# Bytes of no format at all, from a fixed seed.
for i in 1 2 3 4 5 6 7 8; do
	awk -v s="$i" 'BEGIN {srand(s); for (i = 0; i < 3000; i++) printf "%c", int(rand() * 256)}' \
		>"$dir/noise"
	{ head -c 8 tests/golden/hello.bin; cat "$dir/noise"; } >"$dir/noise.frame"
	answer "$dir/noise" >/dev/null
	answer --hello "$dir/noise.frame" >/dev/null
done

# One key per trust domain, one agent per VM.
refuses 'server refused this agent: .*another key' run_agent --vm other --key "$dir/key2"
refuses 'server refused this agent: .*another key' run_agent --vm other
run_agent --vm other --key "$dir/key2" --domain elsewhere 2>/dev/null
"$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" --interval 1h --vm busy \
	--key "$dir/key1" 2>/dev/null &
pids+=($!)
busy=$!
wait_for 10 grep -q 'VM busy: connected' "$dir/server.log"
timeout 2 "$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" --vm busy \
	--key "$dir/key1" >"$dir/out" 2>&1 && fail "a second agent for one VM"
grep -q 'has a connected agent' "$dir/out" || fail "$(cat "$dir/out")"
kill "$busy"

# Unharmed: the same process still serves, and every refusal is in the log.
run_agent --vm good --key "$dir/key1" 2>/dev/null
curl -sf "$http/v1/status" | jq -e '[.vms[].name] == ["busy", "good", "other", "rude"]' >/dev/null ||
	fail "status: $(curl -s "$http/v1/status")"
[ "$(grep -c 'refused: ' "$dir/server.log")" -gt 20 ] || fail "refusals are not logged"
# The API too.
[ "$(curl -s -o /dev/null -w '%{http_code}' "$http/nothing")" = 404 ] || fail "404"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X PUT "$http/v1/status")" = 405 ] || fail "405"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST -d x "$http/v1/plan")" = 413 ] || fail "413"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$http/v1/history?vm=nobody")" = 404 ] || fail "history"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$http/v1/history?vm=good&limit=x")" = 400 ] || fail "limit"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$http/v1/plan?planner=nope")" = 400 ] || fail "planner"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$http/v1/plan")" = 422 ] || fail "no hosts"
stop_server
