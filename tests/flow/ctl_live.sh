#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a server tells mbctl is what mbctl finds in the same traces without a server.
# usage: BUILD=DIR tests/flow/ctl_live.sh
set -eu -o pipefail

cd "$(dirname "$0")/../.."
build=${BUILD:-build/release}
tmp=$(mktemp -d)
server=""
# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT

die()
{
	echo "ctl_live.sh: $*" >&2
	[ ! -s "$tmp/server.log" ] || tail -n 20 "$tmp/server.log" >&2
	exit 1
}

is()
{
	[ "$1" = "$2" ] || die "$3: \"$1\", expected \"$2\""
}

mbctl()
{
	"$build/mbctl" "$@"
}

# Three VMs: a and b are much alike, c shares little; each has zero pages and copies of its own.
trace()
{
	for _ in 1 2 3; do
		echo 3051824092
		echo "$3"
	done
	seq "$1" "$2"
}
trace 1 4000 1 >"$tmp/a"
trace 1001 5000 7000 >"$tmp/b"
trace 4901 9000 5000 >"$tmp/c"
cat >"$tmp/fleet.json" <<-END
	{ "hosts": [ { "name": "h0", "memory_mb": 32 }, { "name": "h1", "memory_mb": 32 } ],
	  "vms": [ { "name": "a", "memory_mb": 16, "trace": "a", "host": "h0" },
	           { "name": "b", "memory_mb": 16, "trace": "b", "host": "h1" },
	           { "name": "c", "memory_mb": 16, "trace": "c", "host": "h1" } ],
	  "options": { "min_gain_mb": 1 } }
END

"$build/mbserver" --db "$tmp/db" --fleet "$tmp/fleet.json" --listen "unix:$tmp/agents" \
	--http 127.0.0.1:0 2>"$tmp/server.log" &
server=$!
for _ in {1..100}; do
	http=$(sed -n 's/.*http on \([^ ]*\).*/\1/p' "$tmp/server.log")
	[ -z "$http" ] || break
	kill -0 "$server" 2>/dev/null || die "the server has ended"
	sleep 0.05
done
export MBCTL_SERVER="http://$http"
is "$(mbctl status --json | jq '.vms | length')" 0 "VMs at first"
mbctl share >"$tmp/text"
for vm in a b c; do
	"$build/mbagent" run --source "trace:$tmp/$vm" --vm $vm --server "unix:$tmp/agents" --epochs 1 \
		--interval 0 --hash superfasthash32 2>"$tmp/agent.log" || die "agent: $(cat "$tmp/agent.log")"
done

mbctl analyze --json "$tmp/a" "$tmp/b" "$tmp/c" >"$tmp/analyze"
mbctl share --json >"$tmp/share"
is "$(jq -c '.identities[0] | [.inter[0][1], .inter[0][2], .inter[1][2]]' "$tmp/share")" \
	"$(jq -c '[.pairs[].inter]' "$tmp/analyze")" "inter-VM sharing"
self='[.[] | {pages, distinct, zero, self, self_nonzero}]'
is "$(jq -Sc ".identities[0].vms | $self" "$tmp/share")" "$(jq -Sc ".files | $self" "$tmp/analyze")" \
	"self-sharing in share"
is "$(mbctl status --json | jq -Sc ".vms | $self")" "$(jq -Sc ".files | $self" "$tmp/analyze")" \
	"self-sharing in status"
is "$(mbctl history a --json | jq -Sc ".rows | $self")" "$(jq -Sc ".files[:1] | $self" "$tmp/analyze")" \
	"self-sharing in history"
for planner in seed best; do
	mbctl plan --json --planner $planner >"$tmp/live"
	mbctl plan --json --planner $planner --fleet "$tmp/fleet.json" >"$tmp/offline"
	cmp "$tmp/live" "$tmp/offline" || die "planner $planner: live and offline differ"
	mbctl plan --planner $planner >"$tmp/text"
	mbctl plan --planner $planner --fleet "$tmp/fleet.json" | cmp - "$tmp/text" ||
		die "planner $planner: the texts differ, live and offline"
done
is "$(jq -c '[.placement.a == .placement.b, .placement.a == .placement.c]' "$tmp/live")" \
	"[true,false]" "best puts a and b together"
# The plan's figures are those of the pairs: b and c before, a and b after.
is "$(jq -c '.saving | [.inter_before_pages, .inter_after_pages]' "$tmp/live")" \
	"$(jq -c '[.pairs[2].inter, .pairs[0].inter]' "$tmp/analyze")" "inter-VM sharing of the plan"
is "$(jq -c '[.hosts[] | .full_before_mb, .full_after_mb]' "$tmp/live")" \
	"$(jq -c '[.hosts[] | (.vms_before, .vms_after | 16 * length)]' "$tmp/live")" "full MB of the plan"
grep -q '^inter-VM sharing: [0-9.]* MB -> [0-9.]* MB$' "$tmp/text" || die "plan: $(cat "$tmp/text")"

# The server's words are the reason of a failure.
for command in "history nobody" "plan --planner nobody"; do
	got=0
	# shellcheck disable=SC2086 # words on purpose
	mbctl $command >"$tmp/out" 2>"$tmp/err" || got=$?
	is "$got" 1 "$command"
	grep -q '^mbctl: error: server: .*"nobody"' "$tmp/err" || die "$command: $(cat "$tmp/err")"
done
for command in status share plan "history a" audits; do
	# shellcheck disable=SC2086 # words on purpose
	mbctl $command >"$tmp/text" || die "$command"
	[ -s "$tmp/text" ] || die "$command says nothing"
done

# An audit of b that missed something: b comes first, with what it missed.
sqlite3 -cmd '.timeout 5000' "$tmp/db" "
	UPDATE history SET audits = 1, doubted = 0, recall = 0.75, recall_all = 0.5, precision = 0.9, stale = 10,
		flagged = 50, flagged_changed = 45 WHERE vm = (SELECT id FROM vm WHERE name = 'b');
	INSERT INTO audit SELECT vm, acked_unix_ns, 'anon', 1, 40, 10 FROM history WHERE audits;
	INSERT INTO audit SELECT vm, acked_unix_ns, 'slab', 0, 40, 30 FROM history WHERE audits"
is "$(mbctl audits --json | jq -Sc .)" "$(curl -sS "$MBCTL_SERVER/v1/audits" | jq -Sc .)" "audits"
mbctl audits >"$tmp/text"
grep -qE '^none +3 +1 +75\.0 % +50\.0 % +90\.0 % +40  slab 30, anon 10 +-$' "$tmp/text" || die "audits: $(cat "$tmp/text")"
grep -A 2 '^The last audit' "$tmp/text" | grep -qE '^b +h1 +none +75\.0 % +50\.0 % +90\.0 % +40  slab 30, anon 10 +- +1$' ||
	die "audits: $(cat "$tmp/text")"
