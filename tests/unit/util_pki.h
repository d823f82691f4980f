/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A CA of the test's own, and files of its certificates. */
#ifndef MB_UTIL_PKI_H
#define MB_UTIL_PKI_H

#include "tests/unit/util_server.h"

/* In a folder of that name under scratch_path(). */
void pki_init(const char *name);
/* `path` (128 bytes): certificate, key and CA. `subject` NULL: none. */
void pki_server(const char *pki, const char *name, const char *host, char *path);
void pki_agent(const char *pki, const char *name, const char *vm, char *path);
/* An agent's that is valid for that long only. */
void pki_agent_for(const char *pki, const char *name, const char *vm, uint64_t valid_ns,
		   char *path);
/* Of somebody who asks the API. */
void pki_operator(const char *pki, const char *name, const char *role, char *path);
/* The certificate in a file of them, as a peer would show it. */
void pki_der(const char *path, struct mb_buf *ret);
void pki_revoke(const char *pki, const char *name);
/* A file of the folder. */
void pki_path(const char *pki, const char *file, char *path);

#endif
