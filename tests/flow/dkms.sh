#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The tree that ci/kmod-src lays out is one that DKMS builds for a kernel; nothing is installed.
set -eu
. tests/flow/lib.sh
PATH=$PATH:/usr/sbin:/sbin
command -v dkms >/dev/null || {
	echo "no dkms (ci/deps test installs it)"
	exit 77
}
ci/kernel fetch 6.1 build/cache >"$dir/kernel" 2>"$dir/err" || {
	echo "no kernel to build for: $(tail -n 1 "$dir/err")"
	exit 77
}
headers=$(realpath build/cache/kernels/6.1/kdir)
kernel=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"/\1/p' "$headers/include/generated/utsrelease.h")
version=0.7.1
mkdir "$dir"/{source,dkms}
ci/kmod-src "$dir/source/mbwalk-$version" $version

# step ACTION [OPTION...]
step() {
	# Of this make, not of one that calls us.
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL TMPDIR="$dir" \
		dkms "$1" -m mbwalk -v $version --dkmstree "$dir/dkms" --sourcetree "$dir/source" \
		"${@:2}" >"$dir/out" 2>&1 ||
		fail "dkms $1: $(cat "$dir/out" "$dir/dkms/mbwalk/$version/build/make.log" 2>/dev/null)"
}

step add
step build -k "$kernel" --kernelsourcedir "$headers"
step status
grep -q "^mbwalk/$version, $kernel, .*: built$" "$dir/out" || fail "not built: $(cat "$dir/out")"
mapfile -t built < <(find "$dir/dkms/mbwalk/$version/$kernel" -name '*.ko*')
[ ${#built[@]} = 1 ] || fail "not one module, but: ${built[*]}"
[ "$(modinfo -F name "${built[0]}")" = mbwalk ] || fail "another module: ${built[0]}"
magic=$(modinfo -F vermagic "${built[0]}")
[ "${magic%% *}" = "$kernel" ] || fail "built for $magic, not $kernel"
exit 0
