// Elements and their text. Data from the server becomes a text node or a plain
// attribute; no function here parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

// Create an element: el('button.quiet', { onclick, disabled }, 'text', child ...).
export function el(what, props = {}, ...children) {
	const [tag, ...classes] = what.split('.');
	const node = document.createElement(tag || 'div');
	if (classes.length) node.className = classes.join(' ');
	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false) continue;
		if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
		else if (name in node && !name.startsWith('aria') && name !== 'role') node[name] = value;
		else node.setAttribute(name, value === true ? '' : value);
	}
	node.append(...children.filter((c) => c !== undefined && c !== null && c !== false));
	return node;
}

export function svg(tag, attributes = {}, ...children) {
	const node = document.createElementNS(SVG, tag);
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

export const $ = (id) => document.getElementById(id);

// Show a message on the screen and pass it to screen readers.
export function toast(text) {
	const box = $('toasts');
	const note = el('div.toast', {}, text);
	box.append(note);
	setTimeout(() => note.remove(), 4000);
}

export function errorBox(error, retry) {
	const box = el('div.error', { role: 'alert' }, el('strong', {}, error.title || 'The request failed'));
	if (error.message) box.append(el('p', {}, error.message));
	if (retry) box.append(el('button', { type: 'button', onclick: retry }, 'Try again'));
	return box;
}

export const loading = (text = 'Loading') => el('p.loading', { role: 'status' }, text);

const NUMBER = new Intl.NumberFormat('en-US');
export const count = (n) => NUMBER.format(n);

export function size(bytes) {
	if (bytes < 1024) return `${bytes} B`;
	let n = bytes;
	let i = -1;
	while (n >= 1023.95 && i < 4) {
		n /= 1024;
		i++;
	}
	return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${['KiB', 'MiB', 'GiB', 'TiB', 'PiB'][i]}`;
}

// Format a number of seconds: "42 s", "3 min 5 s", "2 h 10 min", "4 d 3 h".
export function duration(seconds) {
	const s = Math.max(0, Math.ceil(seconds));
	const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
	const i = Math.max(0, units.findIndex(([n]) => s >= n));
	const at = s < 60 ? 3 : i;
	const [n, name] = units[at];
	const rest = at < 3 ? Math.floor((s % n) / units[at + 1][0]) : 0;
	return `${Math.floor(s / n)} ${name}` + (rest ? ` ${rest} ${units[at + 1][1]}` : '');
}

const pad = (n) => String(n).padStart(2, '0');
export function clock(date) {
	return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}
export function moment(date) {
	return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(date)}`;
}
