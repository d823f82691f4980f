#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the server gives up: root for a user of its own, and the system calls it has no use for; and the units
# that start server and agents so.
set -eu
. tests/flow/lib.sh

status() {
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$server_pid/status" | tr '\t' ' '
}

# Each of its threads has the filter; without it when asked.
server
for task in /proc/"$server_pid"/task/*; do
	grep -q '^Seccomp:	2$' "$task/status" || fail "$task has no filter"
	grep -q '^NoNewPrivs:	1$' "$task/status" || fail "$task may get new privileges"
done
tasks=(/proc/"$server_pid"/task/*)
[ "${#tasks[@]}" -ge 3 ] || fail "no threads"
"$mbctl" status --server "$http" >/dev/null
stop_server
server --seccomp off
is "$(status Seccomp)" 0 "--seccomp off"
stop_server
code=0
"$mbserver" --seccomp maybe >"$dir/out" 2>&1 || code=$?
is "$code" 2 "--seccomp maybe"
rm -f "$dir"/db*

# A bad name, and who is not root.
refuses 'no user "no-such-user"' "$mbserver" --db "$dir/db" --user no-such-user
if [ "$(id -u)" != 0 ]; then
	refuses 'only root' "$mbserver" --db "$dir/db" --user root
	exit 0
fi

# All that it makes is its user's, and what it cannot read is told at once.
chmod 755 "$dir"
mkdir "$dir/own"
chown nobody "$dir/own"
"$mbctl" pki init "$dir/pki" >/dev/null
"$mbctl" pki server localhost 127.0.0.1 --dir "$dir/pki" >/dev/null
"$mbctl" token add ann --role plan --file "$dir/tokens" >"$dir/ann.token"
cp "$dir/pki/localhost.pem" "$dir/own/server.pem"
start=("$mbserver" --user nobody --db "$dir/own/db" --listen "unix:$dir/own/sock" --http "0.0.0.0:0"
	--tls-cert "$dir/own/server.pem" --access-log "$dir/own/access.log")
refuses 'server.pem: Permission denied' "${start[@]}" --tokens "$dir/tokens"
chown nobody "$dir/own/server.pem"
refuses 'tokens: Permission denied' "${start[@]}" --tokens "$dir/tokens"
cp "$dir/tokens" "$dir/own/tokens"
chown nobody "$dir/own/tokens"
"${start[@]}" --seccomp kill --tokens "$dir/own/tokens" >>"$dir/server.log" 2>&1 &
server_pid=$!
pids+=("$server_pid")
wait_for 10 grep -q 'https on ' "$dir/server.log"
nobody=$(id -u nobody)
is "$(status Uid)" "$nobody $nobody $nobody $nobody" "its user"
is "$(status CapEff)" 0000000000000000 "capabilities"
is "$(status CapPrm)" 0000000000000000 "capabilities"
[ -z "$(find "$dir/own" ! -user nobody)" ] || fail "somebody else's: $(find "$dir/own" ! -user nobody)"
port=$(sed -n 's/.*https on 0.0.0.0://p' "$dir/server.log")
ask() {
	"$mbctl" "$@" --server "https://127.0.0.1:$port" --cacert "$dir/pki/ca.pem" --token-file "$dir/ann.token"
}
ask status >/dev/null
"$BUILD/tests/tool_trace" "$dir/t.mbt" 3 500 5 1 >/dev/null
"$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/own/sock" --vm a --interval 0 2>/dev/null
ask share >/dev/null
# Files are read again by that user, and threads start under the filter.
"$mbctl" pki server localhost 127.0.0.1 --dir "$dir/pki" --out "$dir/own/next.pem" >/dev/null
chown nobody "$dir/own/next.pem"
mv "$dir/own/next.pem" "$dir/own/server.pem"
kill -HUP "$server_pid"
wait_for 5 grep -q 'certificates read again' "$dir/server.log"
wait_for 5 ask status
stop_server

# What systemd hears of it, under the filter: what it does, that it serves once it does, that it ends.
"$BUILD/tests/tool_notify" "$dir/own/notify" >"$dir/heard" &
hearer=$!
pids+=("$hearer")
wait_for 5 test -S "$dir/own/notify"
chown nobody "$dir/own/notify"
: >"$dir/server.log"
servers_seen=0
NOTIFY_SOCKET=$dir/own/notify "${start[@]}" --seccomp kill --tokens "$dir/own/tokens" >>"$dir/server.log" 2>&1 &
server_pid=$!
pids+=("$server_pid")
wait_for 10 grep -qx 'READY=1' "$dir/heard"
port=$(sed -n 's/.*https on 0.0.0.0://p' "$dir/server.log")
ask status >/dev/null || fail "it says that it serves, but does not"
is "$(head -n 3 "$dir/heard" | paste -sd,)" \
	"STATUS=Reading the database: 1 VMs so far,STATUS=1 VMs, 0 of them connected,READY=1" "what systemd hears"
"$mbagent" run --source "trace:$dir/t.mbt" --server "unix:$dir/own/sock" --vm b --interval 2s 2>/dev/null &
agent_pid=$!
pids+=("$agent_pid")
wait_for 10 grep -qx 'STATUS=2 VMs, 1 of them connected' "$dir/heard"
kill "$agent_pid"
wait "$agent_pid" || :
wait_for 10 grep -qx 'STATUS=2 VMs, 0 of them connected' "$dir/heard"
! grep -q STOPPING "$dir/heard" || fail "it ends too early: $(cat "$dir/heard")"
stop_server
wait_for 5 grep -qx 'STOPPING=1' "$dir/heard"
is "$(grep -cx 'READY=1' "$dir/heard")" 1 "how often it is ready"
# Who cannot start says nothing of being ready; who is not heard serves all the same.
: >"$dir/heard"
NOTIFY_SOCKET=$dir/own/notify refuses 'tokens-of-nobody' "${start[@]}" --tokens "$dir/own/tokens-of-nobody"
! grep -q READY "$dir/heard" || fail "ready, but not started: $(cat "$dir/heard")"
kill "$hearer"
wait "$hearer" || :
NOTIFY_SOCKET=$dir/own/notify server
grep -q 'systemd is not told that this server serves: NOTIFY_SOCKET: ' "$dir/server.log" || fail "$(cat "$dir/server.log")"
"$mbctl" status --server "$http" >/dev/null
stop_server

# The units: what systemd itself says of them.
command -v systemd-analyze >/dev/null || exit 0
for unit in server/mbserver.service agent/mbagent@.service; do
	name=$(basename "$unit")
	sed "s|=/usr/sbin/|=$(realpath "$BUILD")/|" "$unit" >"$dir/${name/@/@web1}"
	systemd-analyze verify --man=no "$dir/${name/@/@web1}" >"$dir/out" 2>&1 || fail "$unit: $(cat "$dir/out")"
	[ ! -s "$dir/out" ] || fail "$unit: $(cat "$dir/out")"
done
systemd-analyze security --offline=true --threshold=20 "$dir/mbserver.service" >"$dir/out" ||
	fail "mbserver.service is exposed: $(tail -n 1 "$dir/out")"
systemd-analyze security --offline=true --threshold=50 "$dir/mbagent@web1.service" >"$dir/out" ||
	fail "mbagent@.service is exposed: $(tail -n 1 "$dir/out")"
