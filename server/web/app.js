// SPDX-License-Identifier: GPL-2.0-or-later
"use strict";

// The API's JSON (docs/json.md), as a page. It only asks; to carry out is mbctl's.

const $ = id => document.getElementById(id);
const REFRESH_MS = 30000;
const PAIRS = 20;
let shown = { status: null, share: null, order: null, cursor: [0, 0], set: 0, shareDue: 0 };

async function ask(path) {
	const token = sessionStorage.getItem("token");
	const answer = await fetch(path, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
	const json = await answer.json().catch(() => ({ error: `HTTP ${answer.status}` }));
	if (answer.status === 401)
		$("login").hidden = false;
	if (!answer.ok)
		throw new Error(json.error);
	return json;
}

const mb = (pages, bytes = 4096) => pages * bytes / 1048576;

function options(select, names) {
	const before = select.value;
	// A long list is not made again for nothing.
	if (names.length === select.options.length && names.every(([v, t], i) => select.options[i].value === v &&
		select.options[i].text === t))
		return;
	select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));
	if (names.some(([value]) => value === before))
		select.value = before;
}

function age(ms) {
	const s = Math.max(0, Math.round((Date.now() - ms) / 1000));
	return s < 120 ? `${s} s ago` : s < 7200 ? `${Math.round(s / 60)} min ago` : `${Math.round(s / 3600)} h ago`;
}

function showFleet(status, share) {
	const any = new Map(share.identities.flatMap(s => s.vms.map(v => [v.name, [v.inter, s.page_bytes]])));
	const sum = (list, key) => list.reduce((n, e) => n + e[key], 0);
	const online = status.vms.filter(v => v.online).length;
	$("n-vms").textContent = status.vms.length;
	$("n-online").textContent = `${online} connected`;
	$("n-pages").textContent = `${number(mb(sum(status.vms, "pages")))} MB`;
	$("n-self").textContent = `${number(mb(sum(status.vms, "self")))} MB`;
	$("n-inter").textContent = `${number(mb(sum(share.hosts, "inter_saving_pages")))} MB`;
	const memory = new Map(status.hosts.map(h => [h.name, h.memory_mb]));
	fill("hosts", share.hosts, h => {
		const all = memory.get(h.name) || mb(h.pages) || 1;
		return [h.name, h.vms.length, memory.get(h.name) ?? "not known", mb(h.pages), mb(h.distinct_union),
			mb(h.inter_saving_pages), bar([[mb(h.distinct_union) / all, "used"], [mb(h.saving_pages) / all, "saved"]])];
	}, h => h.name);
	fill("vms", status.vms, v => [v.name, v.host ?? "nowhere", v.online ? "connected" : "away", v.tracker || "-",
		mb(v.pages), mb(v.zero), mb(v.self_nonzero), any.has(v.name) ? mb(...any.get(v.name)) : "-",
		v.epoch ? `${v.epoch}, ${age(v.acked_unix_ms)}` : "none yet"],
	v => `${v.name} ${v.host} ${v.online ? "connected" : "away"} ${v.tracker}`);
	$("version").textContent = `mbserver ${status.server.version}, ${status.server.db}`;
}

/* --- the matrix ------------------------------------------------------------------------------- */

// So few VMs have their names beside them.
const NAMED = 24;
const named = n => n <= NAMED;
const cellSize = n => {
	const width = Math.min(960, $("map").clientWidth || 960);
	return Math.max(1, Math.min(48, Math.floor((named(n) ? width - $("names").offsetWidth - 12 : width) / n)));
};
const mark = () => document.activeElement === $("matrix") ? shown.cursor : null;

function tell() {
	const set = shown.share.identities[shown.set], [i, j] = shown.cursor;
	const a = shown.order[i], b = shown.order[j], va = set.vms[a], vb = set.vms[b];
	const where = v => v.host ?? "nowhere";
	$("cell").textContent = a === b ?
		`${va.name} on ${where(va)}: ${number(mb(va.inter, set.page_bytes))} MB that any other has` :
		`${va.name} on ${where(va)} and ${vb.name} on ${where(vb)}: ${number(mb(set.inter[a][b], set.page_bytes))} MB`;
}

function moveMark() {
	if (!picture.n)
		return;
	const cell = cellSize(picture.n);
	showMatrix($("matrix"), cell, mark());
	for (const e of $("names").children)
		e.style.lineHeight = `${cell}px`;
}

function drawShare() {
	const set = shown.share.identities[shown.set];
	$("map").hidden = !set;
	if (!set)
		return;
	const most = Math.max(1, set.inter.reduce((m, r) => r.reduce((a, v) => Math.max(a, v), m), 0));
	paintMatrix(set.inter, shown.order, most);
	$("names").replaceChildren(...(named(shown.order.length) ? shown.order : []).map(v => {
		const e = document.createElement("li");
		e.textContent = set.vms[v].name;
		return e;
	}));
	moveMark();
	$("most").textContent = `${number(mb(most, set.page_bytes))} MB`;
	const c = $("scale").getContext("2d"), dark = matchMedia("(prefers-color-scheme: dark)").matches;
	for (let x = 0; x < 160; x++) {
		c.fillStyle = `rgb(${heat(x / 159, dark)})`;
		c.fillRect(x, 0, 1, 10);
	}
}

function showShare() {
	const sets = shown.share.identities;
	options($("set"), sets.map((s, i) => [String(i),
		`${s.domain || "no domain"}: ${s.vms.length} VMs, ${s.algorithm}, ${s.bits} bits`]));
	shown.set = Number($("set").value) || 0;
	const set = sets[shown.set], began = performance.now();
	if (set) {
		shown.order = clusterOrder(set.inter, set.vms.map(v => v.distinct));
		shown.cursor = shown.cursor.map(c => Math.min(c, set.vms.length - 1));
		performance.measure("order", { start: began });
	}
	fill("pairs", set ? largestPairs(set.inter, PAIRS) : [], ([pages, i, j]) => {
		const a = set.vms[i], b = set.vms[j];
		return [a.name, b.name, mb(pages, set.page_bytes),
			a.host && a.host === b.host ? `together on ${a.host}` : `${a.host ?? "nowhere"}, ${b.host ?? "nowhere"}`];
	}, ([, i, j]) => `${set.vms[i].name} ${set.vms[j].name}`);
	drawShare();
	if (!$("cell").textContent)
		$("cell").textContent = "What two VMs share is said here: point at their cell, or go there with arrow keys.";
	performance.mark("matrix");
}

function move(event) {
	const n = shown.order ? shown.order.length : 0, [i, j] = shown.cursor;
	const to = { ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1],
		Home: [i, 0], End: [i, n - 1], PageUp: [0, j], PageDown: [n - 1, j] }[event.key];
	if (!n || !to)
		return;
	event.preventDefault();
	shown.cursor = to.map(c => Math.max(0, Math.min(n - 1, c)));
	tell();
	moveMark();
}

function point(event) {
	if (!shown.order || !shown.order.length)
		return;
	const box = $("matrix").getBoundingClientRect(), n = shown.order.length;
	const at = v => Math.max(0, Math.min(n - 1, Math.floor(v * n)));
	shown.cursor = [at((event.clientY - box.top) / box.height), at((event.clientX - box.left) / box.width)];
	tell();
}

/* --- a VM's history, and plans ---------------------------------------------------------------- */

async function showChurn() {
	const vm = $("vm").value;
	if (!vm)
		return;
	const rows = (await ask(`/v1/history?limit=500&vm=${encodeURIComponent(vm)}`)).rows;
	const points = of => rows.map(r => [r.at_unix_ms, of(r)]);
	chart($("changed"), points(r => r.epoch === 1 ? null : mb(r.changed)), "MB");
	chart($("inter"), points(r => r.inter === null ? null : mb(r.inter)), "MB");
	chart($("recall"), rows.filter(r => r.audit && r.audit.recall !== null)
		.map(r => [r.at_unix_ms, r.audit.recall * 100]), "%");
}

async function showPlan() {
	const say = (text, bad) => {
		$("answer").textContent = text;
		$("answer").className = bad ? "bad" : "";
	};
	$("make").disabled = true;
	say("Planning");
	try {
		const plan = await ask(`/v1/plan?planner=${encodeURIComponent($("planner").value)}`);
		const gain = mb(plan.saving.gain_pages), n = plan.moves.length;
		const moves = n === 1 ? "1 move" : `${n} moves`;
		say(n ? `${moves} save${n === 1 ? "s" : ""} ${number(gain)} MB: ${number(plan.copy_mb)} MB to copy, ` +
			`about ${number(plan.time_s)} s. ${plan.note}` : `Nothing is worth a move. ${plan.note}`);
		$("n-more").textContent = `${number(Math.max(0, gain))} MB`;
		$("n-more-note").textContent = `by planner ${plan.planner}, ${moves}`;
		fill("after", plan.hosts, h => {
			const both = document.createElement("span");
			both.append(bar([[h.before_mb / (h.memory_mb || 1), "before"]]), bar([[h.after_mb / (h.memory_mb || 1), "used"]]));
			return [h.name, h.memory_mb, h.before_mb, h.after_mb, both, some(h.vms_after, 4)];
		}, h => `${h.name} ${h.vms_after.join(" ")}`);
		fill("moves", plan.moves.map((m, i) => [i + 1, m]), ([i, m]) => [i, m.vm, m.from ?? "nowhere", m.to,
			mb(m.gain_pages), m.copy_mb, m.feasible ? m.reason : `No room when its turn comes. ${m.reason}`],
		([, m]) => `${m.vm} ${m.from} ${m.to} ${m.reason}`);
		$("after").hidden = false;
		$("moves").hidden = !n;
	} catch (e) {
		say(e.message, true);
		$("after").hidden = $("moves").hidden = true;
	}
	$("make").disabled = false;
}

/* --- */

// Hosts change without a new fingerprint, too.
const stateOf = status => status.server.generation + status.hosts.map(h => `${h.name}:${h.vms}`).join();

/*
 * What is large is asked for when it has changed, and so seldom that it takes a twentieth of the time at most;
 * nothing while nobody looks, and one thing after the other.
 */
async function refresh() {
	clearTimeout(shown.timer);
	try {
		const status = await ask("/v1/status"), state = stateOf(status);
		$("login").hidden = true;
		if (!shown.share || (state !== shown.state && performance.now() >= shown.shareDue)) {
			const began = performance.now();
			shown.share = await ask("/v1/share");
			shown.shareDue = performance.now() + 20 * (performance.now() - began);
			Object.assign(shown, { state, fresh: true });
		}
		shown.status = status;
		showFleet(status, shown.share);
		performance.mark("fleet");
		options($("vm"), status.vms.map(v => [v.name, v.name]));
		if (shown.fresh) {
			shown.fresh = false;
			showShare();
			showRecall((await ask("/v1/audits")).vms);
			await showChurn();
		}
		$("state").textContent = `as of ${when(Date.now())} UTC`;
		$("state").className = "";
	} catch (e) {
		$("state").textContent = e.message;
		$("state").className = "bad";
	}
	clearTimeout(shown.timer);
	shown.timer = setTimeout(() => document.hidden || refresh(), REFRESH_MS);
}

$("login").addEventListener("submit", e => {
	e.preventDefault();
	sessionStorage.setItem("token", $("token").value);
	$("token").value = "";
	refresh();
});
$("ask").addEventListener("submit", e => {
	e.preventDefault();
	showPlan();
});
$("set").addEventListener("change", showShare);
$("vm").addEventListener("change", () => showChurn().catch(e => { $("state").textContent = e.message; }));
$("matrix").addEventListener("keydown", move);
$("matrix").addEventListener("mousemove", point);
$("matrix").addEventListener("click", () => $("matrix").focus());
for (const event of ["focus", "blur"])
	$("matrix").addEventListener(event, () => shown.order && (tell(), moveMark()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown.order && drawShare());
addEventListener("resize", () => shown.order && moveMark());
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
