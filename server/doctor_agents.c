// SPDX-License-Identifier: GPL-2.0-or-later
/* Agents that do not come, come twice, or are turned away. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/doctor.h"

/* Without an epoch for so many times its own pace, and for so long at least. */
enum { STALE_PACES = 3, STALE_MIN_S = 180, LATELY_S = 600, ROTATION_LONG_S = 7 * 86400 };

static const uint64_t second_ns = 1000000000;

static uint64_t stale_after(const struct mb_diagnosis *d, uint32_t vm)
{
	if (d->stale_ns)
		return d->stale_ns;
	return MB_MAX(STALE_PACES * d->pace_ns[vm], STALE_MIN_S * second_ns);
}

static uint64_t since(const struct mb_diagnosis *d, uint64_t unix_ns)
{
	return d->now_ns > unix_ns ? d->now_ns - unix_ns : 0;
}

static void saw_refusal(struct mb_finding *f, const struct mb_contact *c)
{
	char date[MB_AGE_MAX];

	mb_finding_saw(f, "refused", "%s, from %s, %" PRIu64 " times since the server started",
		       mb_diagnosis_date(c->refused_ns, date), c->refused_from, c->refusals);
	mb_finding_saw(f, "reason", "%s", c->reason);
}

static bool was_refused_last(const struct mb_contact *c)
{
	return c->refused_ns && c->refused_ns >= c->greeted_ns;
}

/* Why it may be that it is silent, and what to do. */
static void explain(struct mb_finding *f, const struct mb_diagnosis *d, uint32_t i)
{
	const struct mb_vm *vm = &d->scene->view->fleet.vms[i];
	const char *host = mb_diagnosis_host_of(d, i);
	bool online = vm->session != 0;
	struct mb_contact c;

	mb_finding_saw(f, "online", "%s", online ? "yes" : "no");
	if (*host)
		mb_finding_saw(f, "host", "%s", host);
	if (mb_contacts_find(d->api->contacts, vm->name, &c)) {
		if (*c.from)
			mb_finding_saw(f, "last address", "%s", c.from);
		if (was_refused_last(&c)) {
			saw_refusal(f, &c);
			mb_diagnosis_fix_refusal(f, &c);
			return;
		}
	}
	if (online)
		mb_finding_fix(f,
			       "journalctl -u mbagent@%s%s%s: it is connected, and takes no "
			       "epoch (--interval, --budget)",
			       vm->name, *host ? " on " : "", host);
	else
		mb_finding_fix(f,
			       "systemctl restart mbagent@%s%s%s; of a VM that is no more: "
			       "mbserver --forget-vm %s",
			       vm->name, *host ? " on " : "", host, vm->name);
}

static void check_stale(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;
	uint32_t n = 0, fresh = 0;

	for (uint32_t i = 0; i < fleet->n; i++) {
		const struct mb_vm *vm = &fleet->vms[i];
		uint64_t age = since(d, vm->acked_unix_ns);
		char text[MB_AGE_MAX], pace[MB_AGE_MAX];
		struct mb_finding *f;

		if (!vm->epoch || !mb_diagnosis_covers(d, i))
			continue;
		n++;
		if (age <= stale_after(d, i)) {
			fresh++;
			continue;
		}
		f = mb_findings_add(to, MB_SEVERITY_PROBLEM, "agent-stale", vm->name);
		mb_finding_say(f, "no epoch for %s: what is said of it is as old as that",
			       mb_diagnosis_age(age, text));
		mb_finding_saw(f, "last epoch", "%" PRIu64 ", %s", vm->epoch,
			       mb_diagnosis_date(vm->acked_unix_ns, text));
		if (d->pace_ns[i])
			mb_finding_saw(f, "one came every", "%s at most",
				       mb_diagnosis_age(d->pace_ns[i], pace));
		explain(f, d, i);
	}
	if (!n || fresh < n)
		return;
	mb_finding_say(mb_findings_add(to, MB_SEVERITY_OK, "agents-fresh", ""),
		       "all %" PRIu32 " VMs have sent their last epoch in time", n);
}

/* It has greeted, and nothing more. */
static void check_no_epoch(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;

	for (uint32_t i = 0; i < fleet->n; i++) {
		const struct mb_vm *vm = &fleet->vms[i];
		struct mb_finding *f;
		struct mb_contact c;

		if (vm->epoch || !mb_diagnosis_covers(d, i))
			continue;
		/* One that has just come takes its first epoch now. */
		f = mb_findings_add(
			to,
			vm->session && mb_contacts_find(d->api->contacts, vm->name, &c) &&
					since(d, c.greeted_ns) < STALE_MIN_S * second_ns ?
				MB_SEVERITY_NOTE :
				MB_SEVERITY_PROBLEM,
			"agent-no-epoch", vm->name);
		mb_finding_say(f, "its agent has greeted, but no epoch of it has arrived yet");
		explain(f, d, i);
	}
}

static int compare_name(const void *name, const void *vm)
{
	return strcmp(name, ((const struct mb_vm *)vm)->name);
}

/* Which VM of the fleet; n: none. */
static uint32_t find_vm(const struct mb_diagnosis *d, const char *name)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;
	const struct mb_vm *vm =
		fleet->n ? bsearch(name, fleet->vms, fleet->n, sizeof(*vm), compare_name) : NULL;

	return vm ? (uint32_t)(vm - fleet->vms) : fleet->n;
}

static bool is_about(const struct mb_diagnosis *d, const struct mb_contact *c, uint32_t vm)
{
	if (!d->of)
		return true;
	return vm < d->scene->view->fleet.n ? mb_diagnosis_covers(d, vm) :
					      strcmp(d->of, c->vm) == 0;
}

static void say_refused(struct mb_finding *f, const struct mb_contact *c)
{
	if (c->code == MB_REFUSED_BUSY)
		mb_finding_say(f, "two agents want to write it: the second one is turned away, and "
				  "tries again");
	else if (c->why >= MB_FOR_QUOTA)
		mb_finding_say(f, "its peer has used up a quota: epochs come later, and as one");
	else
		mb_finding_say(f, "its agent is turned away");
	saw_refusal(f, c);
	if (*c->from)
		mb_finding_saw(f, "taken from", "%s", c->from);
	mb_diagnosis_fix_refusal(f, c);
}

/* Those who named a VM: of it, where check_stale() does not say it already. */
static void check_refused(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;

	for (size_t k = 0; k < d->n_refused; k++) {
		const struct mb_contact *c = &d->refused[k];
		uint32_t i = find_vm(d, c->vm);
		bool known = i < fleet->n, later = c->why >= MB_FOR_QUOTA || c->why == MB_FOR_STORE;
		bool lately = since(d, c->refused_ns) < LATELY_S * second_ns;

		if (!*c->vm || !is_about(d, c, i))
			continue;
		/* Told to come later, it comes and goes; refused for good, it stays away. */
		if (!lately && !(was_refused_last(c) && !later))
			continue;
		if (known && !fleet->vms[i].session && was_refused_last(c) &&
		    (!fleet->vms[i].epoch ||
		     since(d, fleet->vms[i].acked_unix_ns) > stale_after(d, i)))
			continue;
		/* It has been let in since. */
		if (!later && c->code != MB_REFUSED_BUSY && !was_refused_last(c))
			continue;
		say_refused(mb_findings_add(to, later ? MB_SEVERITY_NOTE : MB_SEVERITY_PROBLEM,
					    c->code == MB_REFUSED_BUSY ? "agent-duplicate" :
					    later		       ? "agent-put-off" :
									 "agent-refused",
					    c->vm),
			    c);
	}
}

/* Those who did not come to name one. */
static void check_strangers(const struct mb_diagnosis *d, struct mb_findings *to)
{
	for (size_t k = 0; k < d->n_refused && !d->of; k++) {
		const struct mb_contact *c = &d->refused[k];
		struct mb_finding *f;

		if (*c->vm)
			continue;
		/* Whoever scans ports breaks handshakes, too. */
		f = mb_findings_add(to,
				    c->why == MB_FOR_BROKEN_HANDSHAKE || c->why < 0 ?
					    MB_SEVERITY_NOTE :
					    MB_SEVERITY_PROBLEM,
				    "peer-refused", c->refused_from);
		mb_finding_say(f, "turned away before it named a VM");
		saw_refusal(f, c);
		mb_diagnosis_fix_refusal(f, c);
	}
}

/* The first VM that has the old key still, and how many. */
static uint32_t count_behind(const struct mb_diagnosis *d, const struct mb_key_rotation *r,
			     const struct mb_vm **ret_first)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;
	uint32_t n = 0;

	*ret_first = NULL;
	for (uint32_t i = 0; i < fleet->n; i++) {
		const struct mb_vm *vm = &fleet->vms[i];

		if (!vm->epoch || strcmp(vm->identity.domain, r->domain) != 0 ||
		    mb_identity_key_id(&vm->identity) != r->from)
			continue;
		if (!*ret_first || (!vm->session && (*ret_first)->session))
			*ret_first = vm;
		n++;
	}
	return n;
}

static void check_rotations(const struct mb_diagnosis *d, struct mb_findings *to)
{
	struct mb_key_rotation r;

	for (uint32_t i = 0; d->api->fleet && !d->of && mb_fleet_rotation(d->api->fleet, i, &r);
	     i++) {
		const struct mb_vm *first;
		uint32_t behind = count_behind(d, &r, &first);
		char date[MB_AGE_MAX], of[MB_DOMAIN_MAX + 16];
		struct mb_finding *f;

		snprintf(of, sizeof(of), "domain %s", r.domain);
		f = mb_findings_add(to,
				    since(d, r.begun_unix_ns) > ROTATION_LONG_S * second_ns ?
					    MB_SEVERITY_PROBLEM :
					    MB_SEVERITY_NOTE,
				    "rotation-pending", of);
		mb_finding_say(f,
			       "its key is being changed; %" PRIu32 " of its VMs have the old one, "
			       "and are not compared with the others",
			       behind);
		mb_finding_saw(f, "begun", "%s", mb_diagnosis_date(r.begun_unix_ns, date));
		mb_finding_saw(f, "from", "%08" PRIx32, r.from);
		mb_finding_saw(f, "to", "%08" PRIx32, r.to);
		if (!first)
			continue;
		mb_finding_saw(f, "one of them", "%s, %s", first->name,
			       first->session ? "online" : "not online");
		if (first->session)
			mb_finding_fix(f,
				       "give its machine the new key; systemctl reload mbagent@%s",
				       first->name);
		else
			mb_finding_fix(f, "of a VM that is no more: mbserver --forget-vm %s",
				       first->name);
	}
}

const mb_diagnosis_check mb_diagnosis_agents[] = { check_stale,	    check_no_epoch,  check_refused,
						   check_strangers, check_rotations, NULL };
