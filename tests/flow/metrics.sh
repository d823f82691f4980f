#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What server and agent tell Prometheus: promtool finds no fault with it, every name is in the docs, and
# the alerts fire when they should.
set -eu -o pipefail
. tests/flow/lib.sh

# A server with an epoch in it, and sharing that was computed.
trace=$dir/trace.txt
seq 1000 1300 >"$trace"
echo '{ "hosts": [ { "name": "h1", "memory_mb": 64 } ], "vms": [] }' >"$dir/fleet.json"
server --fleet "$dir/fleet.json"
curl -sf "$http/healthz" >/dev/null || fail "not alive"
curl -sf "$http/readyz" >/dev/null || fail "not ready"
for page in readyz v1/status; do
	curl -sfI "$http/$page" >/dev/null || fail "no HEAD of $page"
done
for vm in web1 web2; do
	"$mbagent" run --source "trace:$trace" --vm $vm --host h1 --interval 0 --server "unix:$dir/sock" \
		--metrics "$dir/$vm.prom" >"$dir/$vm.log" 2>&1 || fail "agent: $(cat "$dir/$vm.log")"
done
"$mbctl" share --server "$http" >/dev/null
curl -sf "$http/metrics" >"$dir/server.prom"
grep -q '^memory_buddies_vm_inter_sharable_pages{vm="web1"} 301$' "$dir/server.prom" ||
	fail "web1 shares: $(grep inter_sharable "$dir/server.prom")"
grep -q '^memory_buddies_host_inter_saving_pages{host="h1"} 301$' "$dir/server.prom" ||
	fail "h1 saves: $(grep host_inter "$dir/server.prom")"
grep -q '^memory_buddies_agent_pages 301$' "$dir/web1.prom" || fail "agent: $(cat "$dir/web1.prom")"
grep -q '^memory_buddies_agent_acked_timestamp_seconds [0-9]' "$dir/web1.prom" || fail "never acked"

# What is told is described, and what is described or asked for is told.
cat "$dir/server.prom" "$dir/web1.prom" | sed -n 's/^# TYPE \(memory_buddies_[a-z_]*\) .*/\1/p' | sort -u >"$dir/told"
# Only with TLS.
echo memory_buddies_refused_connections_total >>"$dir/told"
grep -o 'memory_buddies_[a-z_]*[a-z]' docs/metrics.md | sort -u >"$dir/described"
grep -oh 'memory_buddies_[a-z_]*[a-z]' docs/monitoring/* | sort -u >"$dir/asked"
comm -23 <(sort -u "$dir/told") "$dir/described" | grep . && fail "not in docs/metrics.md"
comm -13 <(sort -u "$dir/told") "$dir/described" | grep . && fail "docs/metrics.md has what is not told"
comm -13 <(sort -u "$dir/told") "$dir/asked" | grep . && fail "docs/monitoring asks for what is not told"
jq -e '.panels | length > 5' docs/monitoring/dashboard.json >/dev/null || fail "dashboard"

# An agent says at once that it cannot write them.
code=0
"$mbagent" run --source "trace:$trace" --vm web3 --server "unix:$dir/sock" --metrics /nowhere/x.prom \
	>"$dir/out" 2>&1 || code=$?
is "$code" 1 "exit code of --metrics /nowhere"
grep -q '\-\-metrics: /nowhere/x.prom' "$dir/out" || fail "$(cat "$dir/out")"

code=0
promtool=$(ci/promtool build/cache 2>"$dir/out" | tail -n 1) || code=$?
if [ $code != 0 ]; then
	echo "all but promtool's checks: $(tail -n 1 "$dir/out")"
	exit 77
fi
for file in server web1; do
	"$promtool" check metrics <"$dir/$file.prom" >"$dir/out" 2>&1 || fail "$file: $(cat "$dir/out")"
	[ ! -s "$dir/out" ] || fail "$file: $(cat "$dir/out")"
done
cp docs/monitoring/alerts.yml tests/flow/alerts_test.yml "$dir"
"$promtool" check rules "$dir/alerts.yml" >"$dir/out" 2>&1 || fail "$(cat "$dir/out")"
"$promtool" test rules "$dir/alerts_test.yml" >"$dir/out" 2>&1 || fail "$(cat "$dir/out")"
