// The pane of one entry: a key with its value and metadata, or a directory. It
// follows changes made by other clients.

import * as api from './api.js';
import * as change from './change.js';
import { edit, isEditable } from './edit.js';
import { $, count, duration, el, errorBox, loading, moment, size, toast } from './dom.js';
import { ancestors, isDir, last, parent, show } from './names.js';
import { sizeOf } from './tree.js';
import { forms } from './value.js';

const PREVIEW = 64 << 10; // bytes of a value that are read for display

const pane = $('entry');
let path = null; // path of the entry shown; null: no entry
let key = null; // its api.read(), if it is an existing key
let drawn = null; // tag of the key that the pane shows
let editor = null; // { dirty(), changed() } while editing
let form = ''; // name of the form last chosen
let reading = null; // AbortController
let soon = 0; // timer of the next read after a change by another client; 0: not set
let go = () => {};

export const isDirty = () => Boolean(editor?.dirty());
export const current = () => path;
export function setGo(open) {
	go = open;
}

// --- parts ----------------------------------------------------------------------

const keysLink = (to) => `#/keys/${to}`;

function heading() {
	const trail = el('nav.trail', { 'aria-label': 'Path' }, el('a', { href: keysLink('') }, 'All keys'));
	for (const dir of ancestors(path))
		trail.append(el('span', { 'aria-hidden': 'true' }, '/'), el('a', { href: keysLink(dir) }, el('bdi', {}, show(last(dir)))));
	const name = path ? show(last(path)) + (isDir(path) ? '/' : '') : 'All keys';
	return el('header', {},
		el('a.back', { href: '#/keys', onclick: back }, '\u2039 Keys'),
		path ? trail : null,
		el('h2', { id: 'entry-title', tabindex: '-1' }, el('bdi', {}, name)));
}

function back(event) {
	event.preventDefault();
	go(null);
}

const button = (label, onclick, style = '') => el(`button${style}`, { type: 'button', onclick }, label);

function fact(name, ...value) {
	return el('div', {}, el('dt', {}, name), el('dd', {}, ...value));
}

// Replace the content of the pane. An element that had the focus gets it back if it
// still exists.
function fill(...parts) {
	const had = pane.contains(document.activeElement) ? document.activeElement : null;
	drawn = null;
	pane.replaceChildren(heading(), ...parts.filter(Boolean));
	if (!had) return;
	const same = had.id ? $(had.id)
		: [...pane.querySelectorAll(had.tagName)].find((e) => e.textContent === had.textContent);
	(same ?? $('entry-title')).focus({ preventScroll: true });
}

// --- a key ----------------------------------------------------------------------

function ttlFact() {
	const text = el('span', { id: 'entry-ttl' });
	return fact('Expires', text, ' ', button(key.expires ? 'Change' : 'Set', changeTtl, '.link'));
}

function tick() {
	const text = $('entry-ttl');
	if (!text || !key) return;
	const left = key.expires ? (key.expires - Date.now()) / 1000 : null;
	text.textContent = left === null ? 'never' : left > 0 ? `in ${duration(left)}` : 'now';
	text.title = key.expires ? moment(new Date(key.expires)) : '';
	if (left !== null && left <= -1 && !editor) {
		key = null;
		load();
	}
}
setInterval(tick, 250);

async function changeTtl() {
	if (await change.setTtl(path, key?.expires)) load();
}

function valueParts() {
	const cut = key.bytes.length < key.size;
	if (!key.size) return [el('p.quiet', {}, 'The value is empty.')];
	const all = forms(key.bytes, cut);
	let chosen = all.find((f) => f.name === form) ?? all[0];
	const box = el('div.value-box');
	const tabs = el('div.tabs', { role: 'group', 'aria-label': 'Show as' });
	const draw = () => {
		box.replaceChildren(chosen.make());
		tabs.replaceChildren(...all.map((f) => el('button', {
			type: 'button', 'aria-pressed': String(f === chosen), onclick: () => {
				chosen = f;
				form = f.name;
				draw();
				tabs.querySelector('[aria-pressed=true]').focus();
			} }, f.name)));
	};
	draw();
	const note = cut ? el('p.cut', {}, `The first ${size(key.bytes.length)} of ${size(key.size)}. `,
		button('Download all of it', download, '.link')) : null;
	return [tabs, box, note];
}

function drawKey() {
	const type = key.type === 'application/octet-stream' ? 'none' : key.type;
	fill(
		el('div.actions', { role: 'toolbar', 'aria-label': 'Actions' },
			button('Edit', startEdit, '.primary.edit-key'), button('Rename', doRename),
			button('Download', download), button('Delete', doRemove, '.danger')),
		el('dl.facts', {},
			ttlFact(),
			fact('Version', count(key.version)),
			fact('Size', el('span', { title: `${count(key.size)} bytes` }, size(key.size))),
			fact('Content type', type),
			fact('Changed', moment(key.modified))),
		...valueParts());
	drawn = key.tag;
	tick();
}

async function download() {
	const link = el('a', { download: last(path).replace(/%../g, '_') || 'value' });
	if (api.token()) { // a link cannot send a token
		try {
			const { bytes } = await api.read(path);
			link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
			setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
		} catch (error) {
			return toast(`${error.title}. ${error.message}`);
		}
	} else {
		link.href = api.KV + path;
	}
	document.body.append(link);
	link.click();
	link.remove();
}

async function startEdit() {
	const at = path;
	let whole = key;
	if (key.bytes.length < key.size && isEditable(key.size)) {
		fill(loading('Reading the whole value'));
		try {
			whole = await api.read(path);
		} catch (error) {
			return fill(errorBox(error, load));
		}
	}
	if (path !== at) return;
	editor = edit(whole, (saved) => {
		editor = null;
		load().then(() => $('entry-title')?.focus());
		if (saved) toast(`Saved, version ${saved.replaceAll('"', '')}`);
	});
	fill(editor.element);
	editor.focus();
}

async function doRename() {
	const to = await change.rename(path);
	if (to) go(to);
}

async function doRemove() {
	if (await change.remove(path, key?.tag)) go(parent(path));
}

async function doCreate(name) {
	const made = await change.create(isDir(path) ? path : parent(path), name);
	if (made) go(made);
}

// --- a directory, a missing entry --------------------------------------------------

async function loadDir(signal) {
	const page = await api.list(path, { signal });
	const n = page.entries.length;
	fill(
		el('div.actions', { role: 'toolbar', 'aria-label': 'Actions' },
			button('New key', () => doCreate(''), '.primary'),
			path ? button('Rename', doRename) : null,
			path ? button('Delete', doRemove, '.danger') : null),
		n ? el('dl.facts', {},
			fact('Entries', page.cursor ? `more than ${count(n)}` : count(n)),
			fact('Directories', count(page.entries.filter((e) => e.dir).length) + (page.cursor ? ' or more' : '')))
			: el('div.empty', {}, el('p', {}, path ? 'This directory is empty.' : 'There are no keys yet.'),
				el('p.quiet', {}, 'Create one here, with curl -X PUT, or with echo on a mount.')));
}

function drawMissing() {
	key = null;
	fill(el('div.empty', {},
		el('p', {}, isDir(path) ? 'This directory does not exist.' : 'This key does not exist.'),
		isDir(path) ? null : button('Create it', () => createHere(), '.primary')));
}

async function createHere() {
	const made = await change.create(parent(path), show(last(path)));
	if (made === path) load();
	else if (made) go(made);
}

// --- reading ----------------------------------------------------------------------

async function load() {
	clearTimeout(soon); // this read shows every change received so far
	soon = 0;
	reading?.abort();
	reading = new AbortController();
	const { signal } = reading;
	const at = path;
	pane.setAttribute('aria-busy', 'true');
	try {
		if (isDir(at)) {
			await loadDir(signal);
		} else {
			const most = sizeOf(at) === 0 ? 0 : PREVIEW; // an empty value has no ranges
			const got = await api.read(at, { most, signal });
			if (path !== at || editor) return; // the editor reports changes by other clients itself
			key = got;
			if (drawn !== got.tag) drawKey();
		}
	} catch (error) {
		if (error.name === 'AbortError' || path !== at || editor) return;
		if (error.type === 'is-directory') return go(`${at}/`);
		if (error.status === 404) return drawMissing();
		fill(errorBox(error, load));
	} finally {
		if (path === at) pane.removeAttribute('aria-busy');
	}
}

export function stopEditing() {
	editor = null;
	load();
}

// Show PATH, or an empty pane if it is null. The caller has asked whether unsaved
// changes may be discarded.
export function open(to, { focus } = {}) {
	editor = null;
	key = null;
	path = to;
	reading?.abort();
	if (to === null) return pane.replaceChildren();
	fill(loading());
	const before = document.activeElement;
	return load().then(() => {
		// unless the user has opened another entry in the meantime
		if (focus && document.activeElement === before) $('entry-title')?.focus();
	});
}

// Handle a message of the watch stream. Several in a row cause one read.
export function apply(event) {
	if (path === null) return;
	const mine = event.path === path;
	const above = event.path.endsWith('/') && path.startsWith(event.path) && event.event !== 'mkdir';
	const below = isDir(path) && !editor && parent(event.path) === path;
	if (!mine && !above && !below) return;
	if (mine && key && event.version && event.version <= key.version) return;
	if (editor) return editor.changed(event);
	soon ||= setTimeout(() => {
		soon = 0;
		if (path !== null && !editor) load();
	}, 150);
}
