// SPDX-License-Identifier: GPL-2.0-or-later
"use strict";

// The order of a matrix in which VMs that are alike stand beside each other: clusters by average linkage
// (nearest-neighbour chain, n^2 steps), their tree read from left to right, the more alike ends together.
// inter: n rows of n numbers. distinct: n numbers. Returns the indices in order.
function clusterOrder(inter, distinct) {
	const n = inter.length;
	if (n < 3)
		return [...inter.keys()];
	// Likeness: of the smaller VM, the part that both have.
	const like = inter.map((row, i) => {
		const of = new Float64Array(n);
		for (let j = 0; j < n; j++)
			of[j] = i === j ? -1 : row[j] / Math.max(1, Math.min(distinct[i], distinct[j]));
		return of;
	});
	const size = new Array(n).fill(1);
	const order = inter.map((_, i) => [i]);
	const alive = [...inter.keys()]; // ascending
	const chain = [];

	while (alive.length > 1) {
		if (!chain.length)
			chain.push(alive[0]);
		const a = chain[chain.length - 1];
		const before = chain[chain.length - 2];
		// The one before wins a tie, or a chain would never end.
		let best = before, most = before === undefined ? -2 : like[a][before];
		for (const k of alive)
			if (k !== a && like[a][k] > most) {
				most = like[a][k];
				best = k;
			}
		if (best !== before) {
			chain.push(best);
			continue;
		}
		chain.length -= 2;
		// The merged one takes the lower index, so that equal input gives equal output.
		const keep = Math.min(a, best), gone = Math.max(a, best);
		order[keep] = join(order[keep], order[gone], inter);
		alive.splice(alive.indexOf(gone), 1);
		for (const k of alive) {
			if (k === keep)
				continue;
			const mean = (like[keep][k] * size[keep] + like[gone][k] * size[gone]) / (size[keep] + size[gone]);
			like[keep][k] = like[k][keep] = mean;
		}
		size[keep] += size[gone];
	}
	return order[alive[0]];
}

// Of the four ways to put two rows end to end, the one whose meeting ends share most.
function join(a, b, inter) {
	const first = [inter[a[a.length - 1]][b[0]], inter[a[a.length - 1]][b[b.length - 1]],
		inter[a[0]][b[0]], inter[a[0]][b[b.length - 1]]];
	const way = first.indexOf(Math.max(...first));
	const left = way < 2 ? a : [...a].reverse();
	const right = way % 2 === 0 ? b : [...b].reverse();
	return left.concat(right);
}
