#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# The processor of these guests forbids the kernel to read user memory by mistake.
grep -q ' smap' /proc/cpuinfo && grep -q ' smep' /proc/cpuinfo
