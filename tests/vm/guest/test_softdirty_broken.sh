#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# What test_softdirty finds: bits that are never cleared, frames that another page has come to.

# broken HOW WORDS
broken()
{
	MB_DEBUG_TRACK=$1 /tests/test_softdirty >/tmp/broken
	code=$?
	if [ $code = 77 ]; then
		tail -n 1 /tmp/broken
		exit 77
	fi
	echo "$1:"
	grep -E 'recall|precision' /tmp/broken
	tail -n 1 /tmp/broken | grep -q "$2\$" && [ $code = 1 ]
}

broken no-clear 'were flagged' || exit 1
if grep -q '^swap-in: not here' /tmp/broken; then
	echo "no swap, so pages stay in their frames"
	exit 0
fi
broken no-place 'were missed'
