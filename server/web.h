/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The web page: the files of server/web/, carried by the program. They hold nothing of a fleet. */
#ifndef MB_SERVER_WEB_H
#define MB_SERVER_WEB_H

#include "proto/base/buf.h"

struct mb_web_file {
	const char *path, *type;
	struct mb_slice content;
};

/* A page may load and ask what comes from this server, and nothing else. */
#define MB_WEB_POLICY                                                                              \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "            \
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* False: no such file. */
bool mb_web_find(const char *path, struct mb_web_file *ret);

#endif
