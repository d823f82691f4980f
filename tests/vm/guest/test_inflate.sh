#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# The host takes half of the guest's memory away, and gives it back.

fail()
{
	echo "$*"
	exit 1
}

free()
{
	echo $(($(sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
}

if ! ls /sys/bus/virtio/drivers/virtio_balloon/virtio* >/run/balloon 2>&1; then
	echo "no balloon here"
	exit 77
fi
all=$(free)
half=$(mbhost balloon 512) || fail "balloon 512: $half"
[ "$half" = 512 ] || fail "balloon 512: has $half"
[ "$(free)" -lt $((all - 400)) ] || fail "had $all MiB free, and now $(free)"
whole=$(mbhost balloon 1024) || fail "balloon 1024: $whole"
[ "$(free)" -gt $((all - 100)) ] || fail "had $all MiB free, and has now, all given back, $(free)"
