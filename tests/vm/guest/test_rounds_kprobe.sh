#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# The round-number test with kprobes and kretprobes in the place of trampolines, which old kernels do not have.
export MB_DEBUG_TRACK=no-fexit
mbagent check >/tmp/check
grep '^tracker  bpf' /tmp/check
grep -q '^tracker  bpf .* 0 fexit, [1-9][0-9]* kprobes' /tmp/check || exit 1
exec /tests/test_rounds
