#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A changed header makes what includes it again, and nothing else.
set -eu
. tests/flow/lib.sh
# As old as before in the end: other builds of this tree have no reason to make anything.
touched=(proto/planes.h proto/membuddies.proto)
for file in "${touched[@]}"; do
	touch -r "$file" "$dir/${file##*/}"
done
at_end() {
	for file in "${touched[@]}"; do
		touch -r "$dir/${file##*/}" "$file"
	done
}
# Not the make that may be running this test.
unset MAKEFLAGS MFLAGS MAKELEVEL
make all >/dev/null
make all | grep -v 'Nothing to be done' && fail "a second make makes something"
touch proto/planes.h
made=$(make all)
grep -q 'CC .*proto/planes.c' <<<"$made" || fail "planes.c was not made again"
grep -q 'CC .*proto/delta_code.c' <<<"$made" || fail "delta_code.c was not made again"
grep -q 'CC .*agent/ticker.c' <<<"$made" && fail "ticker.c was made again for nothing"
touch proto/membuddies.proto
made=$(make all)
grep -q 'PROTOC' <<<"$made" || fail "the .proto was not compiled again"
grep -q 'CC .*proto/msg.c' <<<"$made" || fail "msg.c was not made again"
