/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sharing is looked for with: the contents of recorded traces. */
#ifndef MB_CHURN_REFERENCE_H
#define MB_CHURN_REFERENCE_H

#include "agent/config.h"

enum { MB_CHURN_REFERENCES_MAX = 64 };

/*
 * The distinct digests of the last epoch of each trace together, keyed as `config` says; compared
 * with what an agent of it sends. -EXDEV, naming the file: they cannot be.
 */
int mb_churn_reference(const struct mb_agent_config *config, const struct mb_identity *identity,
		       const char *const *paths, size_t n, struct mb_fingerprint *ret,
		       struct mb_err *err);

#endif
