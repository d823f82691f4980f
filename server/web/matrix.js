// SPDX-License-Identifier: GPL-2.0-or-later
"use strict";

// The matrix of a thousand VMs: drawn once, then only the mark moves.

const picture = { image: null, n: 0, cell: 1 };

// 256 colours as they lie in memory.
function palette(dark) {
	const colours = new Uint32Array(257), bytes = new Uint8Array(colours.buffer);
	for (let i = 0; i < 256; i++)
		bytes.set([...heat(i / 255, dark), 255], 4 * i);
	bytes.set([...(dark ? [70, 76, 88] : [200, 204, 211]), 255], 4 * 256); // the diagonal
	return colours;
}

// inter: rows of numbers; order: which VM stands where; most: what is darkest.
function paintMatrix(inter, order, most) {
	const n = order.length, colours = palette(matchMedia("(prefers-color-scheme: dark)").matches);
	const image = new ImageData(Math.max(1, n), Math.max(1, n)), pixels = new Uint32Array(image.data.buffer);
	for (let i = 0, at = 0; i < n; i++) {
		const of = inter[order[i]];
		for (let j = 0; j < n; j++)
			pixels[at++] = colours[i === j ? 256 : Math.round(of[order[j]] / most * 255)];
	}
	picture.image = document.createElement("canvas");
	picture.image.width = picture.image.height = image.width;
	picture.image.getContext("2d").putImageData(image, 0, 0);
	picture.n = n;
}

// cell: pixels of one; mark: [row, column], or null.
function showMatrix(canvas, cell, mark) {
	const n = picture.n, size = n * cell, dark = matchMedia("(prefers-color-scheme: dark)").matches;
	const c = canvas.getContext("2d");
	if (canvas.width !== size)
		canvas.width = canvas.height = size;
	c.imageSmoothingEnabled = false;
	c.drawImage(picture.image, 0, 0, size, size);
	if (!mark)
		return;
	c.strokeStyle = c.fillStyle = dark ? "#fdba74" : "#c2410c";
	c.lineWidth = 2;
	const [y, x] = mark.map(v => v * cell);
	// A cell of a pixel or two is found by its row and column.
	if (cell < 8) {
		const thick = Math.max(2, Math.round(size / Math.max(1, canvas.clientWidth)));
		c.globalAlpha = .6;
		c.fillRect(0, y, size, thick);
		c.fillRect(x, 0, thick, size);
		c.globalAlpha = 1;
	}
	c.strokeRect(x - 1, y - 1, cell + 2, cell + 2);
}

// The `limit` largest, [value, i, j] with i < j, the largest first.
function largestPairs(inter, limit) {
	const top = [];
	for (let j = 1; j < inter.length; j++)
		for (let i = 0; i < j; i++) {
			const v = inter[j][i];
			if (!v || (top.length === limit && v <= top[limit - 1][0]))
				continue;
			let at = top.length;
			while (at && top[at - 1][0] < v)
				at--;
			top.splice(at, 0, [v, i, j]);
			top.length = Math.min(top.length, limit);
		}
	return top;
}
