#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demo on real guests: it checks by itself that the plans bring together those that are alike.
# Ctrl-C leaves nothing behind.
set -eu
. tests/flow/lib.sh
for program in qemu-system-x86_64 cpio busybox; do
	command -v $program >/dev/null || {
		echo "no $program (ci/deps vm installs it)"
		exit 77
	}
done
ci/kernel fetch 6.1 build/cache >/dev/null 2>"$dir/kernel" || {
	echo "no kernel for the guests: $(tail -n 1 "$dir/kernel")"
	exit 77
}
TMPDIR=$dir timeout 500 tests/demo/run "$BUILD" >"$dir/out" || fail "the demo: $(tail -n 20 "$dir/out")"
grep -q 'Inter-VM sharing' "$dir/out" || fail "no matrix: $(cat "$dir/out")"
compgen -G "$dir/mb-demo.*" >/dev/null && fail "left behind: $(ls "$dir")"

# stopped_at SECONDS PATTERN: Ctrl-C some time after the demo has said so, between compilers or guests.
stopped_at() {
	local demo code=0 out=$dir/out.$2
	# A shell starts its background jobs deaf to Ctrl-C.
	TMPDIR=$dir setsid env --default-signal=INT tests/demo/run "$BUILD" >"$out" 2>&1 &
	demo=$!
	pids+=("$demo")
	wait_for 120 grep -q "^$2\." "$out"
	sleep "$1"
	kill -INT -- "-$demo"
	wait "$demo" || code=$?
	[ $code = 130 ] || fail "Ctrl-C in step $2 ended the demo with $code: $(tail -n 5 "$out")"
	compgen -G "$dir/mb-demo.*" >/dev/null && fail "left behind: $(ls "$dir")"
	# What has ended and nobody has asked about yet is no more.
	pgrep -r D,R,S,T -s "$demo" >/dev/null && fail "processes left: $(pgrep -r D,R,S,T -s "$demo" -a)"
	return 0
}
stopped_at 2 1
stopped_at 1 3
