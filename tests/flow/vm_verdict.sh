#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How the console of a test guest is judged: complaints of many kinds, tests that say nothing, guests that
# do not come to their end. What user space says is never taken for the kernel's.
set -eu
. tests/flow/lib.sh

# console LINE...: of a guest where all is well, but for these lines before its end
console()
{
	echo '[    0.000000] Linux version 6.1.0'
	printf '[    3.1] mbvm: %s\r\n' 'plan walk unload' 'test walk'
	for line in "$@"; do
		printf '[    3.2] %s\r\n' "$line"
	done
	printf '[    3.3] mbvm: %s\r\n' 'ok walk' 'ok unload' end
	echo '[    3.4] reboot: Power down'
} >"$dir/log"

# judged CODE LINE...: what it says is exactly this; judges $dir/log
judged()
{
	local code=$1 got=0

	shift
	printf '%s\n' "$@" >"$dir/want"
	tests/vm/verdict "$dir/log" >"$dir/got" || got=$?
	diff "$dir/want" "$dir/got" >&2 || fail "not so: $(cat "$dir/log")"
	[ "$got" = "$code" ] || fail "exit code $got, not $code: $(cat "$dir/log")"
}

console
judged 0 'ok walk' 'ok unload' 'ok boot'
# A kernel that names its caller.
sed -i 's/^\[ *3.3\]/&[  T123]/' "$dir/log"
judged 0 'ok walk' 'ok unload' 'ok boot'
console 'Memory failure: 0x1234: recovery action for free buddy page: Recovered' \
	'mbvm: | WARNING: BUG: Oops: all mine' 'mbvm: | mbvm: FAILED walk (said a test)'
judged 0 'ok walk' 'ok unload' 'ok boot'

while IFS= read -r line; do
	console "$line"
	judged 1 'ok walk' 'ok unload' "FAILED boot ([    3.2] $line)"
done <<-'END'
	BUG: unable to handle page fault for address: ffff888020000000
	BUG: Bad page state in process walk  pfn:1234
	BUG: sleeping function called from invalid context at kmod/walk.c:10
	BUG: scheduling while atomic: walk/12/0x00000002
	BUG: soft lockup - CPU#0 stuck for 22s! [walk:12]
	BUG: KASAN: slab-out-of-bounds in mbwalk_scan+0x10/0x20
	WARNING: CPU: 0 PID: 12 at kmod/walk.c:10
	WARNING: possible circular locking dependency detected
	WARNING: suspicious RCU usage
	WARNING: inconsistent lock state
	Oops: 0000 [#1] PREEMPT SMP
	Oops: general protection fault, probably for non-canonical address: 0000 [#1] SMP
	general protection fault: 0000 [#1] SMP
	 Call Trace:
	[ INFO: possible circular locking dependency detected ]
	[ INFO: suspicious RCU usage. ]
	INFO: task walk:12 blocked for more than 120 seconds.
	INFO: rcu_sched self-detected stall on CPU
	INFO: rcu_sched detected stalls on CPUs/tasks:
	rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
	NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s!
	watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [walk:12]
	Kernel panic - not syncing: Fatal exception
	UBSAN: shift-out-of-bounds in kmod/walk.c:10:5
	list_del corruption. prev->next should be ffff888000000000
	refcount_t: underflow; use-after-free.
	** 12 printk messages dropped **
END

console
sed -i 's/ok walk/FAILED walk (exit 1)/' "$dir/log"
judged 1 'FAILED walk (exit 1)' 'ok unload' 'ok boot'
console
sed -i 's/ok walk/skip walk: no device here/' "$dir/log"
judged 0 'skip walk: no device here' 'ok unload' 'ok boot'
console 'mbvm: ok walk'
judged 1 'FAILED walk (more than one verdict)' 'ok unload' 'ok boot'
console
sed -i '/ok walk/d' "$dir/log"
judged 1 'FAILED walk (no verdict)' 'ok unload' 'ok boot'
console
sed -i '/mbvm: end/d' "$dir/log"
judged 1 'ok walk' 'ok unload' 'FAILED boot (the guest has not come to the end)'
console
sed -i '/Power down/d' "$dir/log"
judged 1 'ok walk' 'ok unload' 'FAILED boot (the guest has not powered down)'
console
sed -i '2,$d' "$dir/log"
judged 1 'FAILED boot (the guest has not come to the tests)'
: >"$dir/log"
judged 1 'FAILED boot (the guest has not come to the tests)'
exit 0
