#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Without write protection test_track must fail: it can.
MB_DEBUG_TRACK=no-protect /tests/test_track >/tmp/broken
code=$?
if [ $code = 77 ]; then
	tail -n 1 /tmp/broken
	exit 77
fi
grep -E 'recall|precision' /tmp/broken
grep -q 'were missed$' /tmp/broken && [ $code = 1 ]
