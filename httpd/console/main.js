// The console: the choice of the view, the token, keyboard shortcuts.
//
// The address names the view after its #, so that links and the browser's Back and
// Forward work: #/keys, #/keys/PATH (percent-encoded), #/events, #/nodes.

import * as api from './api.js';
import * as change from './change.js';
import { ask, field, textInput } from './dialog.js';
import { $, el, errorBox } from './dom.js';
import { discard } from './edit.js';
import * as entry from './entry.js';
import * as events from './events.js';
import { isDir, parent, parse, show } from './names.js';
import * as nodes from './nodes.js';
import * as search from './search.js';
import * as tree from './tree.js';
import * as watch from './watch.js';

const ROOT = 'keydir-root';

// --- the current view ------------------------------------------------------------

let shown = ''; // the hash that is shown
let leaving = false; // a dialog asks whether to discard changes

function setView(view) {
	for (const name of ['keys', 'events', 'nodes']) $(`view-${name}`).hidden = name !== view;
	for (const link of $('views').children) {
		if (link.dataset.view === view) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
	}
	events.setVisible(view === 'events');
	nodes.setVisible(view === 'nodes');
}

async function route() {
	const hash = location.hash || '#/keys';
	if (hash === shown) return;
	if (entry.isDirty()) {
		history.replaceState(null, '', shown);
		if (leaving) return;
		leaving = true;
		const sure = await discard().finally(() => (leaving = false));
		if (!sure) return;
		history.pushState(null, '', hash);
		entry.stopEditing();
	}
	shown = hash;
	const [, view, path] = /^#\/(keys|events|nodes)(?:\/(.*))?$/s.exec(hash) ?? [null, 'keys'];
	setView(view);
	document.title = view === 'keys' ? (path ? `${show(path)} \u2013 Keydir` : 'Keydir')
		: `${view[0].toUpperCase()}${view.slice(1)} \u2013 Keydir`;
	if (view !== 'keys') {
		if (document.activeElement === document.body) $(`${view}-title`).focus({ preventScroll: true });
		return;
	}
	const to = path ?? null;
	$('view-keys').classList.toggle('detail', to !== null);
	$('entry-none').hidden = to !== null;
	if (to !== entry.current()) {
		const byKeyboard = document.activeElement === $('tree') || $('browser').contains(document.activeElement);
		entry.open(to, { focus: !byKeyboard || getComputedStyle($('browser')).display === 'none' });
	}
	if (to !== null) tree.reveal(to);
	else if (getComputedStyle($('entry-pane')).display === 'none') tree.focus();
}

function go(path) {
	const hash = path === null ? '#/keys' : `#/keys/${path}`;
	if (location.hash !== hash) location.hash = hash;
}

// --- the token -------------------------------------------------------------------

async function askToken(wrong) {
	const input = el('input', { type: 'password', autocomplete: 'off', required: true });
	const given = await ask({
		title: wrong ? 'Unknown token' : 'Token required',
		body: [
			el('p', {}, wrong ? 'The server does not accept this token. Enter another one.'
				: 'This server requires a token.'),
			field('Token', input, 'It is kept in this tab until you log out or close it.'),
		],
		actions: [{ label: 'Use it', run: () => {
			if (!input.value.trim()) throw Object.assign(new Error('Type or paste the token.'), { title: 'No token' });
			api.setToken(input.value.trim());
		} }],
	});
	if (given) {
		$('log-out').hidden = false;
		afterToken();
	}
	return Boolean(given);
}

let startedOnce = false;
function afterToken() {
	if (startedOnce && !watch.getState().up) watch.start(tree.rootPath());
}

$('log-out').addEventListener('click', () => {
	api.forgetToken();
	sessionStorage.removeItem(ROOT);
	location.reload(); // discards everything that was read with the token
});

// --- the root of the tree --------------------------------------------------------

// Read the tree. A token may grant one directory only: then ask for the directory.
async function startTree(root) {
	await tree.start(root);
	const error = tree.rootError();
	const box = $('tree-error');
	box.hidden = !error;
	$('tree').hidden = Boolean(error);
	if (error) {
		const dir = textInput({ placeholder: 'users/', value: show(root) });
		box.replaceChildren(errorBox(error, () => startTree(root)), el('form', { onsubmit: (event) => {
			event.preventDefault();
			const path = parse(dir.value).replace(/\/*$/, '/').replace(/^\/+/, '');
			sessionStorage.setItem(ROOT, path);
			startTree(path);
		} }, field('Or start at a directory', dir), el('button', { type: 'submit' }, 'Open')));
	}
	if (!error || error.status !== 401) watch.start(tree.rootPath());
}

// --- shortcuts -------------------------------------------------------------------

// Return whether the entry shown is PATH or lies below it.
const concerns = (path) => entry.current() === path || (isDir(path) && Boolean(entry.current()?.startsWith(path)));

async function removeEntry(path) {
	if ((await change.remove(path)) && concerns(path)) go(parent(path) || null);
}

async function renameEntry(path) {
	const to = await change.rename(path);
	if (to && concerns(path)) go(to + entry.current().slice(path.length));
}

// Return the entry that a shortcut outside the tree acts on: the search result with
// the focus, or else the entry shown.
function meant() {
	if ($('view-keys').hidden) return null;
	return search.focused() ?? entry.current();
}

async function create() {
	const at = entry.current() ?? tree.rootPath();
	const made = await change.create(isDir(at) ? at : parent(at));
	if (made) go(made);
}

$('new-key').addEventListener('click', create);

document.addEventListener('keydown', (event) => {
	if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
	if (document.querySelector('dialog[open]')) return;
	if (event.target.closest('input:not([type=radio], [type=checkbox]), textarea, select')) return;
	const press = (selector) => document.querySelector(selector)?.click();
	const keys = {
		'/': () => {
			if ($('view-keys').hidden) go(null);
			$('view-keys').classList.remove('detail');
			setTimeout(search.focus);
		},
		n: create,
		e: () => press('#view-keys:not([hidden]) #entry .edit-key'),
		F2: () => meant() && renameEntry(meant()),
		Delete: () => meant() && removeEntry(meant()),
	};
	if (!keys[event.key]) return;
	event.preventDefault();
	keys[event.key]();
});

addEventListener('hashchange', route);
addEventListener('beforeunload', (event) => entry.isDirty() && event.preventDefault());

// --- start -----------------------------------------------------------------------

watch.listen({
	event(e) {
		tree.apply(e);
		entry.apply(e);
	},
	lost: () => tree.reload(),
});
api.onTokenNeeded(askToken);
entry.setGo(go);
search.setOpen(go);
tree.setHooks({
	open: go,
	remove: removeEntry,
	rename: renameEntry,
});
$('log-out').hidden = !api.token();
setView('keys');
startTree(sessionStorage.getItem(ROOT) ?? '').then(() => {
	startedOnce = true;
	route();
	nodes.start();
});
