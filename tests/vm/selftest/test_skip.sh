#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
echo "looking around"
echo "nothing to be seen: here"
exit 77
