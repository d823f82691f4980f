#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# Fails. What else it says must not be taken for a verdict or a complaint.
echo "ok exit"
echo "mbvm: ok exit"
echo "WARNING: a test's own words"
exit 3
