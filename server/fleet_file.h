/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fleet file: which hosts there are, which VMs are known beforehand, where they run and where
 * they may. docs/fleet-file.md has every key with its unit, default and meaning.
 *
 *	{ "hosts": [ { "name": "host1", "memory_mb": 65536 } ],
 *	  "vms":   [ { "name": "web1", "memory_mb": 2048, "trace": "web1.mbt", "host": "host1" } ] }
 *
 * Anything that is not understood is an error: a misspelt key must not silently change a plan.
 */
#ifndef MB_SERVER_FLEET_FILE_H
#define MB_SERVER_FLEET_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "server/fleet_options.h"
#include "server/plan/plan.h"

enum {
	MB_FLEET_FILE_BYTES_MAX = 16 << 20,
	MB_FLEET_HOSTS_MAX = 10000,
	MB_FLEET_VMS_MAX = 100000,
	MB_FLEET_RULES_MAX = 10000,
};
#define MB_FLEET_MEMORY_MB_MAX ((uint64_t)1 << 40)

struct mb_fleet_file_host {
	char *name;
	uint64_t memory_mb, reserve_mb;
	uint64_t capacity[MB_RESOURCES]; /* 0: not given */
	enum mb_host_state state;
	char *trust_domain; /* or NULL: takes any */
	uint64_t free_mb;   /* UINT64_MAX: not given */
};

struct mb_fleet_file_vm {
	char *name;
	uint64_t memory_mb;
	char *trace;   /* path, or NULL */
	uint32_t host; /* index into hosts, or MB_NOWHERE */
	bool pinned;
	char *tenant, *trust_domain; /* or NULL */
	struct mb_fleet_file_load {
		uint64_t mean, peak;
	} load[MB_RESOURCES]; /* 0: not given */
	uint64_t dirty_kb_s, swap_pages_s, stall_percent;
};

struct mb_fleet_file_rule {
	char *name;
	enum mb_rule_kind kind;
	uint32_t *vms; /* indices into vms, ascending */
	uint32_t n_vms;
};

struct mb_fleet_file {
	struct mb_fleet_file_host *hosts; /* in the file's order; all of it owned */
	struct mb_fleet_file_vm *vms;
	struct mb_fleet_file_rule *rules;
	uint32_t n_hosts, n_vms, n_rules;
	struct mb_fleet_options options;
};

/* What is said by no file at all: no hosts, no VMs, all options at their defaults. */
void mb_fleet_file_init(struct mb_fleet_file *f);
/*
 * `folder` is what relative traces are put behind ("" for none). -EINVAL says where: line and
 * column of what is no JSON, else line and place ("line 7: vms[3].memory_mb"). On error `ret` is as
 * mb_fleet_file_init() leaves it.
 */
int mb_fleet_file_parse(const char *text, size_t n, const char *folder, struct mb_fleet_file *ret,
			struct mb_err *err);
/* The same for a file; errors start with its path. */
int mb_fleet_file_read(const char *path, struct mb_fleet_file *ret, struct mb_err *err);
void mb_fleet_file_deinit(struct mb_fleet_file *f);

/* The keys of the file's "hosts", "vms", "rules" and "options", NULL after the last one. */
const char *mb_fleet_file_key(const char *list, size_t i);

#endif
