#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 of server or agent in mid-stream, 100 times (KILLS) at random points (SEED), also while the server
# starts: no acked epoch is lost, and what is held is what the agent had at that epoch. Half of the servers have
# a memory budget that holds two of the three VMs: they page out and in all the time.
#
# Few processes: in a loop of a thousand kills it is they that take the time.
set -eu
. tests/flow/lib.sh
RANDOM=${SEED:-1}
kills=${KILLS:-100}
agents=(a b c)
epochs=30

declare -A agent_pid hashes
for vm in "${agents[@]}"; do
	mapfile -t each < <("$BUILD/tests/tool_trace" "$dir/$vm.mbt" $epochs 60000 100 "$(printf %d "'$vm")" each)
	for ((i = 0; i < epochs; i++)); do hashes[$vm $((i + 1))]=${each[i]}; done
done
mkfifo "$dir/idle"
exec {idle}<>"$dir/idle"
pause() {
	read -rt "$1" -u "$idle" || true
}

# Only those that run now: numbers of processes come back.
note_pids() {
	pids=("$server_pid" "${agent_pid[@]}")
}

agent() {
	"$mbagent" run -v --source "trace:$dir/$1.mbt" --vm "$1" --server "unix:$dir/sock" \
		--interval 0 --retry 10ms >"$dir/$1.log" 2>&1 &
	agent_pid[$1]=$!
}

# A log that is put into the database often, so that this is hit, too.
server() {
	budget=()
	((RANDOM % 2)) || budget=(--memory-budget 1)
	: >"$dir/server.log" # not by the child: who looks at once must not see the last one's
	"$mbserver" --db "$dir/db" --listen "unix:$dir/sock" --http 127.0.0.1:0 --sharing-interval 50ms \
		--checkpoint-pages 40 "${budget[@]}" >"$dir/server.log" 2>&1 &
	server_pid=$!
}

# metric NAME TEXT: to $value
metric() {
	value=${2#*$'\n'"$1 "}
	[ "$value" != "$2" ] || fail "no metric $1"
	value=${value%%$'\n'*}
}

# What this server says of itself: to $text; false: it has no budget, or does not listen yet.
get_metrics() {
	local port http_fd
	read -rd '' text <"$dir/server.log" || true
	[[ ${#budget[@]} -gt 0 && $text == *'http on '* ]] || return
	port=${text##*http on 127.0.0.1:}
	exec {http_fd}<>"/dev/tcp/127.0.0.1/${port%%[!0-9]*}"
	printf 'GET /metrics HTTP/1.0\r\n\r\n' >&"$http_fd"
	read -rd '' -t 30 text <&"$http_fd" || true
	exec {http_fd}>&-
}

# How often it has paged out and in before it is killed: count_pages TRIES, until it has. Agents may all have
# come to their end.
count_pages() {
	local text tries=$1
	while get_metrics; do
		metric memory_buddies_page_ins_total "$text"
		[[ $value = 0 && $((tries--)) -gt 0 ]] || break
		pause 0.02
	done
	[ ${#budget[@]} -gt 0 ] && [ -n "${value:-}" ] || return 0
	page_ins=$((page_ins + value))
	((value == 0)) || paging_kills=$((paging_kills + 1))
	metric memory_buddies_page_outs_total "$text"
	page_outs=$((page_outs + value))
	value=
}

# Each stored frame is held against the hash when it is loaded.
server_is_well() {
	local text tries=400
	while read -rd '' text <"$dir/server.log" || true; [[ $text != *'http on '* ]]; do
		kill -0 "$server_pid" 2>/dev/null || fail "the server did not start: $text"
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "the server did not start in time: $text"
		pause 0.05
	done
	[[ $text == *' VMs, 0 damaged'* ]] || fail "damage (kill $i): $text"
}

# With the server dead: what each agent was told is durable must be in the database. Read only, so that the
# log is still there for the server.
check_held() {
	local vm boot epoch hash text acked
	local -A held=()
	while IFS='|' read -r vm boot epoch hash; do
		held[$vm]="$boot $epoch"
		[ "$hash" = "${hashes[$vm $epoch]}" ] || fail "VM $vm: epoch $epoch is held, but is another (kill $i)"
		checked=$((checked + 1))
	done < <(sqlite3 -readonly "$dir/db" 'SELECT name, lower(hex(boot)), epoch, hex(hash) FROM vm')
	for vm in "${agents[@]}"; do
		read -rd '' text <"$dir/$vm.log" || true
		[[ $text == *' acked'* ]] || continue
		boot=${text#*boot }
		boot=${boot:0:32}
		acked=${text% acked*}
		acked=${acked##* }
		[[ ${held[$vm]:-} == "$boot "* ]] || fail "VM $vm: epoch $acked was acked, none is held (kill $i)"
		[ "${held[$vm]#* }" -ge "$acked" ] ||
			fail "VM $vm: epoch $acked was acked, but ${held[$vm]#* } is held (kill $i)"
		acks=$((acks + 1))
	done
}

# However slow the machine: some agent (of those named) that runs has had an ack.
wait_for_an_ack() {
	local vm text tries=1000
	while ((tries--)); do
		for vm in "$@"; do
			read -rd '' text <"$dir/$vm.log" || true
			[[ $text != *' acked'* ]] || return 0
		done
		pause 0.02
	done
	fail "no ack (kill $i)"
}

checked=0 acks=0 server_kills=0 page_outs=0 page_ins=0 paging_kills=0 i=0
server
for vm in "${agents[@]}"; do agent "$vm"; done
note_pids
server_is_well
# Only all three are more than the budget.
for vm in "${agents[@]}"; do wait_for_an_ack "$vm"; done
for ((i = 1; i <= kills; i++)); do
	pause "0.0$((RANDOM % 90 + 10))"
	if ((RANDOM % 2)); then
		((i % 4)) || wait_for_an_ack "${agents[@]}"
		count_pages $((i % 2 * 50))
		pause "0.00$((RANDOM % 10))"
		kill -9 "$server_pid"
		wait "$server_pid" 2>/dev/null || true
		server_kills=$((server_kills + 1))
		check_held
		server
		# One in four is killed in its start.
		((RANDOM % 4 == 0)) || server_is_well
	else
		vm=${agents[RANDOM % 3]}
		kill -9 "${agent_pid[$vm]}" 2>/dev/null || true
		wait "${agent_pid[$vm]}" 2>/dev/null || true
		agent "$vm"
	fi
	# An agent that has sent its whole trace starts over.
	for vm in "${agents[@]}"; do
		kill -0 "${agent_pid[$vm]}" 2>/dev/null || agent "$vm"
	done
	note_pids
done
server_is_well
for vm in "${agents[@]}"; do
	wait "${agent_pid[$vm]}" || fail "agent $vm: $(cat "$dir/$vm.log")"
done
kill "$server_pid"
wait "$server_pid" || fail "the server ended with $?"
for vm in "${agents[@]}"; do
	is "$(query "SELECT epoch || ' ' || hex(hash) FROM vm WHERE name='$vm'")" \
		"$epochs ${hashes[$vm $epochs]}" "VM $vm at the end"
done
server
server_is_well
stop_server
"$mbserver" --db "$dir/db" --check 2>/dev/null || fail "the database is not well"
[ $acks -ge $((kills / 20)) ] || fail "only $acks acked epochs were checked"
[ $paging_kills -ge $((kills / 50)) ] || fail "only $paging_kills servers were killed while they paged in"
echo "$kills kills ($server_kills of the server): $checked fingerprints equal the agents', $acks acked epochs held"
echo "$paging_kills of these servers had paged in: $page_outs times out, $page_ins in"
