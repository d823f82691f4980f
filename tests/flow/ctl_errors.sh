#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What mbctl says when it cannot do what it was asked: exit code 1 and one line that names the file
# and what is wrong with it; exit code 2 for wrong usage.
# usage: BUILD=DIR tests/flow/ctl_errors.sh
set -eu -o pipefail

cd "$(dirname "$0")/../.."
mbctl=${BUILD:-build/release}/mbctl
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

die()
{
	echo "ctl_errors.sh: $*" >&2
	exit 1
}

# fails CODE WORDS COMMAND...: nothing on standard output, and for code 1 one line of reason
fails()
{
	local code=$1 words=$2 got=0

	shift 2
	"$mbctl" "$@" >"$tmp/out" 2>"$tmp/err" || got=$?
	[ "$got" = "$code" ] || die "$*: exit code $got, not $code: $(cat "$tmp/err")"
	grep -qF -- "$words" "$tmp/err" || die "$*: no \"$words\" in: $(cat "$tmp/err")"
	[ ! -s "$tmp/out" ] || die "$*: wrote to standard output"
	if [ "$code" = 1 ]; then
		[ "$(wc -l <"$tmp/err")" = 1 ] || die "$*: several lines: $(cat "$tmp/err")"
		grep -q '^mbctl: error: ' "$tmp/err" || die "$*: $(cat "$tmp/err")"
	fi
}

# --- usage --------------------------------------------------------------------------------------

fails 2 usage:
fails 2 'no command "frobnicate"' frobnicate
fails 2 "at least one trace" analyze
fails 2 "none of 64, 48, 32" analyze --delta --bits 63 x
fails 2 "goes with --delta" analyze --bits 48 x
fails 2 "unrecognized option" analyze --frob x
fails 2 "name the VM" history
fails 2 "too much" history a b
fails 2 "too much" audits a
fails 2 "too much" status a
fails 2 "--limit" history --limit 0 a
fails 2 "--overcommit" plan --overcommit -3
fails 2 'no planner "x"' plan --fleet f --planner x
fails 2 "not together" plan --fleet f --server http://127.0.0.1:1
fails 2 "not a URL" status --server 127.0.0.1:1
fails 2 "not a URL" status --server file:///etc/passwd
for command in status share plan history audits analyze; do
	"$mbctl" $command --help >"$tmp/help" || die "$command --help"
	grep -q json "$tmp/help" || die "$command --help: $(cat "$tmp/help")"
done

# --- traces -------------------------------------------------------------------------------------

seq 1000 3000 >"$tmp/good"
printf '1\n2\nx3\n' >"$tmp/letters"
printf '1\n4294967296\n' >"$tmp/large"
printf '1\n-2\n' >"$tmp/negative"
: >"$tmp/empty"
printf 'MBFR0000000000000000' >"$tmp/frame"
zstd -q "$tmp/good" -o "$tmp/good.zst"
size=$(stat -c %s "$tmp/good.zst")
head -c $((size - 9)) "$tmp/good.zst" >"$tmp/cut.zst"
head -c $((size / 2)) "$tmp/good.zst" >"$tmp/half.zst"
fails 1 "$tmp/letters: line 3: 'x'" analyze "$tmp/good" "$tmp/letters"
fails 1 "$tmp/large: line 2: number above 32 bits" analyze "$tmp/large" "$tmp/good"
fails 1 "$tmp/negative: line 2: '-'" analyze "$tmp/negative"
fails 1 "$tmp/empty: empty file" analyze "$tmp/empty"
fails 1 "$tmp/none: No such file" analyze "$tmp/none"
fails 1 "$tmp: is a directory" analyze "$tmp"
fails 1 "$tmp/cut.zst: zstd:" analyze "$tmp/cut.zst"
fails 1 "$tmp/half.zst: zstd:" analyze --json "$tmp/half.zst"
fails 1 "$tmp/frame: trace frame 1:" analyze "$tmp/frame"
printf 'a\nb\n' | fails 1 "-: line 1: 'a'" analyze -
"$mbctl" analyze --json "$tmp/good" "$tmp/good.zst" |
	jq -e '.pairs[0].inter == 2001 and .files[0].pages == 2001' >"$tmp/out" || die "good traces"

# --- fleet files --------------------------------------------------------------------------------

hosts='"hosts": [{"name": "h", "memory_mb": 100}]'
# bad_fleet WORDS TEXT
bad_fleet()
{
	printf '%s\n' "$2" >"$tmp/fleet.json"
	fails 1 "$1" plan --fleet "$tmp/fleet.json"
	grep -qF "$tmp/fleet.json" "$tmp/err" || die "file not named: $(cat "$tmp/err")"
}
bad_fleet "line 2, column" '{
}}'
bad_fleet 'no "hosts"' '{"vms": []}'
bad_fleet 'unknown key "host"' "{$hosts, \"vms\": [], \"host\": 1}"
bad_fleet 'vms[0].memory_mb: not a whole number' "{$hosts, \"vms\": [{\"name\": \"a\", \"memory_mb\": 0}]}"
bad_fleet 'vms[0].host: no host "x"' \
	"{$hosts, \"vms\": [{\"name\": \"a\", \"memory_mb\": 1, \"host\": \"x\"}]}"
bad_fleet 'VM "a" has no trace' "{$hosts, \"vms\": [{\"name\": \"a\", \"memory_mb\": 1}]}"
fails 1 "$tmp/none.json: No such file" plan --fleet "$tmp/none.json"
fails 1 "$tmp: Is a directory" plan --fleet "$tmp"
printf '{%s, "vms": [{"name": "a", "memory_mb": 1, "trace": "letters"}]}' "$hosts" >"$tmp/fleet.json"
fails 1 "VM \"a\": $tmp/letters: line 3" plan --fleet "$tmp/fleet.json"
printf '{%s, "vms": [{"name": "a", "memory_mb": 101, "trace": "good"}]}' "$hosts" >"$tmp/fleet.json"
fails 1 '"a"' plan --fleet "$tmp/fleet.json" --planner best
"$mbctl" plan --fleet "$tmp/fleet.json" --planner best --overcommit 1 --json |
	jq -e '.placement.a == "h"' >"$tmp/out" || die "overcommit"

# --- the server, and a full disk ----------------------------------------------------------------

fails 1 "no server at http://127.0.0.1:1 (is mbserver running? --server URL)" \
	status --server http://127.0.0.1:1
MBCTL_SERVER=http://127.0.0.1:2 fails 1 "no server at http://127.0.0.1:2" share
if [ -e /dev/full ]; then
	for json in "" --json; do
		got=0
		# shellcheck disable=SC2086 # nothing or one word
		"$mbctl" analyze $json "$tmp/good" >/dev/full 2>"$tmp/err" || got=$?
		[ "$got" = 1 ] || die "full disk: exit code $got"
		grep -q "standard output" "$tmp/err" || die "full disk: $(cat "$tmp/err")"
	done
fi
