/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MB_BASE_VERSION_H
#define MB_BASE_VERSION_H

/* `git describe` of the tree this was built from. */
extern const char mb_version[];

#endif
