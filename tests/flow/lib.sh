# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What flow tests have in common: a folder of their own, a server, processes that end with the test.
# at_end(), where a test has one, is called at its end.
# shellcheck disable=SC2034 # used by those who source this

: "${BUILD:=build/release}"
mbagent=$BUILD/mbagent mbserver=$BUILD/mbserver mbctl=$BUILD/mbctl
dir=$(mktemp -d)
pids=()

end() {
	local code=$? pid
	! declare -F at_end >/dev/null || at_end
	for pid in "${pids[@]}"; do
		{ kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true
	done
	rm -rf "$dir"
	exit "$code"
}
trap end EXIT
trap 'exit 1' INT TERM

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# is GOT EXPECTED 'WHAT'
is() {
	[ "$1" = "$2" ] || fail "$3: \"$1\", expected \"$2\""
}

# Waits until a command succeeds: wait_for SECONDS COMMAND...; of an idle machine, a busy one gets five times that.
wait_for() {
	local tries=$(($1 * 20 * 5))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "never happened: $*"
		sleep 0.05
	done
}

# shellcheck disable=SC2120 # options are optional
# Starts the server on $dir/sock and waits for it: server [OPTION...]; sets $server_pid, $http.
server() {
	"$mbserver" --db "$dir/db" --listen "unix:$dir/sock" --http 127.0.0.1:0 "$@" \
		>>"$dir/server.log" 2>&1 &
	server_pid=$!
	pids+=("$server_pid")
	wait_for 10 server_is_up
	http=http://$(sed -n 's/.*http on //p' "$dir/server.log" | tail -n 1)
}

server_is_up() {
	kill -0 "$server_pid" 2>/dev/null || {
		cat "$dir/server.log" >&2
		fail "the server did not start"
	}
	# Restarts append to one log.
	[ "$(grep -c 'http on ' "$dir/server.log")" -gt "${servers_seen:=0}" ] &&
		servers_seen=$(grep -c 'http on ' "$dir/server.log")
}

stop_server() {
	kill "$server_pid"
	wait "$server_pid" || fail "the server ended with $?"
}

# Runs a command that must fail with exit code 1 and say so: refuses 'PATTERN' COMMAND...
refuses() {
	local pattern=$1 code=0
	shift
	"$@" >"$dir/out" 2>&1 || code=$?
	[ $code = 1 ] || {
		cat "$dir/out" >&2
		fail "exit code $code, not 1: $*"
	}
	grep -qE -- "$pattern" "$dir/out" || {
		cat "$dir/out" >&2
		fail "does not say \"$pattern\": $*"
	}
}

# One value of the database: query SQL
query() {
	sqlite3 -cmd '.timeout 5000' "$dir/db" "$1"
}
