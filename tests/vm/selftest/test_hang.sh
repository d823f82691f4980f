#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Does not end, nor does what it starts.
trap '' TERM HUP
sleep 1000 &
wait
