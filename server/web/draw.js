// SPDX-License-Identifier: GPL-2.0-or-later
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, text) {
	const e = document.createElementNS(SVG, name);
	for (const [k, v] of Object.entries(attributes))
		e.setAttribute(k, v);
	if (text !== undefined)
		e.textContent = text;
	return e;
}

// Parts of a whole, as a bar: [[share, class], ...]. The cells beside it say the same in figures.
function bar(parts) {
	const box = document.createElement("span");
	const picture = svg("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" });
	let at = 0;
	box.className = "bar";
	for (const [share, name] of parts) {
		const width = Math.max(0, Math.min(100 - at, share * 100));
		picture.append(svg("rect", { x: at, y: 0, width, height: 1, class: name }));
		at += width;
	}
	box.append(picture);
	return box;
}

// A curve over time. points: [[ms, value], ...], ascending; a value of null is a gap.
function chart(to, points, unit) {
	const width = Math.max(300, to.clientWidth || 600), height = 144, left = 60, bottom = 20, top = 10;
	const known = points.filter(p => p[1] !== null);
	to.replaceChildren();
	to.setAttribute("viewBox", `0 0 ${width} ${height}`);
	if (!known.length) {
		to.append(svg("text", { x: left, y: height / 2 }, "nothing is known yet"));
		to.setAttribute("aria-label", "nothing is known yet");
		return;
	}
	const from = points[0][0], until = Math.max(points[points.length - 1][0], from + 1);
	const most = Math.max(...known.map(p => p[1])) || 1;
	const x = t => left + (t - from) / (until - from) * (width - left - 10);
	const y = v => height - bottom - v / most * (height - bottom - top);
	for (const share of [0, .5, 1]) {
		to.append(svg("line", { x1: left, x2: width, y1: y(most * share), y2: y(most * share), class: "grid" }));
		to.append(svg("text", { x: left - 6, y: y(most * share) + 4, "text-anchor": "end" },
			number(most * share)));
	}
	for (const [t, anchor] of points.length === 1 ? [[from, "start"]] : [[from, "start"], [until, "end"]])
		to.append(svg("text", { x: x(t), y: height - 5, "text-anchor": anchor }, when(t)));
	let d = "", pen = "M";
	for (const [t, v] of points) {
		if (v === null) {
			pen = "M";
			continue;
		}
		d += `${pen}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
		pen = "L";
	}
	to.append(svg("path", { d, class: "curve" }));
	if (known.length < 60)
		for (const [t, v] of known)
			to.append(svg("circle", { cx: x(t), cy: y(v), r: 2.5, class: "dot" }));
	const last = known[known.length - 1];
	to.setAttribute("aria-label", `${known.length} figures from ${when(from)} to ${when(until)}: ` +
		`last ${number(last[1])} ${unit}, at most ${number(most)} ${unit}`);
}

// 0 to 1 to a colour that grows darker (lighter where the page is dark); told apart without hue.
function heat(v, dark) {
	const s = Math.sqrt(v);
	const from = dark ? [30, 33, 39] : [243, 244, 246], to = dark ? [159, 208, 255] : [8, 48, 107];
	return from.map((c, i) => Math.round(c + (to[i] - c) * s));
}

function number(v) {
	return v.toLocaleString("en", { maximumFractionDigits: v < 10 ? 2 : v < 100 ? 1 : 0 });
}

function when(ms) {
	return new Date(ms).toISOString().replace("T", " ").slice(0, 19);
}
