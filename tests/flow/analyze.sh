#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mbctl analyze on the seed project's real traces: the figures of its report, and what deltas weigh.
# usage: BUILD=DIR tests/flow/analyze.sh      MB_TRACES: the folder of the traces
set -eu -o pipefail

cd "$(dirname "$0")/../.."
mbctl=${BUILD:-build/release}/mbctl
traces=${MB_TRACES:-../shared/traces}
if [ ! -d "$traces" ]; then
	echo "skipped: no real traces at $traces (set MB_TRACES)"
	exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

die()
{
	echo "analyze.sh: $*" >&2
	exit 1
}

is()
{
	[ "$1" = "$2" ] || die "$3: \"$1\", expected \"$2\""
}

trace()
{
	echo "$traces/${1%/*}/VM1.txt${1#*/}.zst"
}

# --- pages and distinct digests of each trace ---------------------------------------------------

checked=0
while read -r name pages distinct; do
	file=$(trace "$name")
	[ -e "$file" ] || continue
	checked=$((checked + 1))
	"$mbctl" analyze --json "$file" >"$tmp/one"
	is "$(jq -r '.files[0] | "\(.pages) \(.distinct) \(.self)"' "$tmp/one")" \
		"$pages $distinct $((pages - distinct))" "$name"
	is "$(jq '.files[0] | .self - .self_nonzero == ([.zero - 1, 0] | max)' "$tmp/one")" true \
		"$name: self-sharing without the zero page"
	is "$(jq '.pairs | length' "$tmp/one")" 0 "pairs of one trace"
done <<-END
	Trace3/0 231392 202482
	Trace3/1 240187 209841
	Trace3/2 244018 208300
	Trace4/0 244018 219397
	Trace4/1 244018 224341
	kernelBuild/0 236061 219989
	kernelBuild/1 280728 255972
END
[ "$checked" -gt 0 ] || die "no known trace in $traces"

# --- the report's table: inter-VM sharing in whole MB -------------------------------------------

while read -r a b mb; do
	if [ ! -e "$(trace "$a")" ] || [ ! -e "$(trace "$b")" ]; then
		continue
	fi
	for pair in "$a $b" "$b $a"; do
		is "$("$mbctl" analyze --json "$(trace "${pair% *}")" "$(trace "${pair#* }")" |
			jq '.pairs[0].inter / 256 | floor')" "$mb" "$pair"
	done
done <<-END
	Trace3/0 kernelBuild/1 254
	Trace3/0 Trace3/2 235
	Trace3/0 Trace4/0 207
	kernelBuild/1 Trace3/2 121
	kernelBuild/1 Trace4/0 114
	Trace3/2 Trace4/0 339
END

# --- what an agent would send -------------------------------------------------------------------

for limit in 64:5.8 48:4.0; do
	for folder in Trace3 kernelBuild; do
		if [ ! -e "$(trace $folder/0)" ] || [ ! -e "$(trace $folder/1)" ]; then
			continue
		fi
		"$mbctl" analyze --json --delta --bits "${limit%:*}" "$(trace $folder/0)" \
			"$(trace $folder/1)" >"$tmp/delta"
		jq -r --arg f "$folder" '.deltas[0] |
			"\($f): \(.wire_bytes) bytes, \(.bytes_per_added * 100 | round / 100) per added page at \(.bits) bits"' \
			"$tmp/delta"
		is "$(jq ".deltas[0] | .bits == ${limit%:*} and .bytes_per_added <= ${limit#*:} and
			.bytes_per_added == .wire_bytes / .added" "$tmp/delta")" true "$folder"
		# Pages gained less pages lost is the growth.
		is "$(jq '.deltas[0].added - .deltas[0].removed == .files[1].pages - .files[0].pages and
			.deltas[0].added_distinct - .deltas[0].removed_distinct ==
				.files[1].distinct - .files[0].distinct' "$tmp/delta")" true "$folder: growth"
	done
done

# --- the same for people ------------------------------------------------------------------------

file=$(trace Trace3/0)
if [ -e "$file" ]; then
	"$mbctl" analyze "$file" "$file" >"$tmp/text"
	grep -q "VM1.txt0.zst  231392  903.9     52.6     60.4        790.9" "$tmp/text" || die "text: $(cat "$tmp/text")"
	# A trace shares all its distinct digests with itself; unpacked or not, piped or not.
	zstd -dqc "$file" >"$tmp/plain"
	is "$("$mbctl" analyze --json "$file" - <"$tmp/plain" | jq '.pairs[0].inter')" 202482 \
		"plain and zstd"
fi
