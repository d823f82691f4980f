#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Passes, but the module cannot be unloaded any more.
echo 1 >/sys/module/mbwalk/parameters/hold
