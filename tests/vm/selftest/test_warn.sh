#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Passes, but the kernel complains.
echo 1 >/sys/module/mbwalk/parameters/warn
