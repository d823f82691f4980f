#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A trust domain's key is changed under way: VM after VM, with the server killed in the middle, and nothing of
# differing keys compared.
set -eu
. tests/flow/lib.sh

for key in old new third; do
	openssl rand -hex 16 >"$dir/$key.key"
done
"$mbctl" token add ann --role apply --file "$dir/tokens" >"$dir/ann.token"
"$mbctl" token add pat --role plan --file "$dir/tokens" >"$dir/pat.token"
echo '{ "hosts": [ { "name": "h1", "memory_mb": 64 }, { "name": "h2", "memory_mb": 64 } ], "vms": [] }' >"$dir/fleet.json"
export MBCTL_TOKEN_FILE=$dir/ann.token
options=(--tokens "$dir/tokens" --access-log "$dir/access.log" --fleet "$dir/fleet.json")
server "${options[@]}"
export MBCTL_SERVER=$http
old=$("$mbctl" key id "$dir/old.key") new=$("$mbctl" key id "$dir/new.key")
"$BUILD/tests/tool_trace" "$dir/t.mbt" 2000 1000 5 1 >/dev/null

run_agent=("$mbagent" run --source "trace:$dir/t.mbt" --domain d --server "unix:$dir/sock" --retry 20ms --host h1)
agents=()
for vm in a b c; do
	cp "$dir/old.key" "$dir/$vm.key"
	"${run_agent[@]}" --vm $vm --key "$dir/$vm.key" --interval 300ms 2>"$dir/$vm.log" &
	agents+=($!)
	pids+=($!)
done
for vm in a b c; do
	wait_for 20 grep -q ' acked' "$dir/$vm.log"
done

share() {
	"$mbctl" share --json | jq -Sc "$1"
}
moved_is() {
	[ "$(share '[.rotations[] | [.domain, .from, .to, .moved, .vms]]')" = "$1" ]
}
# change N VM KEY: the N-th agent gets a new key.
change() {
	cp "$dir/$3.key" "$dir/next.key"
	mv "$dir/next.key" "$dir/$2.key"
	kill -HUP "${agents[$1]}"
}

# Who may, and to what.
is "$(share '[.rotations, (.identities | length)]')" '[[],1]' "before"
refuses "another key" "${run_agent[@]}" --vm other --key "$dir/new.key" --epochs 1
refuses 'no VM of trust domain "e" is held' "$mbctl" key rotate e --key "$dir/new.key"
refuses "has key $old already" "$mbctl" key rotate d --key "$dir/old.key"
refuses 'token pat has the role plan; this needs apply' "$mbctl" key rotate d --to "$new" --token-file "$dir/pat.token"
"$mbctl" key rotate d --key "$dir/new.key" | grep -q "from key $old to key $new under way: 0 of 3 VMs" || fail "rotate"
refuses 'on its way' "$mbctl" key rotate d --key "$dir/third.key"
refuses "goes from key $old to key $new, this is" "${run_agent[@]}" --vm other --key "$dir/third.key" --epochs 1
jq -e -s --arg new "$new" 'any(.who == "token ann" and .status == 200 and .path == "/v1/rotate" and .query == "domain=d&to=\($new)")
	and any(.who == "token pat" and .status == 403 and .path == "/v1/rotate")' "$dir/access.log" >/dev/null ||
	fail "access log: $(cat "$dir/access.log")"

# The first one: a set of its own, and the others as they were.
change 0 a new
wait_for 10 moved_is "[[\"d\",\"$old\",\"$new\",1,3]]"
grep -q "trust domain d, key $new" "$dir/a.log" || fail "the agent does not say its key"
is "$(share '[.identities[] | {(.key): [.vms[].name]}] | add')" "$(jq -Scn --arg o "$old" --arg n "$new" '{($o): ["b","c"], ($n): ["a"]}')" "two sets"
[ "$(share '[.identities[] | select(.vms | length == 2) | .inter[0][1]] | add')" -gt 500 ] || fail "b and c share no more"
"$mbctl" share | grep -q "1 of 3 VMs have the new key" || fail "$("$mbctl" share)"
"$mbctl" share | grep -q "new key $new" || fail "$("$mbctl" share)"
"$mbctl" status | grep -q "1 of 3 VMs have the new key" || fail "$("$mbctl" status)"
# As alike as can be, but a plan does not know that of the first.
together() {
	"$mbctl" whatif --vms "$1" --json | jq '[.. | .inter_pages? // empty] | max'
}
[ "$(together b,c)" -gt 500 ] || fail "b and c together: $("$mbctl" whatif --vms b,c --json)"
is "$(together a,b)" 0 "inter-VM sharing of a and b"
"$mbctl" plan --json >/dev/null || fail "no plan meanwhile"
# A file that is no key changes nothing.
echo nonsense >"$dir/b.key"
kill -HUP "${agents[1]}"
wait_for 5 grep -q 'the key of before stays in force' "$dir/b.log"

# The server dies: it is still under way.
kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null || true
server "${options[@]}"
export MBCTL_SERVER=$http
moved_is "[[\"d\",\"$old\",\"$new\",1,3]]" || fail "forgotten: $(share .rotations)"
change 1 b new
wait_for 10 moved_is "[[\"d\",\"$old\",\"$new\",2,3]]"
change 2 c new
wait_for 10 moved_is '[]'
wait_for 5 grep -q "its 3 VMs all have key $new, $old is refused from now on" "$dir/server.log"
is "$(share '[.identities[].key]')" "[\"$new\"]" "one set again"
refuses "another key" "${run_agent[@]}" --vm other --key "$dir/old.key" --epochs 1
is "$(query 'SELECT count(*) FROM key_rotation')" 0 "rows"

# There and back, before any has gone.
"$mbctl" key rotate d --key "$dir/third.key" >/dev/null
"$mbctl" key rotate d --to "$new" | grep -q 'No trust domain' || fail "back"
is "$(query 'SELECT count(*) FROM key_rotation')" 0 "rows"
refuses "another key" "${run_agent[@]}" --vm other --key "$dir/third.key" --epochs 1
# And when one has.
"$mbctl" key rotate d --key "$dir/third.key" >/dev/null
change 0 a third
wait_for 10 moved_is "[[\"d\",\"$new\",\"$("$mbctl" key id "$dir/third.key")\",1,3]]"
"$mbctl" key rotate d --to "$new" >/dev/null
change 0 a new
wait_for 10 moved_is '[]'
for pid in "${agents[@]}"; do
	kill "$pid"
	wait "$pid" || fail "an agent failed: $(tail -n 3 "$dir"/[abc].log)"
done
# An agent never lost a connection but by its own doing, or the server's.
stop_server
