#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real process, recorded and scanned: both see the same, and the trace can be played and analyzed.
set -eu
. tests/flow/lib.sh

sleep 1000 &
pid=$!
pids+=("$pid")
# A sleeping process changes nothing: two looks agree.
wait_for 5 grep -q sleep "/proc/$pid/comm"
sleep 0.2
"$mbagent" scan --source "process:$pid,all" --once --json >"$dir/scan.json"
"$mbagent" record --source "process:$pid,all" --output "$dir/p.mbt" --vm sleeper --epochs 2 --interval 10ms 2>/dev/null
"$mbctl" analyze "$dir/p.mbt" --json --delta >"$dir/analyze.json"
jq -e -s '.[0] as $s | .[1].files[1] | .pages == $s.pages and .distinct == $s.distinct and .zero == $s.zero' \
	"$dir/scan.json" "$dir/analyze.json" >/dev/null ||
	fail "scan and record differ: $(jq -c . "$dir/scan.json") $(jq -c .files "$dir/analyze.json")"
[ "$(jq .pages "$dir/scan.json")" -gt 50 ] || fail "hardly any page"
[ "$(jq '.deltas[0].added' "$dir/analyze.json")" = 0 ] || fail "a sleeping process changed"

# In four parts each: as many digests, and they are compared with none of another size.
"$mbagent" record --source "process:$pid,all" --output "$dir/parts.mbt" --parts 4 2>/dev/null
"$mbctl" analyze "$dir/p.mbt" "$dir/parts.mbt" --json >"$dir/parts.json" 2>/dev/null
jq -e '(.files[0] | .pages * 4) == .files[2].pages and .files[2].page_bytes == 1024 and .files[2].distinct >= .files[0].distinct' \
	"$dir/parts.json" >/dev/null || fail "parts: $(jq -c .files "$dir/parts.json")"
jq -e '.pairs[] | select(.b | test("parts")) | .inter == null and (.why | test("1024"))' "$dir/parts.json" >/dev/null ||
	fail "pages and parts were compared: $(jq -c .pairs "$dir/parts.json")"
"$mbctl" analyze "$dir/p.mbt" "$dir/parts.mbt" 2>/dev/null | grep -q 'part bytes' || fail "mbctl analyze does not say which are parts"
! "$mbctl" analyze "$dir/p.mbt" 2>/dev/null | grep -q 'part bytes' || fail "mbctl analyze says parts of pages"
refuses 'no parts of pages' "$mbagent" record --source "trace:$dir/p.mbt" --output "$dir/x.mbt" --parts 2
# To a pipe, as to a port: it has no end to be cut.
{ "$mbagent" record --source "process:$pid,all" --output /dev/stdout --force 2>/dev/null || touch "$dir/bad"; } |
	cat >"$dir/pipe.mbt"
[ ! -e "$dir/bad" ] || fail "no trace to a pipe"
[ "$("$mbctl" analyze "$dir/pipe.mbt" --json | jq '.files[0].pages')" = "$(jq .pages "$dir/scan.json")" ] ||
	fail "a pipe's trace is another"

# Played to a server, under the name that it was recorded with.
server --verbose
"$mbagent" run --source "trace:$dir/p.mbt" --server "unix:$dir/sock" --interval 0 2>/dev/null
[ "$(query 'SELECT name, epoch FROM vm')" = 'sleeper|2' ] || fail "$(query 'SELECT name, epoch FROM vm')"
"$mbctl" status --server "$http" | grep -q sleeper || fail "mbctl status"
"$mbctl" history sleeper --server "$http" >/dev/null
"$mbctl" share --server "$http" >/dev/null
stop_server

# A key makes other digests of the same pages; an ended process is said to have ended.
openssl rand -hex 16 >"$dir/key" 2>/dev/null || head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$dir/key"
"$mbagent" record --source "process:$pid,all" --output "$dir/k.mbt" --key "$dir/key" 2>/dev/null
"$mbctl" analyze "$dir/p.mbt" "$dir/k.mbt" --json | jq -e '.pairs[] | select(.why) | .inter == null' >/dev/null ||
	fail "keyed and raw digests were compared"
kill "$pid"
wait "$pid" 2>/dev/null || true
refuses 'process' "$mbagent" scan --source "process:$pid,all"
