// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/vm_uri.h"

#include <string.h>

static const char hex[] = "0123456789ABCDEF";

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

void mb_vm_uri_make(const char *vm, char uri[MB_VM_URI_MAX])
{
	char *to = stpcpy(uri, MB_VM_URI_PREFIX);

	for (size_t i = 0; vm[i] && i < MB_NAME_MAX - 1; i++) {
		unsigned char c = (unsigned char)vm[i];

		if (plain(vm[i])) {
			*to++ = vm[i];
			continue;
		}
		*to++ = '%';
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	*to = 0;
}

static int digit(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'f')
		c = (char)(c - 'a' + 'A');
	at = c ? strchr(hex, c) : NULL;
	return at ? (int)(at - hex) : -1;
}

bool mb_vm_uri_name(const char *uri, char vm[MB_NAME_MAX])
{
	const char *from = uri + strlen(MB_VM_URI_PREFIX);
	size_t n = 0;

	if (strncmp(uri, MB_VM_URI_PREFIX, strlen(MB_VM_URI_PREFIX)) != 0)
		return false;
	if (strcmp(from, "*") == 0) {
		strcpy(vm, "*");
		return true;
	}
	while (*from) {
		int high = 0, low = 0;

		if (n == MB_NAME_MAX - 1)
			return false;
		if (plain(*from)) {
			vm[n++] = *from++;
			continue;
		}
		if (*from != '%' || (high = digit(from[1])) < 0 || (low = digit(from[2])) < 0)
			return false;
		/* Or "web1%00x" would be web1. */
		if (!(high | low))
			return false;
		vm[n++] = (char)(high << 4 | low);
		from += 3;
	}
	vm[n] = 0;
	return mb_name_check(vm, "VM", NULL) == 0;
}

bool mb_vm_uri_allows(const char *uri, void *vm)
{
	char name[MB_NAME_MAX];

	return strcmp(uri, MB_VM_URI_ANY) == 0 ||
	       (mb_vm_uri_name(uri, name) && strcmp(name, vm) == 0);
}
