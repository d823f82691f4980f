/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a message that has been read makes sense: for msg.c, which knows what came as bytes. It
 * also has the rules of names and versions that msg.h offers to all.
 */
#ifndef MB_MSG_CHECK_H
#define MB_MSG_CHECK_H

#include "proto/msg.h"

/* One that is not has other fields that may mean something else: only the version is read. */
bool mb_msg_version_is_known(uint32_t version);
/* Lengths, ranges, text, names, the hash identity: -EBADMSG or -EINVAL names the field. */
int mb_msg_check(const struct mb_msg *msg, struct mb_err *err);

#endif
