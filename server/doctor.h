/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mbctl doctor`: what is wrong with the fleet by what the server knows, and the command that mends
 * it. docs/doctor.md has every finding.
 *
 *	doctor_agents.c		who does not come, or is turned away
 *	doctor_refusals.c	what mends a refusal
 *	doctor_tracking.c	how far what they send can be trusted
 *	doctor_fleet.c		who is not compared, and whom planners do not know
 *	doctor_server.c		the server itself
 */
#ifndef MB_SERVER_DOCTOR_H
#define MB_SERVER_DOCTOR_H

#include "proto/base/findings.h"
#include "server/api.h"
#include "server/scene.h"

/* GET /v1/doctor; parameters of, stale_s (docs/json.md). As mb_api_get(). */
int mb_doctor_answer(struct mb_api *api, mb_api_query query, void *ctx, json_t **ret,
		     struct mb_err *err);

/* --- inside: for doctor*.c and tests ---------------------------------------------------------- */

struct mb_diagnosis {
	struct mb_api *api;
	const struct mb_scene *scene;
	const char *fleet_error; /* why the fleet file could not be read; NULL: it could, or none */
	const char *of;		 /* the VM or host that is asked about; NULL: all */
	bool of_host;
	uint64_t now_ns;   /* wall clock */
	uint64_t stale_ns; /* an epoch older than that is; 0: by the VM's own pace */
	uint64_t *pace_ns; /* [0, VMs): longest time between its last epochs; 0: not known. Owned */
	struct mb_contact *refused; /* lately, mb_contacts_refused_since(); owned */
	size_t n_refused;
};

typedef void (*mb_diagnosis_check)(const struct mb_diagnosis *d, struct mb_findings *to);
/* End with NULL. */
extern const mb_diagnosis_check mb_diagnosis_agents[], mb_diagnosis_tracking[],
	mb_diagnosis_fleet[], mb_diagnosis_server[];

/* All checks, sorted. */
int mb_diagnosis_run(const struct mb_diagnosis *d, struct mb_findings *ret, struct mb_err *err);

/* It is about this VM, too. */
bool mb_diagnosis_covers(const struct mb_diagnosis *d, uint32_t vm);
/* "" where it is not known. */
const char *mb_diagnosis_host_of(const struct mb_diagnosis *d, uint32_t vm);
/* "3 min 20 s", "2 d 03 h" */
enum { MB_AGE_MAX = 40 };
const char *mb_diagnosis_age(uint64_t ns, char ret[MB_AGE_MAX]);
/* "2026-11-29 21:05:10 UTC" */
const char *mb_diagnosis_date(uint64_t unix_ns, char ret[MB_AGE_MAX]);
/* What mends it; of a VM or, "", of one that named none. */
void mb_diagnosis_fix_refusal(struct mb_finding *f, const struct mb_contact *c);

#endif
