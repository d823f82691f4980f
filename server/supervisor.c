// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/supervisor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

bool mb_supervisor_waits(void)
{
	const char *socket = getenv("NOTIFY_SOCKET");

	return socket && *socket;
}

void mb_supervisor_does(struct mb_supervisor *s, const char *fmt, ...)
{
	char text[MB_SUPERVISOR_BYTES];
	va_list args;

	if (!mb_supervisor_waits())
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* A line more would be another word to systemd. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == '\x7f')
			*p = '?';
	if (strcmp(text, s->told) == 0)
		return;
	if (sd_notifyf(0, "STATUS=%s", text) > 0)
		memcpy(s->told, text, sizeof(text));
}

int mb_supervisor_ready(struct mb_err *err)
{
	int r = sd_notify(0, "READY=1");

	return r < 0 ? mb_fail(err, -r, "NOTIFY_SOCKET: %s", strerror(-r)) : 0;
}

void mb_supervisor_stops(struct mb_supervisor *s, const char *why)
{
	sd_notify(0, "STOPPING=1");
	mb_supervisor_does(s, "%s", why);
}
