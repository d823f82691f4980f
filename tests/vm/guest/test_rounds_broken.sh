#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Without one of the rules test_rounds must find wrong pages: it can.
for broken in no-rule-3 no-rule-2 protect-first no-protect; do
	MB_DEBUG_TRACK=$broken /tests/test_rounds >/tmp/broken
	code=$?
	if [ $code = 77 ]; then
		tail -n 1 /tmp/broken
		exit 77
	fi
	echo "$broken: exit code $code"
	grep -E 'wrong at the server [^0]|stale|pages were wrong' /tmp/broken
	if [ $code != 1 ] || ! grep -q 'pages were wrong at the server' /tmp/broken; then
		tail -n 5 /tmp/broken
		exit 1
	fi
	# The next one starts from nothing.
	pidof test_rounds | xargs kill -9 2>/dev/null
	sleep 1
	umount /tmp/track.disk && losetup -d /dev/loop3
	swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset
	rmdir /tmp/track.cgroup/slow
	umount /tmp/track.cgroup
	rm -rf /tmp/track.* /tmp/rounds.*
done
exit 0
