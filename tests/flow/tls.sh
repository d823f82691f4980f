#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Agents by TLS: who is let in, who is refused and told why, certificates that change under load.
set -eu
. tests/flow/lib.sh
export MBCTL_PKI=$dir/pki
"$BUILD/tests/tool_trace" "$dir/t.mbt" 300 3000 300 1 >/dev/null

pki() {
	"$mbctl" pki "$@" >/dev/null
}

pki init "$dir/pki"
pki server localhost 127.0.0.1
pki agent web --vm web1 --vm web2
pki agent host --vm '*'
pki agent brief --vm web1 --valid 1s
pki agent fired --vm fired
pki init "$dir/made/too/other" && mv "$dir/made/too/other" "$dir/other"
pki agent web --vm web1 --dir "$dir/other"
{
	sed '/-----BEGIN CERTIFICATE/,$d' "$dir/other/web.pem"
	cat "$dir/other/web.pem" "$dir/pki/ca.pem"
} >"$dir/foreign.pem"
chmod 600 "$dir/foreign.pem"

# Other machines: TLS, or one says that one knows better.
refuses 'needs TLS' "$mbserver" --db "$dir/db" --http 127.0.0.1:0 --listen tcp:0.0.0.0:0
refuses 'needs TLS' "$mbserver" --db "$dir/db" --http 127.0.0.1:0 --listen 'tcp:[::]:0'
refuses 'another machine' "$mbagent" run --source "trace:$dir/t.mbt" --server tcp:192.0.2.1:9
refuses 'no TCP address' "$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" \
	--tls-cert "$dir/pki/web.pem"
refuses 'chmod o=' env - sh -c "cp '$dir/pki/localhost.pem' '$dir/wide.pem'; chmod 644 '$dir/wide.pem'
	exec '$mbserver' --db '$dir/db' --tls-cert '$dir/wide.pem'"
server --listen tcp:0.0.0.0:0 --insecure
grep -q 'without encryption' "$dir/server.log" || fail "no warning"
stop_server

cp "$dir/pki/localhost.pem" "$dir/server.pem"
cp "$dir/pki/crl.pem" "$dir/crl.pem"
server --verbose --listen tcp:0.0.0.0:0 --tls-cert "$dir/server.pem" --tls-crl "$dir/crl.pem"
port=$(sed -n 's/.*listening on tcp:0.0.0.0://p' "$dir/server.log" | tail -n 1)
# An array, not a function: in the background it is the agent itself that $! names.
run_agent=("$mbagent" run --source "trace:$dir/t.mbt" --server "tcp:127.0.0.1:$port" --retry 20ms)

refused() {
	curl -sf "$http/v1/status" | jq -r ".refused.$1"
}

# An agent that must not get in, and says so: kept_out 'PATTERN' OPTION...
kept_out() {
	local pattern=$1 pid
	shift
	"${run_agent[@]}" --epochs 1 "$@" >"$dir/out" 2>&1 &
	pid=$!
	pids+=("$pid")
	wait_for 10 grep -qE -- "$pattern" "$dir/out"
	kill "$pid"
	wait "$pid" && fail "let in: $*"
	grep -q 'epoch 1 acked' "$dir/out" && fail "let in: $*"
	return 0
}

# At least one was counted for the reason, and the log has it: counted REASON 'PATTERN'
counted() {
	[ "$(refused "$1")" -gt 0 ] || fail "$1 is not counted: $(curl -s "$http/v1/status" | jq -c .refused)"
	grep -qE "$2" "$dir/server.log" || fail "$1 is not logged: $(cat "$dir/server.log")"
}

s_client() {
	timeout 5 openssl s_client -connect "127.0.0.1:$port" -ign_eof "$@" </dev/null >"$dir/out" 2>&1 || true
}

# Its VMs, one agent for all VMs, and ways in that are none of TLS's business.
"${run_agent[@]}" --vm web1 --epochs 3 --interval 0 --tls-cert "$dir/pki/web.pem" 2>/dev/null
"${run_agent[@]}" --vm web2 --epochs 3 --interval 0 --tls-cert "$dir/pki/web.pem" 2>/dev/null
"${run_agent[@]}" --vm db1 --epochs 3 --interval 0 --tls-cert "$dir/pki/host.pem" 2>/dev/null
"$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/sock" --vm local --epochs 1 2>/dev/null
[ "$(curl -sf "$http/v1/status" | jq -c '[.vms[].name]')" = '["db1","local","web1","web2"]' ] ||
	fail "$(curl -s "$http/v1/status")"
[ "$(curl -sf "$http/v1/status" | jq '[.refused[]] | add')" = 0 ] || fail "refused: $(curl -s "$http/v1/status")"

# Another VM: for good, with the reason.
refuses 'server refused this agent: certificate of "web" does not name VM "db1"' \
	"${run_agent[@]}" --vm db1 --epochs 1 --tls-cert "$dir/pki/web.pem"
counted other_vm 'certificate of "web" does not name VM "db1"'

# Another CA's certificate, and another CA's server.
kept_out 'refuses our certificate.*unknown ca' --vm web1 --tls-cert "$dir/foreign.pem" --tls-ca "$dir/pki/ca.pem"
counted unknown_ca 'unable to get local issuer certificate'
kept_out 'unable to get local issuer certificate' --vm web1 --tls-cert "$dir/other/web.pem"
kept_out 'mismatch' --vm web1 --tls-cert "$dir/pki/web.pem" --tls-name elsewhere

# Expired: the agent would not even start with it, so somebody else shows it.
sleep 1
refuses 'has expired' "${run_agent[@]}" --vm web1 --tls-cert "$dir/pki/brief.pem"
s_client -cert "$dir/pki/brief.pem" -key "$dir/pki/brief.pem"
grep -q 'alert certificate expired' "$dir/out" || fail "expired: $(cat "$dir/out")"
counted expired 'certificate has expired'

# None at all; TLS 1.2; no TLS.
s_client -tls1_3
grep -q 'alert certificate required' "$dir/out" || fail "no certificate: $(cat "$dir/out")"
counted no_certificate 'peer did not return a certificate'
s_client -tls1_2 -cert "$dir/pki/web.pem" -key "$dir/pki/web.pem"
grep -q 'alert protocol version' "$dir/out" || fail "TLS 1.2: $(cat "$dir/out")"
counted not_tls13 'unsupported protocol'
before=$(refused not_tls13)
timeout 5 "$BUILD/tests/tool_peer" "tcp:127.0.0.1:$port" tests/golden/hello.bin >"$dir/out" 2>&1 || true
grep -q Welcome "$dir/out" && fail "greeted in clear"
[ "$(refused not_tls13)" -gt "$before" ] || fail "plain TCP is not counted"
kept_out 'does it want TLS' --vm web1
# Nor can a session be taken up again, or data sent before hands are shaken.
timeout 2 openssl s_client -connect "127.0.0.1:$port" -ign_eof -cert "$dir/pki/web.pem" \
	-key "$dir/pki/web.pem" -sess_out "$dir/session" </dev/null >"$dir/out" 2>&1 || true
grep -q 'TLSv1.3' "$dir/out" || fail "no connection: $(cat "$dir/out")"
[ ! -s "$dir/session" ] || fail "a session to take up again"
# What was recorded of a session cannot be played again: its keys are gone.
"$BUILD/tests/tool_tap" tcp:127.0.0.1:0 "tcp:127.0.0.1:$port" "$dir/tap" >"$dir/tap.out" 2>&1 &
tap=$!
pids+=("$tap")
wait_for 5 grep -q ready "$dir/tap.out"
timeout 30 "$mbagent" run --source "trace:$dir/t.mbt" --server "$(sed -n 's/ready //p' "$dir/tap.out")" --vm web1 \
	--interval 0 --epochs 4 --tls-cert "$dir/pki/web.pem" 2>"$dir/out" || fail "by the tap: $(cat "$dir/out")"
kill "$tap"
[ "$(stat -c %s "$dir/tap-1-agent.bin")" -gt 10000 ] || fail "nothing was recorded"
grep -q web1 "$dir/tap-1-agent.bin" && fail "the VM's name can be read on the way"
before=$(refused broken_handshake)
held=$(curl -sf "$http/v1/status" | jq -c '.vms[] | select(.name == "web1") | [.epoch, .acked_unix_ms]')
timeout 10 "$BUILD/tests/tool_peer" "tcp:127.0.0.1:$port" "$dir/tap-1-agent.bin" >"$dir/out" 2>&1 || true
grep -qE 'Welcome|Ack' "$dir/out" && fail "greeted by a recording"
wait_for 5 grep -qE 'agent tcp:.*refused: TLS: ' "$dir/server.log"
[ "$(refused broken_handshake)" -gt "$before" ] || fail "a recording is not counted: $(curl -s "$http/v1/status" | jq -c .refused)"
is "$(curl -sf "$http/v1/status" | jq -c '.vms[] | select(.name == "web1") | [.epoch, .acked_unix_ms]')" "$held" "by a recording"
# Who only knocks is no news.
before=$(refused broken_handshake)
timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
sleep 0.3
[ "$(refused broken_handshake)" = "$before" ] || fail "a knock was counted"
# Said once a minute per peer and reason, counted every time.
for i in 1 2 3 4 5 6 7 8; do s_client -tls1_3; done
[ "$(refused no_certificate)" -ge 9 ] || fail "no certificate: $(refused no_certificate)"
[ "$(grep -c 'did not return a certificate' "$dir/server.log")" -le 1 ] || fail "said again and again"

# A bad file changes nothing, and says so.
cp "$dir/other/crl.pem" "$dir/crl.pem"
kill -HUP "$server_pid"
wait_for 5 grep -q 'not by our CA; those of before stay in force' "$dir/server.log"
"${run_agent[@]}" --vm web1 --epochs 1 --tls-cert "$dir/pki/web.pem" 2>/dev/null

# acked_more_often N: what $vm's agent has seen
acked_more_often() {
	[ "$(grep -c ' acked' "$dir/$vm.log")" -gt "$1" ]
}

# Under load: certificates are renewed and read again and again, one agent is revoked. The others
# lose no ack and no connection.
load=()
for vm in web1 web2 db1; do
	cert=$dir/pki/web.pem
	[ $vm != db1 ] || cert=$dir/pki/host.pem
	timeout 120 "${run_agent[@]}" --vm $vm --interval 50ms --tls-cert "$cert" 2>"$dir/$vm.log" &
	load+=($!)
	pids+=($!)
done
"${run_agent[@]}" --vm fired --interval 200ms --tls-cert "$dir/pki/fired.pem" 2>"$dir/fired.log" &
fired=$!
pids+=($!)
wait_for 20 grep -q ' acked' "$dir/fired.log"
for i in 1 2 3 4 5 6 7 8; do
	pki server localhost 127.0.0.1 --out "$dir/new$i.pem"
	mv "$dir/new$i.pem" "$dir/server.pem"
	cp "$dir/pki/crl.pem" "$dir/crl.new"
	mv "$dir/crl.new" "$dir/crl.pem"
	kill -HUP "$server_pid"
	sleep 0.1
done
pki revoke fired
cp "$dir/pki/crl.pem" "$dir/crl.pem"
kill -HUP "$server_pid"
wait_for 10 grep -q 'VM fired: cut: .*certificate revoked' "$dir/server.log"
wait_for 10 grep -qE 'certificate revoked' "$dir/fired.log"
kill "$fired" 2>/dev/null || true
for vm in web1 web2 db1; do
	acks=$(grep -c ' acked' "$dir/$vm.log" || true)
	wait_for 20 acked_more_often $((acks + 20))
done
for pid in "${load[@]}"; do
	kill "$pid"
	wait "$pid" || fail "an agent failed: $(tail -n 3 "$dir"/web1.log "$dir"/web2.log "$dir"/db1.log)"
done
for vm in web1 web2 db1; do
	# None twice; some go out together.
	sed -n 's/.*epoch \([0-9]*\) acked.*/\1/p' "$dir/$vm.log" >"$dir/acked"
	sort -c -u -n "$dir/acked" || fail "$vm: $(tr '\n' ' ' <"$dir/acked")"
	grep -q 'trying again' "$dir/$vm.log" && fail "$vm lost its connection: $(grep 'trying again' "$dir/$vm.log")"
done
kept_out 'certificate revoked' --vm fired --tls-cert "$dir/pki/fired.pem"
counted revoked 'certificate revoked'
# The new certificate is what newcomers see.
s_client -tls1_3
openssl x509 -in "$dir/out" -noout -serial >"$dir/serial.seen"
openssl x509 -in "$dir/server.pem" -noout -serial >"$dir/serial.file"
cmp -s "$dir/serial.seen" "$dir/serial.file" || fail "an old certificate: $(cat "$dir"/serial.*)"

# What is large goes through in both directions' steps: a snapshot of many records.
"$BUILD/tests/tool_trace" "$dir/large.mbt" 2 400000 2000 2 >/dev/null
timeout 60 "$mbagent" run --source "trace:$dir/large.mbt" --server "tcp:127.0.0.1:$port" --vm large \
	--interval 0 --epochs 2 --tls-cert "$dir/pki/host.pem" 2>"$dir/out" || fail "$(cat "$dir/out")"
stop_server
