// SPDX-License-Identifier: GPL-2.0-or-later
"use strict";

// How far trackers can be trusted: the last audit of each VM, the worst first, as the server orders them.

const percent = v => v === null ? "-" : v < 1 && v > .9999 ? "99.99 %" : `${number(v * 100)} %`;

function stale(audit) {
	const of = Object.entries(audit.classes).filter(([, c]) => c.stale)
		.map(([name, c]) => `${number(c.stale)} ${name}${c.followed ? "" : " (not followed)"}`);
	return of.join(", ") || "none";
}

const doubts = v => v.since_start.audits ? `${v.since_start.doubted} of ${v.since_start.audits}` : "-";

function showRecall(vms) {
	const known = vms.filter(v => v.audit);
	const missed = known.filter(v => v.audit.recall !== null && v.audit.recall < 1);
	const doubted = vms.filter(v => v.since_start.doubted || (v.audit && v.audit.doubted));
	$("n-audited").textContent = known.length && known.length === vms.length ? `all ${vms.length}` :
		`${known.length} of ${vms.length}`;
	$("n-missed").textContent = missed.length;
	$("n-doubted").textContent = doubted.length;
	$("n-worst").textContent = known.length ? percent(known[0].audit.recall ?? 1) : "-";
	$("n-worst-note").textContent = known.length ? `by the last audit of ${known[0].vm}` : "no audit yet";
	fill("recalls", vms, v => v.audit ?
		[v.vm, v.host ?? "nowhere", v.tracker || "-", percent(v.audit.recall), percent(v.audit.recall_all),
			percent(v.audit.precision), stale(v.audit), v.audit.doubted ? "yes" : "no", doubts(v),
			`${v.epoch}, ${age(v.at_unix_ms)}`] :
		[v.vm, v.host ?? "nowhere", v.tracker || "-", "-", "-", "-", "-", "-", doubts(v), "none"],
	v => `${v.vm} ${v.host} ${v.tracker}`);
}
