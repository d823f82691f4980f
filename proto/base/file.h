/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files: read whole with a cap, or as a stream that unpacks zstd on the way. */
#ifndef MB_BASE_FILE_H
#define MB_BASE_FILE_H

#include <stddef.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/reader.h"

/* The whole file, closed with a NUL that is not counted. -EFBIG above `max_bytes`. */
int mb_file_read(const char *path, size_t max_bytes, struct mb_buf *ret, struct mb_err *err);

struct mb_file;
/* `path` "-": standard input. A zstd file is known by its first bytes and unpacked. */
int mb_file_open(const char *path, struct mb_file **ret, struct mb_err *err);
void mb_file_close(struct mb_file *f);
struct mb_reader mb_file_reader(struct mb_file *f);
/* Share of the file read so far, 0 to 1; 0 where the size is not known. */
double mb_file_progress(const struct mb_file *f);

int mb_write_all(int fd, const void *data, size_t n, struct mb_err *err);

#endif
