// SPDX-License-Identifier: GPL-2.0-or-later
/* Whom nothing is compared with, and what planners do not know. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/doctor.h"

/* Some of the names, and how many more there are. */
struct names {
	char text[200];
	size_t at;
	uint32_t n, left_out;
};

static void add_name(struct names *to, const char *name)
{
	size_t len = strlen(name);

	to->n++;
	if (to->at + len + 3 > sizeof(to->text)) {
		to->left_out++;
		return;
	}
	to->at += (size_t)snprintf(to->text + to->at, sizeof(to->text) - to->at, "%s%s",
				   to->at ? ", " : "", name);
}

static void saw_names(struct mb_finding *f, const char *what, const struct names *names)
{
	if (names->left_out)
		mb_finding_saw(f, what, "%s, and %" PRIu32 " more", names->text, names->left_out);
	else
		mb_finding_saw(f, what, "%s", names->text);
}

/* "N VMs" of whom this can be said; nothing where there are none. */
static void note_vms(struct mb_findings *to, const char *id, const char *before,
		     const struct names *vms, const char *what, const char *fix)
{
	struct mb_finding *f;

	if (!vms->n)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, id, "");
	mb_finding_say(f, "%s%" PRIu32 " VMs %s", before, vms->n, what);
	saw_names(f, "VMs", vms);
	mb_finding_fix(f, "%s", fix);
}

static void check_file(const struct mb_diagnosis *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (d->fleet_error) {
		f = mb_findings_add(to, MB_SEVERITY_PROBLEM, "fleet-file", "");
		mb_finding_say(f, "the fleet file cannot be read: no question about sharing or "
				  "plans is answered until it can");
		mb_finding_saw(f, "reason", "%s", d->fleet_error);
		mb_finding_fix(f, "mend the file; it is read at every question, no restart is "
				  "needed");
	} else if (!d->api->fleet_path && !d->of) {
		f = mb_findings_add(to, MB_SEVERITY_NOTE, "fleet-file", "");
		mb_finding_say(f, "this server has no fleet file: without hosts nothing can be "
				  "planned");
		mb_finding_fix(f, "mbserver --fleet FILE (docs/fleet-file.md)");
	}
}

static void check_hosts(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_live_fleet *fleet = &d->scene->fleet;

	/* Without a file all are unknown, which check_file() says. */
	for (uint32_t h = fleet->n_file_hosts;
	     d->api->fleet_path && !d->fleet_error && h < fleet->view.n_hosts; h++) {
		struct names vms = { 0 };
		struct mb_finding *f;
		bool covered = !d->of;

		for (uint32_t i = 0; i < fleet->view.n_vms; i++) {
			if (fleet->vms[i].host != h)
				continue;
			add_name(&vms, fleet->vms[i].name);
			covered |= d->of && mb_diagnosis_covers(d, i);
		}
		if (!covered)
			continue;
		f = mb_findings_add(to, MB_SEVERITY_PROBLEM, "host-unknown", fleet->hosts[h].name);
		mb_finding_say(f,
			       "the fleet file does not name this host: planners take its %" PRIu32
			       " VMs as running nowhere",
			       vms.n);
		saw_names(f, "VMs", &vms);
		mb_finding_saw(f, "fleet file", "%s", d->api->fleet_path);
		mb_finding_fix(f,
			       "add { \"name\": \"%s\", \"memory_mb\": N } to its \"hosts\"; or "
			       "correct --host of the agents",
			       fleet->hosts[h].name);
	}
}

static void check_placed(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_live_fleet *fleet = &d->scene->fleet;
	uint32_t n_seen = d->scene->view->fleet.n;
	struct names nowhere = { 0 }, unseen = { 0 };

	for (uint32_t i = 0; i < fleet->view.n_vms; i++) {
		if (!mb_diagnosis_covers(d, i))
			continue;
		if (i >= n_seen)
			add_name(&unseen, fleet->vms[i].name);
		else if (fleet->vms[i].host == MB_NOWHERE)
			add_name(&nowhere, fleet->vms[i].name);
	}
	note_vms(to, "vm-nowhere", "of ", &nowhere,
		 "nobody says on which host they run: no host's saving counts them",
		 "mbagent run --host NAME; or \"host\" of the VM in the fleet file");
	note_vms(to, "vm-unseen", "", &unseen,
		 "of the fleet file have never sent an epoch: plans take them as sharing nothing",
		 "mbagent run --vm NAME --source ... --server ... for each");
}

/* The domain's set with most VMs. */
static const struct mb_comparable *largest_of(const struct mb_sharing_view *v, const char *domain)
{
	const struct mb_comparable *ret = NULL;

	for (uint32_t k = 0; k < v->n_sets; k++)
		if (strcmp(v->sets[k].identity.domain, domain) == 0 &&
		    (!ret || v->sets[k].n > ret->n))
			ret = &v->sets[k];
	return ret;
}

static bool is_rotating(const struct mb_diagnosis *d, const char *domain)
{
	struct mb_key_rotation r;

	for (uint32_t i = 0; d->api->fleet && mb_fleet_rotation(d->api->fleet, i, &r); i++)
		if (strcmp(r.domain, domain) == 0)
			return true;
	return false;
}

static bool covers_set(const struct mb_diagnosis *d, const struct mb_comparable *set,
		       struct names *names)
{
	bool covered = false;

	for (uint32_t i = 0; i < set->n; i++) {
		add_name(names, d->scene->view->fleet.vms[set->vms[i]].name);
		covered |= mb_diagnosis_covers(d, set->vms[i]);
	}
	return covered;
}

/* VMs that hash otherwise than most of their domain; rotations are told elsewhere. */
static void check_identities(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_sharing_view *v = d->scene->view;

	for (uint32_t k = 0; k < v->n_sets; k++) {
		const struct mb_comparable *set = &v->sets[k];
		const struct mb_comparable *most = largest_of(v, set->identity.domain);
		char of[MB_DOMAIN_MAX + 16];
		struct names names = { 0 };
		struct mb_err why = { 0 };
		struct mb_finding *f;

		if (most == set || is_rotating(d, set->identity.domain) ||
		    !covers_set(d, set, &names))
			continue;
		mb_identity_compare(&set->identity, &most->identity, &why);
		snprintf(of, sizeof(of), "domain %s", set->identity.domain);
		f = mb_findings_add(to, MB_SEVERITY_PROBLEM, "not-compared", of);
		mb_finding_say(f,
			       "%" PRIu32 " of its VMs have another hash identity than the other "
			       "%" PRIu32 ": what they share is not seen",
			       set->n, most->n);
		saw_names(f, "VMs", &names);
		mb_finding_saw(f, "difference", "%s", *why.text ? why.text : "the key");
		mb_finding_fix(f, "the same --hash, --bits and --key for all agents of a domain");
	}
}

static void check_alone(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_sharing_view *v = d->scene->view;
	struct names names = { 0 };

	for (uint32_t k = 0; k < v->n_sets && v->n_sets > 1; k++) {
		const struct mb_comparable *set = &v->sets[k];

		if (set->n == 1 && largest_of(v, set->identity.domain) == set &&
		    mb_diagnosis_covers(d, set->vms[0]))
			add_name(&names, v->fleet.vms[set->vms[0]].name);
	}
	note_vms(to, "alone-in-domain", "", &names,
		 "are alone in their trust domains: they are compared with no other VM, as is "
		 "wanted where tenants must not learn of each other",
		 "if it is not wanted: the same --domain and --key for all that may be compared");
}

static void check_filters(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;
	struct names names = { 0 };

	for (uint32_t i = 0; i < fleet->n; i++)
		if (fleet->vms[i].sample.cut_bits && mb_diagnosis_covers(d, i))
			add_name(&names, fleet->vms[i].name);
	note_vms(to, "bloom-filters", "", &names,
		 "send Bloom filters: planners take them as sharing nothing",
		 "mbagent run --sample N instead of --bloom: plans know samples");
}

const mb_diagnosis_check mb_diagnosis_fleet[] = {
	check_file, check_hosts, check_placed, check_identities, check_alone, check_filters, NULL
};
