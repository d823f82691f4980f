// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/analysis.h"

#include "proto/base/cleanup.h"
#include "proto/delta.h"
#include "server/ctl/frame_bytes.h"

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Takes `item`, which may be NULL: then memory is out. */
static int append(json_t *list, json_t *item, struct mb_err *err)
{
	return json_array_append_new(list, item) < 0 ? mb_fail_mem(err, "the analysis") : 0;
}

static int add_files(const struct mb_loads *loads, json_t *to, struct mb_err *err)
{
	for (size_t i = 0; i < loads->n; i++) {
		const struct mb_loaded *l = &loads->items[i];
		struct mb_self_sharing s;
		json_t *o;
		int r;

		mb_fingerprint_self_sharing(&l->fingerprint, l->identity.zero_digest, &s);
		o = json_pack("{s:s, s:o*, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
			      l->label, "epoch", l->seed ? NULL : number(l->epoch), "domain",
			      l->identity.domain, "algorithm",
			      mb_algorithm_name(l->identity.algorithm), "bits",
			      number(l->identity.bits), "page_bytes",
			      number(l->identity.page_bytes), "pages", number(s.pages), "distinct",
			      number(s.distinct), "zero", number(s.zero), "self", number(s.self),
			      "self_nonzero", number(s.self_nonzero));
		r = append(to, o, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static json_t *pair_object(const struct mb_loaded *a, const struct mb_loaded *b)
{
	struct mb_pair_sharing s;
	struct mb_err why;

	if (mb_identity_compare(&a->identity, &b->identity, &why) < 0)
		return json_pack("{s:s, s:s, s:n, s:n, s:n, s:s}", "a", a->label, "b", b->label,
				 "inter", "overlap", "saving", "why", why.text);
	mb_fingerprint_pair_sharing(&a->fingerprint, &b->fingerprint, &s);
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "a", a->label, "b", b->label, "inter",
			 number(s.inter), "overlap", number(s.overlap), "saving", number(s.saving));
}

static int add_pairs(const struct mb_loads *loads, json_t *to, struct mb_err *err)
{
	double n_pairs = (double)loads->n * ((double)loads->n - 1) / 2;
	struct mb_progress bar;
	int r = 0;

	mb_progress_begin(&bar, "comparing");
	for (size_t i = 0; i < loads->n && r == 0; i++) {
		for (size_t j = i + 1; j < loads->n && r == 0; j++) {
			mb_progress_update(&bar, (double)json_array_size(to) / n_pairs);
			r = append(to, pair_object(&loads->items[i], &loads->items[j]), err);
		}
	}
	mb_progress_end(&bar);
	return r;
}

/* What travels from `a` to `b`: both are fingerprints as sent. */
static int add_delta(const struct mb_loaded *from, const struct mb_fingerprint *a,
		     const struct mb_loaded *to, const struct mb_fingerprint *b, uint32_t bits,
		     json_t *list, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	const struct mb_sample_of all = { 0 };
	struct mb_pair_sharing s;
	size_t bytes = 0;
	int r = mb_delta_make(a, b, &d, err);

	mb_fingerprint_pair_sharing(a, b, &s);
	if (r == 0)
		r = mb_frame_bytes(&d, bits, s.gained, &all, &bytes, err);
	if (r < 0)
		return mb_fail_in(err, r, "delta from %s to %s", from->label, to->label);
	return append(
		list,
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "from", from->label,
			  "to", to->label, "bits", number(bits), "added", number(s.gained),
			  "removed", number(s.lost), "added_distinct", number(d.n_added),
			  "removed_distinct", number(d.n_removed), "wire_bytes", number(bytes),
			  "bytes_per_added",
			  s.gained ? json_real((double)bytes / (double)s.gained) : json_null()),
		err);
}

static int add_no_delta(const struct mb_loaded *from, const struct mb_loaded *to, const char *why,
			json_t *list, struct mb_err *err)
{
	return append(list,
		      json_pack("{s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:s}", "from",
				from->label, "to", to->label, "bits", "added", "removed",
				"added_distinct", "removed_distinct", "wire_bytes",
				"bytes_per_added", "why", why),
		      err);
}

static int add_deltas(const struct mb_loads *loads, uint32_t bits, json_t *list, struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint last = { 0 };
	struct mb_progress bar;
	int r = 0;

	mb_progress_begin(&bar, "making deltas");
	for (size_t i = 0; i < loads->n && r == 0; i++) {
		const struct mb_loaded *to = &loads->items[i], *from = i ? to - 1 : NULL;
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint now = { 0 };
		struct mb_fingerprint swap;
		struct mb_err why;
		uint32_t sent_bits;

		mb_progress_update(&bar, (double)i / (double)loads->n);
		r = mb_load_as_sent(to, bits, &now, &sent_bits, err);
		if (r == 0 && from) {
			if (mb_identity_compare(&from->identity, &to->identity, &why) < 0)
				r = add_no_delta(from, to, why.text, list, err);
			else
				r = add_delta(from, &last, to, &now, sent_bits, list, err);
		}
		swap = last;
		last = now;
		now = swap;
	}
	mb_progress_end(&bar);
	return r;
}

int mb_analysis_make(const struct mb_loads *loads, uint32_t delta_bits, json_t **ret,
		     struct mb_err *err)
{
	json_t *files = json_array(), *pairs = json_array(), *deltas = NULL;
	json_t *root = json_pack("{s:o, s:o}", "files", files, "pairs", pairs);
	int r = root ? 0 : mb_fail_mem(err, "the analysis");

	if (r == 0 && delta_bits) {
		deltas = json_array();
		if (json_object_set_new(root, "deltas", deltas) < 0)
			r = mb_fail_mem(err, "the analysis");
	}
	if (r == 0)
		r = add_files(loads, files, err);
	if (r == 0)
		r = add_pairs(loads, pairs, err);
	if (r == 0 && deltas)
		r = add_deltas(loads, delta_bits, deltas, err);
	if (r < 0)
		json_decref(root);
	else
		*ret = root;
	return r;
}
