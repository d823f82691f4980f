#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Loads and unloads the module many times: its device comes, is root's alone, and goes.

fail()
{
	echo "round $round: $*"
	exit 1
}

loaded()
{
	grep -q '^mbwalk ' /proc/modules
}

round=0
while [ $round -lt 20 ]; do
	round=$((round + 1))
	if loaded; then
		rmmod mbwalk || fail "rmmod"
	fi
	loaded && fail "still in /proc/modules"
	[ ! -e /dev/mbwalk ] || fail "/dev/mbwalk is still there"
	insmod "$MODULE" || fail "insmod"
	[ -c /dev/mbwalk ] || fail "no /dev/mbwalk"
	mode=$(stat -c '%a %u %g' /dev/mbwalk)
	[ "$mode" = "600 0 0" ] || fail "/dev/mbwalk is $mode, not 600 0 0"
done
