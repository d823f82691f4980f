# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What benchmarks with a server have in common: a folder on a disk, certificates, a server that ends with them.

: "${BUILD:=build/release}"
# What is durable costs what it costs: /tmp may be memory.
mkdir -p build/bench
dir=$(mktemp -d build/bench/run.XXXXXX)
server_pid="" load_pid="" port=0

end() {
	local code=$? pid
	for pid in $load_pid $server_pid; do
		{ kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true
	done
	[ "$code" = 0 ] || tail -n 20 "$dir/server.log" >&2 || true
	rm -rf "$dir"
	exit "$code"
}
trap end EXIT
trap 'exit 1' INT TERM

export MBCTL_PKI=$dir/pki MBCTL_SERVER=unix:$dir/http
"$BUILD/mbctl" pki init "$MBCTL_PKI" >/dev/null
"$BUILD/mbctl" pki server localhost 127.0.0.1 >/dev/null
"$BUILD/mbctl" pki agent fleet --vm '*' >/dev/null

# Starts the server, where it was before, and waits until it listens: start [OPTION...]
# shellcheck disable=SC2120 # options are optional
start() {
	: >"$dir/server.log"
	"$BUILD/mbserver" --db "$dir/db" --listen "tcp:127.0.0.1:$port" --tls-cert "$MBCTL_PKI/localhost.pem" \
		--http "unix:$dir/http" "$@" >"$dir/server.log" 2>&1 &
	server_pid=$!
	# Never half of a number.
	echo "$server_pid" >"$dir/pid.new"
	mv "$dir/pid.new" "$dir/pid"
	until grep -q 'http on ' "$dir/server.log"; do
		kill -0 "$server_pid"
		sleep 0.05
	done
	port=$(sed -n 's/.*listening on tcp:127.0.0.1:\([0-9]*\).*/\1/p' "$dir/server.log")
}

kill_server() {
	kill -9 "$server_pid"
	wait "$server_pid" 2>/dev/null || true
}

# bench_fleet [OPTION...], in the background: sets $load_pid
load() {
	"$BUILD/tests/bench_fleet" --server "tcp:127.0.0.1:$port" --tls-cert "$MBCTL_PKI/fleet.pem" \
		--pid-file "$dir/pid" "$@" &
	load_pid=$!
}

# Waits for it; ends with its exit code if that is not 0.
wait_for_load() {
	local code=0
	wait "$load_pid" || code=$?
	load_pid=""
	[ "$code" = 0 ] || exit "$code"
}
