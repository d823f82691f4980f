/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a certificate says about VMs, as URIs among its subjectAltNames:
 *
 *	memory-buddies:vm:web1	its agent may write VM web1
 *	memory-buddies:vm:*	it may write any VM (an agent per host, for all its guests)
 *
 * Bytes of a name other than letters, digits, "-", ".", "_" and "~" are %XX (RFC 3986), so that a
 * VM that is called "*" is one VM. There are no patterns: what a certificate allows can be read off
 * it.
 */
#ifndef MB_SERVER_VM_URI_H
#define MB_SERVER_VM_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/msg.h"

#define MB_VM_URI_PREFIX "memory-buddies:vm:"
#define MB_VM_URI_ANY	 MB_VM_URI_PREFIX "*"
enum { MB_VM_URI_MAX = sizeof(MB_VM_URI_PREFIX) + 3 * MB_NAME_MAX };

/* `vm` passes mb_name_check(). */
void mb_vm_uri_make(const char *vm, char uri[MB_VM_URI_MAX]);
/* Fits mb_tls_peer_has_uri(): `vm` is a name, const char *. */
bool mb_vm_uri_allows(const char *uri, void *vm);
/* The VM that it names, "*" for any (a VM's own name may be that too); false: it is none of ours.
 */
bool mb_vm_uri_name(const char *uri, char vm[MB_NAME_MAX]);

#endif
