/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where bytes come from, so that decoders need not know files. */
#ifndef MB_BASE_READER_H
#define MB_BASE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mb_reader {
	/* Fills `data`; *ret_n < n only at the end of the input. */
	int (*read)(void *ctx, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err);
	void *ctx;
};

#endif
