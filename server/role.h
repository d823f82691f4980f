/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What who asks the API may do. Each role includes those before it. */
#ifndef MB_SERVER_ROLE_H
#define MB_SERVER_ROLE_H

enum mb_role {
	MB_ROLE_NONE,
	MB_ROLE_READ,  /* see what is there */
	MB_ROLE_PLAN,  /* have plans made: costs time, changes nothing */
	MB_ROLE_APPLY, /* change something */
};

const char *mb_role_name(enum mb_role role);
/* MB_ROLE_NONE: no such role. */
enum mb_role mb_role_parse(const char *name);
/* Of a URI in a certificate, "memory-buddies:role:plan"; MB_ROLE_NONE: it is none of ours. */
#define MB_ROLE_URI_PREFIX "memory-buddies:role:"
enum mb_role mb_role_of_uri(const char *uri);
/* What a request needs. Whatever is not known to be harmless needs the most. */
enum mb_role mb_role_needed(const char *method, const char *path);

#endif
