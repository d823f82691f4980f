#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may ask the API: tokens and roles by https, credentials by unix socket, and what is written down.
set -eu
. tests/flow/lib.sh
export MBCTL_PKI=$dir/pki
"$mbctl" pki init "$dir/pki" >/dev/null
"$mbctl" pki server localhost 127.0.0.1 >/dev/null
pem=$dir/pki/localhost.pem
echo '{ "hosts": [ { "name": "h1", "memory_mb": 1024 } ], "vms": [] }' >"$dir/fleet.json"
for role in read plan apply; do
	"$mbctl" token add "$role-er" --role "$role" --file "$dir/tokens" >"$dir/$role.token"
done
[ "$(stat -c %a "$dir/tokens")" = 600 ] || fail "the list's mode"
grep -qf "$dir/read.token" "$dir/tokens" && fail "the list has the token itself"
refuses 'has a token already' "$mbctl" token add read-er --role plan --file "$dir/tokens"

# Other machines: TLS and tokens.
refuses 'needs TLS' "$mbserver" --db "$dir/db" --listen "unix:$dir/sock" --http 0.0.0.0:0
refuses 'needs --tokens' "$mbserver" --db "$dir/db" --listen "unix:$dir/sock" --http 0.0.0.0:0 --tls-cert "$pem"
refuses 'line 1: not NAME ROLE SHA256' env - sh -c "echo x >'$dir/bad'
	exec '$mbserver' --db '$dir/db' --listen 'unix:$dir/sock' --http 127.0.0.1:0 --tokens '$dir/bad'"

start() {
	"$mbserver" --db "$dir/db" --listen "unix:$dir/sock" --fleet "$dir/fleet.json" \
		--access-log "$dir/access.log" "$@" >>"$dir/server.log" 2>&1 &
	server_pid=$!
	pids+=("$server_pid")
	wait_for 10 grep -q 'https* on ' "$dir/server.log"
}

cp "$dir/pki/crl.pem" "$dir/crl.pem"
start --http 0.0.0.0:0 --tls-cert "$pem" --tls-crl "$dir/crl.pem" --tokens "$dir/tokens"
url=https://127.0.0.1:$(sed -n 's/.*https on 0.0.0.0://p' "$dir/server.log")
export MBCTL_SERVER=$url MBCTL_CACERT=$dir/pki/ca.pem

as() {
	local role=$1
	shift
	"$mbctl" "$@" --token-file "$dir/$role.token"
}

# HTTP status: code [curl's OPTION...] PATH
code() {
	local path=${*: -1}
	curl -s -o "$dir/body" -w '%{http_code}' --cacert "$dir/pki/ca.pem" "${@:1:$#-1}" "$url$path" || true
}

as read status >/dev/null
as plan status >/dev/null
as plan plan >/dev/null
as apply plan >/dev/null
MBCTL_TOKEN_FILE=$dir/read.token "$mbctl" share >/dev/null
refuses 'token read-er has the role read; this needs plan' as read plan
refuses 'a token is needed' "$mbctl" status
refuses 'not of a CA' env -u MBCTL_CACERT "$mbctl" status --token-file "$dir/read.token"
refuses 'does not travel in clear' "$mbctl" status --server http://192.0.2.1:1 --token-file "$dir/read.token"
refuses 'does not travel in clear' "$mbctl" status --server http://127.0.0.1.evil.example --token-file "$dir/read.token"
[ "$(code /v1/status)" = 401 ] || fail "no token: $(cat "$dir/body")"
[ "$(code -H 'Authorization: Bearer wrong' /v1/status)" = 401 ] || fail "wrong token"
[ "$(code -H "Authorization: Bearer $(sed -n 's/read-er read //p' "$dir/tokens")" /v1/status)" = 401 ] ||
	fail "the hash is a token"
[ "$(code -H "Authorization: Bearer $(cat "$dir/read.token")" /v1/plan)" = 403 ] || fail "role"
[ "$(code -X POST -H "Authorization: Bearer $(cat "$dir/plan.token")" /v1/plan)" = 403 ] || fail "POST to plan"
status=$(code -X POST -H "Authorization: Bearer $(cat "$dir/apply.token")" /v1/plan)
[ "$status" = 200 ] || fail "POST: $status $(cat "$dir/body")"
[ "$(code -X POST -d x /v1/plan)" = 401 ] || fail "POST of a stranger"
curl -s --cacert "$dir/pki/ca.pem" --tls-max 1.2 "$url/v1/status" && fail "TLS 1.2"
[ "$(curl -s -m 5 "http://${url#https://}/v1/status" || true)" = "" ] || fail "an answer in clear"
refuses "does it speak https" "$mbctl" status --server "http://${url#https://}"

# Who was refused is written down, and nothing else is.
jq -e -s 'any(.who == "token read-er" and .status == 403 and .path == "/v1/plan" and .role == "read")
	and any(.who == "anyone" and .status == 401 and .peer == "tcp:127.0.0.1")
	and any(.who == "token apply-er" and .status == 200 and .method == "POST")
	and all(.status >= 400 or .method == "POST")' "$dir/access.log" >/dev/null || fail "access log: $(cat "$dir/access.log")"
[ "$(stat -c %a "$dir/access.log")" = 600 ] || fail "the log's mode"

# Who shows a certificate with a role needs no token; a bad one is not made good by a token, and an agent's is none.
for role in read plan apply; do
	"$mbctl" pki operator "op-$role" --role $role --out "$dir/$role.pem" >/dev/null
done
"$mbctl" pki operator gone --role apply --out "$dir/gone.pem" >/dev/null
"$mbctl" pki operator brief --role apply --valid 1s --out "$dir/brief.pem" >/dev/null
"$mbctl" pki agent web --vm '*' --out "$dir/agent.pem" >/dev/null
"$mbctl" pki init "$dir/other" >/dev/null
"$mbctl" pki operator op --role apply --dir "$dir/other" --out "$dir/other.pem" >/dev/null
cp "$dir/pki/ca.pem" "$dir/ca.pem"
op() {
	local cert=$1
	shift
	"$mbctl" "$@" --cert "$dir/$cert.pem"
}
op read status >/dev/null
env -u MBCTL_CACERT MBCTL_CERT="$dir/read.pem" "$mbctl" status >/dev/null || fail "the CA in --cert"
refuses 'certificate op-read has the role read; this needs plan' op read plan
op plan plan >/dev/null
[ "$(code --cert "$dir/plan.pem" -X POST /v1/plan)" = 403 ] || fail "POST to plan"
status=$(code --cert "$dir/apply.pem" -X POST /v1/plan)
[ "$status" = 200 ] || fail "POST: $status $(cat "$dir/body")"
sleep 1
refuses 'certificate of "brief": certificate has expired' op brief status
refuses 'certificate of "web" names no role' op agent status
refuses 'certificate of "op": self-signed certificate in certificate chain' op other status
refuses 'self-signed certificate in certificate chain' op other status --token-file "$dir/apply.token"
refuses 'no certificate and key' "$mbctl" status --cert "$dir/read.token"
op gone status >/dev/null
"$mbctl" pki revoke gone >/dev/null
cp "$dir/pki/crl.pem" "$dir/crl.new"
mv "$dir/crl.new" "$dir/crl.pem"
kill -HUP "$server_pid"
wait_for 5 grep -q 'certificates read again' "$dir/server.log"
wait_for 5 refuses 'certificate of "gone": certificate revoked' op gone status
op plan plan >/dev/null
jq -e -s 'any(.who == "certificate op-apply" and .status == 200 and .method == "POST" and .role == "apply")
	and any(.who == "certificate op-read" and .status == 403)' "$dir/access.log" >/dev/null ||
	fail "access log: $(cat "$dir/access.log")"
"$mbctl" pki list --json | jq -e '.certificates | any(.name == "op-read" and .kind == "operator")' >/dev/null ||
	fail "$("$mbctl" pki list)"
# All that was refused so far is counted, strangers and roles apart.
op read status --json | jq -e '.refused.api_stranger > 8 and .refused.api_role >= 5' >/dev/null ||
	fail "counted: $(op read status --json | jq -c .refused)"

# Files are read again: a token goes, another comes, the certificate is a new one. A bad list changes nothing.
sed -i '/^plan-er/d' "$dir/tokens"
"$mbctl" token add new --role plan --file "$dir/tokens" >"$dir/new.token"
"$mbctl" pki server localhost 127.0.0.1 --out "$dir/next.pem" >/dev/null
mv "$dir/next.pem" "$pem"
kill -HUP "$server_pid"
wait_for 5 as new plan
refuses 'a token is needed' as plan plan
openssl s_client -connect "${url#https://}" </dev/null 2>/dev/null | openssl x509 -noout -serial >"$dir/serial.seen"
openssl x509 -in "$pem" -noout -serial >"$dir/serial.file"
cmp -s "$dir/serial.seen" "$dir/serial.file" || fail "an old certificate: $(cat "$dir"/serial.*)"
echo nonsense >>"$dir/tokens"
kill -HUP "$server_pid"
wait_for 5 grep -q 'not NAME ROLE SHA256; what was before stays in force' "$dir/server.log"
as new plan >/dev/null
stop_server

# A unix socket: whoever is at the other end.
: >"$dir/server.log"
start --http "unix:$dir/http"
unset MBCTL_CACERT
export MBCTL_SERVER=unix:$dir/http
[ "$(stat -c %a "$dir/http")" = 600 ] || fail "the socket's mode"
"$mbctl" status >/dev/null
"$mbctl" plan >/dev/null
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$dir"
	chmod 666 "$dir/http"
	nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups curl -s --unix-socket "$dir/http" "http://x$1"; }
	nobody /v1/status | grep -q 'uid 65534 has the role none' || fail "nobody: $(nobody /v1/status)"
	stop_server
	: >"$dir/server.log"
	start --http "unix:$dir/http" --http-group "$(getent group 65534 | cut -d: -f1)"
	[ "$(stat -c %a:%g "$dir/http")" = 660:65534 ] || fail "the socket's group"
	nobody /v1/status | jq -e .server >/dev/null || fail "a member may not read: $(nobody /v1/status)"
	nobody /v1/plan | grep -q 'has the role read; this needs plan' || fail "a member may plan"
fi
stop_server
[ ! -e "$dir/http" ] || fail "the socket is left behind"
