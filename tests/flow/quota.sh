#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Above its quota an agent is told when to come back, goes on meanwhile, and brings one net delta; another
# VM than it may have is refused for now; all of it is counted.
set -eu
. tests/flow/lib.sh
hash=$("$BUILD/tests/tool_trace" "$dir/t.mbt" 80 3000 300 1)

refused() {
	curl -sf "$http/v1/status" | jq -r ".refused.$1"
}

quota='server refused for now: unix user .*: quota of 30 frames a minute is used up'
run_agent=("$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" --retry 10ms)

# Every epoch a frame, as fast as they are acked.
server --verbose --quota frames_per_minute=30,vms=2,sessions=2
"${run_agent[@]}" --vm t --interval 0 >"$dir/t.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 20 grep -q "$quota" "$dir/t.log"
kill "$agent_pid"
[ "$(refused quota_frames_per_minute)" -ge 1 ] || fail "not counted"
[ "$(query 'SELECT count(*) FROM history')" -ge 30 ] || fail "refused too early"

# Nothing is left: what this one has becomes few frames, and none of it is missing.
"${run_agent[@]}" --vm u --interval 10ms >"$dir/u.log" 2>&1 &
agent_pid=$!
pids+=($!)
wait_for 20 grep -q "$quota" "$dir/u.log"
"${run_agent[@]}" --vm other --interval 1h >"$dir/out" 2>&1 &
pids+=($!)
wait_for 10 grep -q 'server refused for now: .*quota of 2 VMs is used up' "$dir/out"
is "$(refused quota_vms)" 1 "VMs refused"
wait "$agent_pid" || fail "agent: $(cat "$dir/u.log")"
stop_server
is "$(query "SELECT epoch || ' ' || hex(hash) FROM vm WHERE name = 'u'")" "80 $hash" "the fingerprint"
is "$(query "SELECT sum(epochs) FROM history WHERE vm = (SELECT id FROM vm WHERE name = 'u')")" 80 "epochs"
[ "$(query "SELECT count(*) FROM history WHERE vm = (SELECT id FROM vm WHERE name = 'u')")" -lt 40 ] ||
	fail "as many frames as ever"
is "$(grep -c 'VM t: refused: .*frames a minute' "$dir/server.log")" 1 "said once"

# A server that starts again knows who has which VMs, and what they have sent today.
server --verbose --quota vms=2
"${run_agent[@]}" --vm other --interval 1h >"$dir/out" 2>&1 &
pids+=($!)
wait_for 10 grep -q 'server refused for now: .*quota of 2 VMs is used up' "$dir/out"
"${run_agent[@]}" --vm u --interval 0 --epochs 2 >"$dir/u.log" 2>&1 || fail "its own VM: $(cat "$dir/u.log")"
stop_server
query 'UPDATE history SET wire_bytes = 1 << 20'
server --verbose --quota mb_per_day=20
"${run_agent[@]}" --vm u --interval 0 >"$dir/u.log" 2>&1 &
pids+=($!)
wait_for 10 grep -q 'server refused for now: .*quota of 20 MB a day is used up' "$dir/u.log"
stop_server

# By TLS it is the certificate that counts, wherever it comes from.
export MBCTL_PKI=$dir/pki
for words in "init $dir/pki" "server localhost 127.0.0.1" "agent web --vm web1 --vm web2" "agent db --vm db1"; do
	# shellcheck disable=SC2086 # words
	"$mbctl" pki $words >/dev/null
done
server --verbose --listen tcp:127.0.0.1:0 --tls-cert "$dir/pki/localhost.pem" --quota sessions=1
port=$(sed -n 's/.*listening on tcp:127.0.0.1://p' "$dir/server.log" | tail -n 1)
by_tls() {
	"$mbagent" run --source "trace:$dir/t.mbt" --vm "$1" --server "tcp:127.0.0.1:$port" --interval 1h \
		--retry 10ms --tls-cert "$dir/pki/$2.pem" >"$dir/$1.log" 2>&1 &
	pids+=($!)
}
by_tls web1 web
wait_for 10 grep -q 'epoch 1 acked' "$dir/web1.log"
by_tls web2 web
wait_for 10 grep -q 'server refused for now: certificate "web": quota of 1 sessions is used up' "$dir/web2.log"
by_tls db1 db
wait_for 10 grep -q 'epoch 1 acked' "$dir/db1.log"
is "$(refused quota_sessions)" 1 "sessions refused"
stop_server
