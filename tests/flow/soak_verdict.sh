#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How a soak is judged (tests/bench/soak_verdict): a day in which all is well, then one thing after another
# that is not.
set -eu
. tests/flow/lib.sh
command -v jq >/dev/null || {
	echo "no jq (ci/deps test installs it)"
	exit 77
}

# day [JQ]: of a fleet without faults, changed as JQ says
day()
{
	jq -n '{kernel: "x", hours: 24, keep_history_s: 21600,
		agent: [range(1; 25) | {hour: ., epochs: 60, audits: 1, read: 9, changed: 9,
			followed_changed: 100, followed_stale: 0, cpu_s: 20, bpf_s: 1, rss_kib: 9000,
			anon_kib: (4000 + . % 4), fds: 30, threads: 1}],
		server: [range(1; 25) | {hour: ., cpu_s: 9, rss_kib: 20000, anon_kib: (8000 + . % 3),
			fds: 20, threads: 8, db_kib: 500, history: 360, history_epochs: 360, who: 9,
			audit: 9, sharing: 9, history_s: ([. * 3600, 21600] | min), slab_kib: 9}]} |
		'"${1:-.}" >"$dir/day"
}

# fails WHAT: this and nothing else
fails()
{
	! tests/bench/soak_verdict "$dir/day" >"$dir/said" || fail "passes: $(cat "$dir/said")"
	is "$(sed -n 's/^FAILED *\([a-z]*\) .*/\1/p' "$dir/said" | tr '\n' ' ')" "$1 " "what fails"
}

day
tests/bench/soak_verdict "$dir/day" >"$dir/said" || fail "a good day: $(cat "$dir/said")"
grep -q '^ok  *memory  *agent: ' "$dir/said" || fail "does not say how the agent's memory grows"

# 64 bytes an epoch are 90 KiB a day, what 9000 KiB of RSS allow.
day '.agent[] |= (.anon_kib += .hour * 60 * 63 / 1024)'
tests/bench/soak_verdict "$dir/day" >"$dir/said" || fail "less than 1 % a day: $(cat "$dir/said")"
day '.agent[] |= (.anon_kib += .hour * 60 * 66 / 1024)'
fails memory
day '.server[] |= (.anon_kib += .hour * 12)'
fails memory
# What is taken in the first hours is no leak.
day '.server[0:6][].anon_kib = 100'
tests/bench/soak_verdict "$dir/day" >/dev/null || fail "the first hours count"
day '.agent[5].cpu_s = 35.5'
fails cpu
day '.agent[7].followed_stale = 1'
fails stale
day '.agent[].followed_changed = 0'
fails stale
day '.agent[9].epochs = 58'
fails hours
day 'del(.agent[23])'
fails hours
day '.agent = [] | .server = []'
fails hours
day '.server[9].history_s = 30000'
fails history
day '.server[9].history_s = 100'
fails history
day '.agent[23].fds = 31'
fails open
day '.server[23].threads = 9'
fails open
echo '{' >"$dir/day"
! tests/bench/soak_verdict "$dir/day" >/dev/null 2>&1 || fail "half a file passes"
