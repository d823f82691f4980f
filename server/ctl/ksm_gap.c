// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/ksm_gap.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"

enum {
	FILE_BYTES_MAX = 64 << 20,
	GAP_PAGES_MIN = 256,
	GAP_ONE_IN = 10, /* less of what could be saved is what comes and goes */
	OLD_S = 600,
};

int mb_ctl_ksm_read(const char *path, json_t **ret, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	const char *doctor;
	json_error_t why;
	int r = mb_file_read(path, FILE_BYTES_MAX, &text, err);

	*ret = NULL;
	if (r < 0)
		return r;
	*ret = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return mb_fail(err, EBADMSG, "%s: line %d: %s", path, why.line, why.text);
	doctor = json_string_value(json_object_get(*ret, "doctor"));
	if (doctor && strcmp(doctor, "mbagent") == 0 &&
	    json_is_array(json_object_get(*ret, "findings")))
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return mb_fail(err, EBADMSG, "%s: not what `mbagent doctor --json` writes", path);
}

/* 0 where it is null or missing. */
static uint64_t pages_of(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 ? (uint64_t)v : 0;
}

static const json_t *find_host(const json_t *share, const char *name)
{
	const json_t *host;
	size_t i;

	json_array_foreach(json_object_get(share, "hosts"), i, host)
	{
		const char *is = json_string_value(json_object_get(host, "name"));

		if (is && strcmp(is, name) == 0)
			return host;
	}
	return NULL;
}

/* Of what the host's doctor has found: what is not well, with the host's name. */
static uint64_t take_over(const struct mb_findings *from, const char *host, struct mb_findings *to)
{
	uint64_t explained = 0;

	for (size_t i = 0; i < from->n; i++) {
		const struct mb_finding *f = &from->list[i];
		struct mb_finding *copy;
		char of[sizeof(f->of)];

		if (f->severity == MB_SEVERITY_OK)
			continue;
		copy = mb_findings_add(to, f->severity, f->id, "");
		snprintf(of, sizeof(of), "%.60s%s%.90s", host, *f->of ? ": " : "", f->of);
		*copy = *f;
		memcpy(copy->of, of, sizeof(of));
		if (f->has_lost && !f->at_most)
			explained += f->lost_pages;
	}
	return explained;
}

static void say_gap(struct mb_finding *f, uint64_t predicted, uint64_t merged, uint64_t explained,
		    bool was_read)
{
	uint64_t gap = predicted - MB_MIN(predicted, merged);

	if (merged > predicted) {
		mb_finding_say(
			f,
			"KSM saves %.1f MB, more than the %.1f MB that the VMs here share: it "
			"merges what no agent reads, too (other processes, other VMs)",
			(double)merged / 256, (double)predicted / 256);
		return;
	}
	mb_finding_cost(f, gap, false);
	if (!was_read)
		mb_finding_say(
			f,
			"of %.1f MB that the VMs here could save KSM has merged %.1f MB; the "
			"findings of this host below say what stands in its way",
			(double)predicted / 256, (double)merged / 256);
	else
		mb_finding_say(
			f,
			"of %.1f MB that the VMs here could save KSM has merged %.1f MB; the "
			"findings of this host below explain %.1f MB of the gap of %.1f MB",
			(double)predicted / 256, (double)merged / 256,
			(double)MB_MIN(explained, gap) / 256, (double)gap / 256);
	if (!was_read)
		mb_finding_fix(f,
			       "mbagent doctor --json --source process:PID ... on the host, with "
			       "all its VMs: then each reason has its pages");
}

int mb_ctl_ksm_compare(const json_t *share, const char *host, const json_t *file,
		       uint64_t now_unix_ms, struct mb_findings *to, struct mb_err *err)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings theirs = { 0 };
	const json_t *ours = find_host(share, host), *ksm = json_object_get(file, "ksm");
	uint64_t predicted = pages_of(ours, "saving_pages");
	uint64_t merged = pages_of(ksm, "pages_sharing") + pages_of(ksm, "ksm_zero_pages");
	uint64_t gap = predicted - MB_MIN(predicted, merged);
	uint64_t taken_ms = pages_of(file, "at_unix_ms"), explained, error;
	struct mb_finding *f;
	int r;

	if (!ours)
		return mb_fail(err, ENOENT, "the server knows no host \"%.128s\"", host);
	r = mb_findings_from_json(json_object_get(file, "findings"), &theirs, err);
	if (r < 0)
		return r;
	explained = take_over(&theirs, host, to);
	f = mb_findings_add(to,
			    gap >= GAP_PAGES_MIN && gap > predicted / GAP_ONE_IN ?
				    MB_SEVERITY_PROBLEM :
				    MB_SEVERITY_OK,
			    "ksm-gap", host);
	say_gap(f, predicted, merged, explained,
		json_is_object(json_object_get(file, "predicted")));
	error = pages_of(ours, "error_pages");
	mb_finding_saw(f, "saving_pages, by the server", "%" PRIu64 " of %" PRIu64 " pages",
		       predicted, pages_of(ours, "pages"));
	if (error)
		mb_finding_saw(f, "that is an estimate, off by", "%" PRIu64 " at most", error);
	mb_finding_saw(f, "pages_sharing, on the host", "%" PRIu64, pages_of(ksm, "pages_sharing"));
	if (pages_of(ksm, "ksm_zero_pages"))
		mb_finding_saw(f, "ksm_zero_pages", "%" PRIu64, pages_of(ksm, "ksm_zero_pages"));
	if (now_unix_ms > taken_ms + OLD_S * 1000ull)
		mb_finding_saw(f, "the host's file is old", "%" PRIu64 " min",
			       (now_unix_ms - taken_ms) / 60000);
	return mb_findings_check(to, err);
}
