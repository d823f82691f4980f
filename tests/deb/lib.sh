# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of the packages have in common: a fresh root of Debian 12, kept below build/cache, and steps
# whose output is kept in $work/NAME.txt, for docs/install.md.
# They set $root.
# shellcheck disable=SC2034,SC2154 # used and set by those who source this

: "${DEB:=build/deb}"
work=build/deb-test
cache=build/cache/deb
suite=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# is GOT EXPECTED 'WHAT'
is() {
	[ "$1" = "$2" ] || fail "$3: \"$1\", expected \"$2\""
}

# in_root COMMAND...: there, with a /proc of its own; what it starts ends with it
in_root() {
	unshare --mount --pid --fork --kill-child --root "$root" --wd / --mount-proc=/proc \
		/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive "$@"
}

# alone_in_root COMMAND...: the same, with a loopback of its own
alone_in_root() {
	# shellcheck disable=SC2016 # the inner shell's
	unshare --net bash -c '. tests/deb/lib.sh && root=$0 && ip link set lo up && in_root "$@"' "$root" "$@"
}

# fresh_root DIR: unpacked from the cache, which gets it from the mirror
fresh_root() {
	local made=$cache/$suite.tar.zst part=$cache/$suite.$$

	mkdir -p "$cache/archives"
	if [ ! -e "$made" ]; then
		debootstrap --variant=minbase --include=systemd-sysv,dbus,udev,kmod,ca-certificates \
			"$suite" "$part" "$mirror" >"$part.log" 2>&1 ||
			fail "debootstrap: $(tail -n 5 "$part.log")"
		tar -c -C "$part" --numeric-owner . | zstd -q -3 >"$part.tar"
		mv "$part.tar" "$made"
		rm -rf "$part" "$part.log"
	fi
	rm -rf "$1"
	mkdir -p "$1"
	zstd -dc "$made" | tar -x -C "$1" --numeric-owner
	# A mirror need not be asked twice for what has a version.
	cp -n "$cache"/archives/*.deb "$1/var/cache/apt/archives/" 2>/dev/null || :
}

# What apt has fetched is there for the next run.
keep_archives() {
	cp -n "$root"/var/cache/apt/archives/*.deb "$cache/archives/" 2>/dev/null || :
}

# step NAME 'WORDS FOR PEOPLE' COMMAND...: its output and time go to $work/NAME.txt
step() {
	local name=$1 begun=$SECONDS code=0

	echo "\$ $2" >"$work/$name.txt"
	"${@:3}" >>"$work/$name.txt" 2>&1 </dev/null || code=$?
	echo "($((SECONDS - begun)) s)" >>"$work/$name.txt"
	[ $code = 0 ] || fail "$2: exit code $code: $(tail -n 30 "$work/$name.txt")"
}

# package NAME [DIR]: its file
package() {
	local found=("${2:-$DEB}/$1"_*.deb)

	if [ ! -e "${found[0]}" ] || [ ${#found[@]} != 1 ]; then
		fail "not one $1 in ${2:-$DEB} (make deb)"
	fi
	echo "${found[0]}"
}
