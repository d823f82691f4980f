#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash disable=SC2317 # some are called by wait_for
# Memory is plugged in, taken into use, put out of use, pulled out: in the guest's and the host's eyes.

blocks=/sys/devices/system/memory

fail()
{
	echo "$*"
	exit 1
}

mib()
{
	echo $(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
}

# wait_for SECONDS COMMAND...
wait_for()
{
	local tries=$(($1 * 10))

	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		usleep 100000
	done
}

came()
{
	for block in "$blocks"/memory*; do
		[ "$(cat "$block/state")" = online ] || echo online_movable >"$block/state" 2>/run/online
	done
	[ "$(mib)" -ge $((before + 200)) ]
}

gone()
{
	for block in "$blocks"/memory*; do
		case $known in
		*" ${block##*/} "*) ;;
		*) [ "$(cat "$block/state")" = offline ] || echo offline >"$block/state" 2>/run/offline ;;
		esac
	done
	[ "$(mib)" = "$before" ]
}

if ! [ -d "$blocks" ]; then
	echo "this kernel has no memory hotplug"
	exit 77
fi
[ "$(cat "$blocks/auto_online_blocks")" = offline ] || echo online_movable >"$blocks/auto_online_blocks"
before=$(mib)
known=" "
for block in "$blocks"/memory*; do
	known="$known${block##*/} "
done
mbhost dimm 256 || fail "no dimm"
wait_for 30 came || fail "$(mib) MiB, and had $before before 256 came"
wait_for 30 gone || fail "$(mib) MiB, and had $before before 256 came and went: $(cat /run/offline)"
mbhost undimm || fail "the dimm is not to be pulled out"
for block in "$blocks"/memory*; do
	case $known in
	*" ${block##*/} "*) ;;
	*) fail "${block##*/} is still there" ;;
	esac
done
mbhost dimm lots && fail "the host takes anything"
exit 0
