#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The README's example, run as it stands: the default ports in a network of its own, and a sleeping
# process where it names a QEMU.
set -eu
. tests/flow/lib.sh
top=$PWD
unshare -n true 2>/dev/null || {
	echo "no network namespace of one's own (needs root)"
	exit 77
}
mkdir "$dir/bin" "$dir/user"
sleep 1000 &
pids+=($!)
printf '#!/bin/sh\necho %d\n' $! >"$dir/bin/pgrep"
chmod +x "$dir/bin/pgrep"

# What stays in the foreground of a terminal goes to the background here.
# shellcheck disable=SC2016 # $started is for the example
awk '/^```sh$/ {on = 1; next} /^```$/ {on = 0} on' README.md |
	sed -E 's/^mb(server|agent run) .*/& 2>>log \& started="$started $!"; sleep 1/' >"$dir/example"
grep -q '^mbagent run' "$dir/example" || fail "no example in the README"
cat >"$dir/script" <<-END
	set -e
	started=
	trap 'kill \$started' EXIT
	ip link set lo up
	cd "$dir/user"
	PATH="$dir/bin:$top/$BUILD:\$PATH"
	. "$dir/example"
END
unshare -n bash "$dir/script" >"$dir/out" 2>&1 || fail "the example: $(cat "$dir/out" "$dir/user/log")"
for word in web1 'inter any MB' 'History of VM web1' 'Plan by planner best'; do
	grep -q "$word" "$dir/out" || fail "no \"$word\": $(cat "$dir/out")"
done
