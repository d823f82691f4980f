// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/version.h"

const char mb_version[] = MB_VERSION;
