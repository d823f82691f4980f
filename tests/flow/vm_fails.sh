#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the guests' harness is for: a test that fails, hangs or is silent, a kernel that complains or dies,
# a module that stays, each seen to fail; on a real kernel, with a module that does wrong when told to.
set -eu
. tests/flow/lib.sh
for program in qemu-system-x86_64 cpio busybox depmod; do
	PATH=$PATH:/sbin:/usr/sbin command -v $program >/dev/null || {
		echo "no $program (ci/deps vm installs it)"
		exit 77
	}
done
ci/kernel fetch 6.1 build/cache >"$dir/kernel" 2>"$dir/err" || {
	echo "no kernel for the guests: $(tail -n 1 "$dir/err")"
	exit 77
}
root=build/cache/kernels/6.1
MODULE_TREE=$PWD/tests/vm/selftest ci/build-module $root/kdir "$dir/module" || fail "the module does not build"

# guest NAME TESTS [OPTION...]: one that must fail; its lines go to $dir/NAME
guest()
{
	local name=$1 tests=$2 code=0

	shift 2
	tests/vm/run --kernel "$(cat "$dir/kernel")" --module "$dir/module" \
		--modules "$(echo $root/lib/modules/*)" --name x --log "$dir/log.$name" \
		--from tests/vm/selftest --tests "$tests" "$@" two >"$dir/$name" 2>&1 || code=$?
	[ $code = 1 ] || echo "exit code $code" >>"$dir/$name"
}

# says NAME LINE: in full, but for the seconds and for what the kernel has said
says()
{
	sed -E 's/ \([0-9]+ s\)$//; s/\(\[.*\] (WARNING).*/(\1)/' "$dir/$1" | grep -qxF -- "  $2" ||
		fail "does not say '$2': $(cat "$dir/$1")"
}

guest tests exit,hang:3,skip,nosuch,smap,hold &
guest warn warn &
wait
says tests 'FAILED  vm x two exit (exit 3)'
says tests 'FAILED  vm x two hang (killed after 3 s)'
says tests 'skip    vm x two skip: nothing to be seen: here'
says tests 'FAILED  vm x two nosuch (there is no such test)'
says tests 'ok      vm x two smap'
says tests 'ok      vm x two hold'
says tests 'FAILED  vm x two unload (rmmod)'
says tests 'ok      vm x two boot'
says warn 'ok      vm x two warn'
says warn 'ok      vm x two unload'
says warn 'FAILED  vm x two boot (WARNING)'

guest panic skip,panic &
guest still still --seconds 30 &
wait
says panic 'skip    vm x two skip: nothing to be seen: here'
says panic 'FAILED  vm x two panic (no verdict)'
says panic 'FAILED  vm x two unload (no verdict)'
grep -q '^  FAILED  vm x two boot' "$dir/panic" || fail "a panic passed: $(cat "$dir/panic")"
says still 'FAILED  vm x two still (no verdict)'
says still 'FAILED  vm x two boot (the guest is killed: it has not ended in time)'
! grep -h '^exit code' "$dir"/{tests,warn,panic,still} || fail "tests/vm/run must end with 1"
exit 0
