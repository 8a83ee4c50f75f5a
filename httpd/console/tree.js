// The tree of keys: a list of rows. Only the rows in the window are elements, so that
// a directory of any size scrolls equally fast. A directory is read page by page, the
// next page when the end of the last one comes into view.
//
// The keyboard moves an active row (aria-activedescendant). The focus stays on the
// tree itself, so that rows can be added and removed.

import * as api from './api.js';
import { $, duration, el, size } from './dom.js';
import { ancestors, binary, isDir, last, parent, show } from './names.js';

const SPARE = 8; // rows drawn past each edge
const INDENT = 16; // pixels for each level of depth
const ROW_WIDTH = 220; // smallest width of a row in pixels, without its indentation
const SEEK_PAGE = 5000; // entries per page while looking for one that a link names
const SEEK_MOST = 500_000; // most entries of one directory read for it

const tree = $('tree');
const sizer = $('tree-rows');
const large = matchMedia('(max-width: 760px), (pointer: coarse)');
const onePane = matchMedia('(max-width: 760px)');

let root = null;
let rows = [];
const loaded = new Map(); // path of a directory that is or was open -> node
let active = 0;
let selected = null; // path
let sought = null; // the selected path until it is in the tree: a new key may arrive by the stream only
let drawn = new Map(); // appearance of a row -> its element
let due = 0;
let depth = 1; // of the deepest row
let hidden = false; // the active row must be scrolled into view
let hooks = { open() {}, remove() {}, rename() {} };

const rowHeight = () => (large.matches ? 44 : 28);
const indent = (depth) => (depth - 1) * INDENT;

function makeNode(entry, depth) {
	return {
		...entry, depth, label: show(last(entry.path)), order: binary(last(entry.path)),
		open: false, children: null, cursor: null, state: '', error: null, missed: [],
	};
}

// --- rows ---------------------------------------------------------------------

function collect(node, out) {
	if (node.children) {
		for (const child of node.children) {
			out.push(child);
			if (child.open) collect(child, out);
		}
	}
	const depth = node.depth + 1;
	if (node.state === 'loading') out.push({ kind: 'loading', of: node, depth, label: 'Loading' });
	else if (node.error) out.push({ kind: 'error', of: node, depth, label: `${node.error.title}. Try again` });
	else if (node.cursor) out.push({ kind: 'more', of: node, depth, label: 'More' });
	else if (!node.children?.length) out.push({ kind: 'empty', of: node, depth, label: 'Empty' });
}

function rebuild() {
	const at = rows[active];
	rows = [];
	collect(root, rows);
	depth = rows.reduce((most, row) => Math.max(most, row.depth), 1);
	if (at) {
		const i = rows.findIndex((r) => r === at || (r.kind && r.kind === at.kind && r.of === at.of));
		active = i < 0 ? Math.min(active, Math.max(0, rows.length - 1)) : i;
	}
	refresh();
}

// Draw once before the next frame, however often it is called.
let stale = false;
function refresh(changed = false) {
	stale ||= changed;
	due ||= requestAnimationFrame(() => {
		due = 0;
		if (stale) {
			stale = false;
			return rebuild();
		}
		draw();
	});
}

function ttlText(row) {
	return row.expires ? duration((row.expires - Date.now()) / 1000) : '';
}

// Describe everything that a row shows. An element that would look the same is kept,
// so that the press and the release of a click reach the same element.
function looks(row, i, height) {
	return [i, height, onePane.matches, i === active, row.path === selected, row.path, row.label, row.kind, row.depth,
		row.open, row.size, ttlText(row)].join('\n');
}

function drawRow(row, i, height) {
	const node = el('div.row', {
		id: `row-${i}`, role: 'treeitem', 'aria-level': row.depth,
		'aria-selected': row.path !== undefined && row.path === selected ? 'true' : 'false',
	});
	node.style.transform = `translateY(${i * height}px)`;
	node.style.paddingInlineStart = `${indent(row.depth) + 6}px`;
	node.dataset.index = i;
	if (i === active) node.classList.add('active');
	if (row.kind) {
		node.classList.add('note', row.kind);
		node.append(el('span.name', {}, row.label));
		return node;
	}
	if (row.dir) node.setAttribute('aria-expanded', String(row.open));
	node.title = show(row.path);
	node.append(el(row.dir ? 'span.twist' : 'span.leaf', { 'aria-hidden': 'true' }),
		el('span.name', {}, row.label, row.dir ? el('span.slash', {}, '/') : null));
	if (row.expires) node.append(el('span.ttl', { title: 'time to live' }, ttlText(row)));
	if (!row.dir) node.append(el('span.size', {}, size(row.size)));
	else if (onePane.matches) node.append(el('span.about', { 'aria-hidden': 'true' }, '\u22ef'));
	return node;
}

// Set the size of the list to that of all its rows. A deep tree scrolls sideways
// instead of cutting its names off.
function measure() {
	sizer.style.height = `${rows.length * rowHeight()}px`;
	sizer.style.minWidth = `${indent(depth) + ROW_WIDTH}px`;
}

function draw() {
	const height = rowHeight();
	const first = Math.max(0, Math.floor(tree.scrollTop / height) - SPARE);
	const end = Math.min(rows.length, Math.ceil((tree.scrollTop + tree.clientHeight) / height) + SPARE);
	measure();
	const before = drawn;
	drawn = new Map();
	for (let i = first; i < end; i++) {
		const look = looks(rows[i], i, height);
		const node = before.get(look) ?? drawRow(rows[i], i, height);
		before.delete(look);
		drawn.set(look, node);
		if (rows[i].kind === 'more') more(rows[i].of);
	}
	for (const node of before.values()) node.remove();
	let at = sizer.firstChild;
	for (const node of drawn.values()) {
		if (node === at) at = at.nextSibling;
		else sizer.insertBefore(node, at);
	}
	if (active >= first && active < end) tree.setAttribute('aria-activedescendant', `row-${active}`);
	else tree.removeAttribute('aria-activedescendant');
}

function intoSight(i) {
	hidden = !tree.clientHeight; // if the tree is hidden: when it is shown again
	const height = rowHeight();
	measure(); // so that a row that is not drawn yet can be scrolled to
	if (i * height < tree.scrollTop) tree.scrollTop = i * height;
	else if ((i + 1) * height > tree.scrollTop + tree.clientHeight)
		tree.scrollTop = (i + 1) * height - tree.clientHeight;
	const left = rows[i] ? indent(rows[i].depth) : 0;
	if (left < tree.scrollLeft || left + ROW_WIDTH > tree.scrollLeft + tree.clientWidth)
		tree.scrollLeft = Math.max(0, left + ROW_WIDTH - tree.clientWidth);
}

// --- reading ------------------------------------------------------------------

async function more(node, limit) {
	if (node.state === 'loading') return;
	node.state = 'loading';
	node.error = null;
	refresh(true);
	try {
		const page = await api.list(node.path, { cursor: node.cursor, limit });
		const fresh = page.entries.map((e) => makeNode(e, node.depth + 1));
		// the stream may have added the first of them already
		const after = node.children?.at(-1)?.order;
		const known = after === undefined ? fresh : fresh.filter((e) => e.order > after);
		node.children = node.children ? node.children.concat(known) : fresh;
		node.cursor = page.cursor;
	} catch (error) {
		if (error.status === 404) { // deleted in the meantime
			node.children = [];
			node.cursor = null;
		} else {
			node.error = error;
		}
	}
	node.state = '';
	node.missed.splice(0).forEach(apply);
	refresh(true);
}

async function expand(node) {
	if (!node.dir || node.open) return;
	node.open = true;
	loaded.set(node.path, node);
	if (node.children) refresh(true);
	else await more(node);
}

function collapse(node) {
	node.open = false;
	refresh(true);
}

// --- changes by other clients ---------------------------------------------------

function place(children, order) {
	let low = 0;
	let high = children.length;
	while (low < high) {
		const mid = (low + high) >> 1;
		if (children[mid].order < order) low = mid + 1;
		else high = mid;
	}
	return low;
}

const GONE = new Set(['del', 'expired', 'evicted', 'rename_from']);

// Apply a message of the watch stream.
export function apply(event) {
	const node = loaded.get(parent(event.path));
	if (!node || !event.path) return;
	if (node.state === 'loading') return void node.missed.push(event); // it may be newer than the page
	if (!node.children) return;
	const order = binary(last(event.path));
	const at = place(node.children, order);
	const there = node.children[at]?.order === order ? node.children[at] : null;
	if (there && there.version > event.offset) return; // the page was newer
	if (GONE.has(event.event)) {
		if (!there) return;
		node.children.splice(at, 1);
		for (const path of loaded.keys())
			if (there.dir && path.startsWith(there.path)) loaded.delete(path);
	} else if (there) {
		if (there.dir !== isDir(event.path)) {
			node.children.splice(at, 1, makeNode(entryOf(event), node.depth + 1));
		} else {
			const { path, ...news } = entryOf(event);
			Object.assign(there, news);
		}
	} else {
		if (node.cursor && at === node.children.length) return; // on a page not read yet
		node.children.splice(at, 0, makeNode(entryOf(event), node.depth + 1));
	}
	refresh(true);
	if (sought?.startsWith(event.path)) reveal(sought);
}

function entryOf(event) {
	return {
		path: event.path, dir: event.type === 'directory', size: event.size ?? 0,
		version: event.version, expires: event.expires ? Date.parse(event.expires) : null,
	};
}

// --- for other modules -----------------------------------------------------------

export function setHooks(given) {
	hooks = given;
}

// Show the tree below a directory; "" is the root.
export function start(path = '') {
	root = makeNode({ path, dir: true }, 0);
	root.open = true;
	loaded.clear();
	loaded.set(path, root);
	active = 0;
	return more(root);
}

export const rootPath = () => root?.path ?? '';
export const rootError = () => root?.error;
export const reload = () => start(rootPath());

// Return the node of PATH, whose directory is open. If its page has not been read yet,
// read pages in order up to it, because the list has no gaps. Undefined if the entry
// does not exist, is too far away, or another entry was chosen in the meantime.
async function seek(path) {
	const wanted = selected;
	const node = loaded.get(parent(path));
	const order = binary(last(path));
	while (node && selected === wanted) {
		const read = node.children ?? [];
		if (node.state === 'loading') await new Promise((done) => setTimeout(done, 50));
		else if (node.error || !node.cursor || read.length >= SEEK_MOST || read.at(-1)?.order >= order) break;
		else await more(node, SEEK_PAGE);
	}
	const children = node?.children ?? [];
	const there = children[place(children, order)];
	return there?.path === path ? there : undefined;
}

// Open the directories above PATH and select it.
export async function reveal(path) {
	selected = sought = path;
	refresh();
	if (!path.startsWith(root.path)) return;
	for (const dir of ancestors(path).filter((p) => p.length > root.path.length)) {
		const node = await seek(dir);
		if (!node) return;
		await expand(node);
	}
	await seek(path);
	if (selected !== path) return;
	if (stale) rebuild();
	const i = rows.findIndex((r) => r.path === path);
	if (i < 0) return;
	sought = null;
	active = i;
	intoSight(i);
	refresh();
}

// Return the size of a key if the tree knows it.
export function sizeOf(path) {
	const children = loaded.get(parent(path))?.children ?? [];
	const order = binary(last(path));
	const there = children[place(children, order)];
	return there?.path === path ? there.size : undefined;
}

export const focus = () => tree.focus();

// --- mouse and keyboard ----------------------------------------------------------

function enter(row) {
	if (row.kind) {
		if (row.kind !== 'empty') more(row.of);
		return;
	}
	if (row.dir) {
		if (row.open && (row.path === selected || onePane.matches)) collapse(row);
		else expand(row);
	}
	if (!row.dir || !onePane.matches) hooks.open(row.path);
}

function move(to) {
	if (!rows.length) return;
	active = Math.max(0, Math.min(rows.length - 1, to));
	intoSight(active);
	refresh();
}

function left(row) {
	if (row.dir && row.open) return collapse(row);
	const up = row.kind ? row.of.path : parent(row.path);
	const i = rows.findIndex((r) => r.path === up);
	if (i >= 0) move(i);
}

function right(row) {
	if (!row.dir) return;
	if (!row.open) expand(row);
	else move(active + 1);
}

tree.addEventListener('keydown', (event) => {
	const row = rows[active];
	if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
	const page = Math.max(1, Math.floor(tree.clientHeight / rowHeight()) - 1);
	const keys = {
		ArrowDown: () => move(active + 1),
		ArrowUp: () => move(active - 1),
		PageDown: () => move(active + page),
		PageUp: () => move(active - page),
		Home: () => move(0),
		End: () => move(rows.length - 1),
		ArrowLeft: () => left(row),
		ArrowRight: () => right(row),
		Enter: () => enter(row),
		' ': () => enter(row),
		Delete: () => !row.kind && hooks.remove(row.path),
		F2: () => !row.kind && hooks.rename(row.path),
	};
	if (!keys[event.key]) return;
	event.preventDefault();
	keys[event.key]();
});

tree.addEventListener('click', (event) => {
	// a row that was redrawn between press and release is found by its position
	const hit = event.target.closest('.row') ? event.target : document.elementFromPoint(event.clientX, event.clientY);
	const at = hit?.closest('.row');
	if (!at) return;
	active = Number(at.dataset.index);
	const row = rows[active];
	if (hit.closest('.twist')) {
		if (row.open) collapse(row);
		else expand(row);
		return;
	}
	if (hit.closest('.about')) hooks.open(row.path);
	else enter(row);
	refresh();
});

tree.addEventListener('scroll', () => refresh(), { passive: true });
new ResizeObserver(() => {
	if (hidden && tree.clientHeight) intoSight(active);
	refresh();
}).observe(tree);
large.addEventListener('change', () => refresh());
setInterval(() => document.visibilityState === 'visible' && rows.some((r) => r.expires) && refresh(), 1000);
