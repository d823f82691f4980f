/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fleet file: which hosts there are, which VMs are known beforehand, and where they run.
 *
 *	{ "hosts": [ { "name": "host1", "memory_mb": 65536 } ],
 *	  "vms":   [ { "name": "web1", "memory_mb": 2048, "trace": "web1.mbt", "host": "host1" } ] }
 *
 * "trace" (for offline plans; relative to the file's folder) and "host" are optional. Anything that
 * is not understood is an error: a misspelt key must not silently change a plan.
 */
#ifndef MB_SERVER_FLEET_FILE_H
#define MB_SERVER_FLEET_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "server/plan/plan.h"

enum {
	MB_FLEET_FILE_BYTES_MAX = 16 << 20,
	MB_FLEET_HOSTS_MAX = 10000,
	MB_FLEET_VMS_MAX = 100000,
};
#define MB_FLEET_MEMORY_MB_MAX ((uint64_t)1 << 40)

struct mb_fleet_file_host {
	char *name;
	uint64_t memory_mb;
};

struct mb_fleet_file_vm {
	char *name;
	uint64_t memory_mb;
	char *trace;   /* path, or NULL */
	uint32_t host; /* index into hosts, or MB_NOWHERE */
};

struct mb_fleet_file {
	struct mb_fleet_file_host *hosts; /* in the file's order; all of it owned */
	struct mb_fleet_file_vm *vms;
	uint32_t n_hosts, n_vms;
};

/*
 * `folder` is what relative traces are put behind ("" for none). -EINVAL says where: line and
 * column of what is no JSON, else the place in the document ("vms[3].memory_mb"). On error nothing
 * is left in `ret`.
 */
int mb_fleet_file_parse(const char *text, size_t n, const char *folder, struct mb_fleet_file *ret,
			struct mb_err *err);
/* The same for a file; errors start with its path. */
int mb_fleet_file_read(const char *path, struct mb_fleet_file *ret, struct mb_err *err);
void mb_fleet_file_deinit(struct mb_fleet_file *f);

#endif
