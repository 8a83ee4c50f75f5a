// Search: keys whose path contains the typed text, or the entries of one directory
// that begin with it.
//
// The server has no index of names, so the search reads pages of the listing in order
// until it has enough results or has read enough entries; "Search further" continues from
// there. A search by a beginning reads one directory, not those below it, and ends at
// the first greater name.

import * as api from './api.js';
import { $, count, el, errorBox, size } from './dom.js';
import { binary, parse, show } from './names.js';
import { rootPath } from './tree.js';

const PAGE = 5000;
const ENOUGH = 200; // results
const PATIENCE = { anywhere: 50_000, beginning: 500_000 }; // entries read at a time
const PAUSE_MS = 150;

const box = $('results');
const input = $('search');
let open = () => {};
let running = null;
let timer = 0;

export function setOpen(f) {
	open = f;
}

function matcher(text, prefix) {
	if (prefix) {
		const path = parse(text);
		const dir = path.slice(0, path.lastIndexOf('/') + 1);
		const begin = binary(path.slice(dir.length));
		return {
			dir,
			patience: PATIENCE.beginning,
			fits: (e) => binary(e.path.slice(dir.length)).startsWith(begin),
			over: (e) => {
				const name = binary(e.path.slice(dir.length)).slice(0, begin.length);
				return name > begin && !begin.startsWith(name);
			},
		};
	}
	const wanted = text.toLowerCase();
	return {
		dir: '', recurse: true, patience: PATIENCE.anywhere,
		fits: (e) => show(e.path).toLowerCase().includes(wanted),
		over: () => false,
	};
}

function resultRow(entry) {
	return el('li', {}, el('a', { href: `#/keys/${entry.path}`, onclick: (event) => {
		event.preventDefault();
		box.querySelector('[aria-current]')?.removeAttribute('aria-current');
		event.currentTarget.setAttribute('aria-current', 'true');
		open(entry.path);
	} }, el('bdi.name', {}, show(entry.path)), entry.dir ? null : el('span.size', {}, size(entry.size))));
}

async function run(text, prefix, from) {
	const before = running;
	const mine = (running = new AbortController());
	before?.abort();
	const match = from?.match ?? matcher(text, prefix);
	const dir = match.dir || rootPath();
	const list = from?.list ?? el('ul.list', { 'aria-label': 'Keys found' });
	const status = el('p.quiet', { role: 'status' }, 'Searching \u2026');
	const stop = el('button', { type: 'button', onclick: () => mine.abort() }, 'Stop');
	let { cursor = null, read = 0, found = 0 } = from ?? {};
	const readBefore = read;
	const foundBefore = found;
	box.replaceChildren(status, stop, list);
	const searchOn = () => {
		const next = { match, list, cursor, read, found };
		box.append(el('button', { type: 'button', onclick: () => run(text, prefix, next) }, 'Search further'));
	};
	try {
		do {
			const page = await api.list(dir, { cursor, limit: PAGE, recurse: match.recurse, signal: mine.signal });
			({ cursor } = page);
			for (const entry of page.entries) {
				read++;
				if (match.over(entry)) {
					cursor = null;
					break;
				}
				if (match.fits(entry)) {
					found++;
					list.append(resultRow(entry));
				}
			}
			status.textContent = `Searching \u2026 ${count(found)} found, ${count(read)} keys read`;
		} while (cursor && found - foundBefore < ENOUGH && read - readBefore < match.patience);
		status.textContent = (cursor ? 'Paused: ' : '') + (found
			? `${count(found)} ${cursor ? 'found so far' : 'found'}, ${count(read)} keys read`
			: `${cursor ? 'nothing found so far' : 'Nothing found'}, ${count(read)} keys read`);
		if (cursor) searchOn();
	} catch (error) {
		if (error.name === 'AbortError') {
			if (running !== mine) return; // another search has replaced this one
			status.textContent = `Stopped: ${count(found)} found, ${count(read)} keys read`;
			searchOn();
		} else if (error.status === 404) status.textContent = 'Nothing found: there is no such directory';
		else box.replaceChildren(errorBox(error, () => run(text, prefix)));
	} finally {
		stop.remove();
	}
}

function showResults(on) {
	box.hidden = !on;
	$('tree').hidden = on;
}

function changed() {
	clearTimeout(timer);
	const text = input.value;
	$('search-clear').hidden = !text;
	if (!text) return clear();
	showResults(true);
	timer = setTimeout(() => run(text, $('search-prefix').checked), PAUSE_MS);
}

export function clear() {
	clearTimeout(timer);
	const was = running;
	running = null;
	was?.abort();
	input.value = '';
	$('search-clear').hidden = true;
	showResults(false);
	box.replaceChildren();
}

export function focus() {
	input.focus();
	input.select();
}

// Return the path of the result that has the focus, or null.
export function focused() {
	const link = document.activeElement.closest('#results a');
	return link ? link.getAttribute('href').slice('#/keys/'.length) : null;
}

// Arrow keys move through the results, from the field and back to it.
function step(event) {
	const links = [...box.querySelectorAll('a')];
	const at = links.indexOf(document.activeElement);
	if (event.key === 'ArrowDown' && links.length) links[Math.min(at + 1, links.length - 1)].focus();
	else if (event.key === 'ArrowUp' && at >= 0) (links[at - 1] ?? input).focus();
	else if (event.key === 'Escape') {
		clear();
		input.focus();
	} else return;
	event.preventDefault();
}

input.addEventListener('input', changed);
input.addEventListener('keydown', step);
box.addEventListener('keydown', step);
for (const name of ['search-prefix', 'search-anywhere']) $(name).addEventListener('change', changed);
$('search-clear').addEventListener('click', () => {
	clear();
	input.focus();
});
$('search-form').addEventListener('submit', (event) => {
	event.preventDefault();
	box.querySelector('a')?.click();
});
