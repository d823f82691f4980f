/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a host's VMs could save, as the server knows it, against what KSM has merged there, as
 * `mbagent doctor --json` on the host has written down.
 */
#ifndef MB_CTL_KSM_GAP_H
#define MB_CTL_KSM_GAP_H

#include <jansson.h>

#include "proto/base/findings.h"

/* Such a file; a new reference. -EBADMSG: it is none. */
int mb_ctl_ksm_read(const char *path, json_t **ret, struct mb_err *err);
/*
 * `share`: the server's /v1/share. Adds what is missing of `host`, and what the host's own doctor
 * has found in its way. `now_unix_ms`: says how old the file is. -ENOENT: the server knows no such
 * host.
 */
int mb_ctl_ksm_compare(const json_t *share, const char *host, const json_t *file,
		       uint64_t now_unix_ms, struct mb_findings *to, struct mb_err *err);

#endif
