// Small plots: a line of the last two minutes and its newest value as text.

import { el, svg } from './dom.js';

const WIDTH = 240;
const HEIGHT = 56;
export const SAMPLES = 60;

// Return a plot with a title. `text` formats a value, `least` is the lowest top of the
// scale, and `top(values)` may choose another top.
export function plot(title, text, least = 1) {
	const line = svg('polyline', { class: 'line', 'vector-effect': 'non-scaling-stroke' });
	const area = svg('polygon', { class: 'area' });
	const picture = svg('svg', {
		viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': title,
	}, area, line);
	const now = el('strong', {}, '\u2013');
	const scale = el('span.quiet', {}, '');
	const element = el('figure.plot', {}, el('figcaption', {}, title, now), picture, scale);
	const values = [];

	return {
		element,
		add(value, limit) {
			values.push(value);
			if (values.length > SAMPLES) values.shift();
			const known = values.filter((v) => v !== null);
			if (!known.length) return;
			const top = limit || Math.max(least, ...known) * 1.1;
			const points = [];
			values.forEach((v, i) => {
				if (v === null) return;
				const x = WIDTH - (values.length - 1 - i) * (WIDTH / (SAMPLES - 1));
				points.push([x.toFixed(1), (HEIGHT - 1 - (v / top) * (HEIGHT - 3)).toFixed(1)]);
			});
			const path = points.map((p) => p.join(',')).join(' ');
			line.setAttribute('points', path);
			area.setAttribute('points', `${points[0][0]},${HEIGHT} ${path} ${points.at(-1)[0]},${HEIGHT}`);
			const newest = known.at(-1);
			now.textContent = text(newest);
			scale.textContent = limit ? `of ${text(limit)}` : `peak ${text(Math.max(...known))} in 2 min`;
			picture.setAttribute('aria-label', `${title}: now ${text(newest)}, ${scale.textContent}`);
		},
	};
}
