/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that others chose, for people's terminals and for JSON. */
#ifndef MB_PRINTABLE_H
#define MB_PRINTABLE_H

/* In place: what is not printable ASCII becomes '?', byte by byte. */
void mb_printable(char *text);

#endif
