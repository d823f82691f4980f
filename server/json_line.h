/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which line of a JSON text something stands. The parser keeps no lines, and only errors need
 * them: so they are looked for when there is an error, and cost nothing before.
 */
#ifndef MB_SERVER_JSON_LINE_H
#define MB_SERVER_JSON_LINE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The line, from 1 on, of `key` in the object at `path` ("", "vms[3]", "rules[0].vms[2]"), or of
 * what stands at `path` if `key` is NULL. `text` is valid JSON. What is not found has the line of
 * the last thing on the way to it: also a key that is written with an escape.
 */
uint32_t mb_json_line(const char *text, size_t n, const char *path, const char *key);

#endif
