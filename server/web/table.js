// SPDX-License-Identifier: GPL-2.0-or-later
"use strict";

// Tables of any length: a page of rows is on the page, the rest in memory; a word finds the others.

const PAGE_ROWS = 25;
const tables = new Map();

function row(cells) {
	const tr = document.createElement("tr");
	cells.forEach((c, i) => {
		const td = document.createElement(i ? "td" : "th");
		if (!i)
			td.scope = "row";
		if (typeof c === "number") {
			td.className = "num";
			td.textContent = number(c);
		} else if (c instanceof Node) {
			td.append(c);
		} else {
			td.textContent = c;
			if (c.length > 60)
				td.className = "words";
		}
		tr.append(td);
	});
	return tr;
}

function button(text, label, onClick) {
	const b = document.createElement("button");
	b.type = "button";
	b.className = "step";
	b.textContent = text;
	b.setAttribute("aria-label", label);
	b.addEventListener("click", onClick);
	return b;
}

// What is below a table: there only when it has more rows than one page.
function makePager(id, t) {
	const box = document.createElement("p"), name = $(id).caption.textContent;
	const step = by => {
		t.first += by;
		draw(t);
	};
	t.find = document.createElement("input");
	t.find.type = "search";
	t.find.placeholder = "Find";
	t.find.setAttribute("aria-label", `Find in: ${name}`);
	t.find.addEventListener("input", () => {
		t.first = 0;
		draw(t);
	});
	t.back = button("‹", `Rows before, of: ${name}`, () => step(-PAGE_ROWS));
	t.on = button("›", `Rows after, of: ${name}`, () => step(PAGE_ROWS));
	t.where = document.createElement("span");
	t.where.setAttribute("role", "status");
	box.className = "pager";
	box.append(t.find, t.back, t.on, t.where);
	$(id).parentElement.before(box);
	t.pager = box;
	new ResizeObserver(() => reach($(id).parentElement, name)).observe($(id).parentElement);
	new ResizeObserver(() => reach($(id).parentElement, name)).observe($(id));
}

// What must be scrolled can be reached by keys, as long as it must.
function reach(wide, name) {
	if (wide.scrollWidth > wide.clientWidth) {
		wide.tabIndex = 0;
		wide.setAttribute("role", "region");
		wide.setAttribute("aria-label", name);
	} else {
		for (const a of ["tabindex", "role", "aria-label"])
			wide.removeAttribute(a);
	}
}

function draw(t) {
	const word = t.find.value.trim().toLowerCase();
	const found = word ? t.items.filter(e => t.text(e).toLowerCase().includes(word)) : t.items;
	t.first = Math.max(0, Math.min(t.first, Math.floor((found.length - 1) / PAGE_ROWS) * PAGE_ROWS));
	const until = Math.min(found.length, t.first + PAGE_ROWS);
	t.body.replaceChildren(...found.slice(t.first, until).map((e, i) => row(t.cells(e, t.first + i))));
	t.where.textContent = found.length ? `${t.first + 1} to ${until} of ${found.length}` : "none";
	t.back.disabled = !t.first;
	t.on.disabled = until === found.length;
	t.pager.hidden = t.items.length <= PAGE_ROWS;
}

// items: anything; cells(item, index): what its row shows; text(item): what it is found by.
function fill(id, items, cells, text) {
	let t = tables.get(id);
	if (!t) {
		t = { first: 0, body: $(id).tBodies[0] };
		makePager(id, t);
		tables.set(id, t);
	}
	Object.assign(t, { items, cells, text });
	draw(t);
}

// Names, the first few of them.
function some(names, most = 8) {
	return names.length > most ? `${names.slice(0, most).join(", ")} and ${names.length - most} more` :
		names.join(", ") || "none";
}
