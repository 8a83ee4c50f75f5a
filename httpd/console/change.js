// Dialogs that change keys: create, rename, set a TTL, delete. Each resolves to its
// result, or to null if the user cancelled.

import * as api from './api.js';
import { ask, field, textInput } from './dialog.js';
import { el, toast } from './dom.js';
import { isDir, last, parse, show } from './names.js';

const encoder = new TextEncoder();
const NAME_HINT = 'Slashes make directories, \\xHH is a byte, \\\\ a backslash.';
const TTL_HINT = 'As 90s, 15m, 2h or 7d; empty: it does not expire.';

function fault(title, text) {
	return Object.assign(new Error(text), { title });
}

function typedPath(text) {
	const path = parse(text);
	const names = (path.endsWith('/') ? path.slice(0, -1) : path).split('/');
	if (names.includes('')) throw fault('Not a key', 'The names between slashes must not be empty.');
	return path;
}

async function fileBytes(input) {
	return new Uint8Array(await input.files[0].arrayBuffer());
}

// Return a text field with buttons for common durations.
function ttlField(input) {
	const chips = ['1m', '15m', '1h', '1d', '7d'].map((t) => el('button.chip', {
		type: 'button', onclick: () => {
			input.value = t;
			input.focus();
		} }, t));
	const box = field('Time to live', input, TTL_HINT);
	box.append(el('div.chips', {}, ...chips));
	return box;
}

// Create a key or a directory; resolve to its path.
export function create(dir, name = '') {
	const key = textInput({ value: show(dir) + name, required: true, placeholder: 'users/42/name' });
	const value = el('textarea', { rows: 6, spellcheck: false });
	const file = el('input', { type: 'file' });
	const type = textInput({ placeholder: 'application/json, text/plain ...' });
	const ttl = textInput();
	return ask({
		title: 'New key', select: false, // the user types the name after the directory
		body: [
			field('Key', key, `${NAME_HINT} With a slash at its end it becomes a directory.`),
			field('Value', value),
			el('details', {}, el('summary', {}, 'File, content type, time to live'),
				field('Value from a file', file), field('Content type', type), ttlField(ttl)),
		],
		actions: [{ label: 'Create', run: async () => {
			const path = typedPath(key.value);
			const bytes = file.files.length ? await fileBytes(file) : encoder.encode(value.value);
			try {
				if (!path.endsWith('/'))
					await api.put(path, bytes, { type: type.value.trim(), ttl: ttl.value.trim(), isNew: true });
				else if (bytes.length)
					throw fault('A directory has no value', 'To create a key, remove the slash at the end.');
				else
					await api.put(path, null, { isNew: true });
			} catch (error) {
				if (error.status !== 412) throw error;
				throw fault('It already exists', `${show(path)} exists; nothing was changed.`);
			}
			toast(`Created ${show(path)}`);
			return path;
		} }],
	});
}

export function rename(path) {
	const dir = isDir(path);
	const from = dir ? path.slice(0, -1) : path;
	const to = textInput({ value: show(from), required: true });
	const replace = el('input', { type: 'checkbox' });
	const operate = api.repeatable();
	return ask({
		title: dir ? 'Rename directory' : 'Rename key',
		body: [
			field('New name', to, NAME_HINT),
			el('label.check', {}, replace, dir ? ' Replace an empty directory of that name' : ' Replace a key of that name'),
		],
		actions: [{ label: 'Rename', run: async () => {
			const target = typedPath(to.value).replace(/\/$/, '');
			const how = replace.checked ? '' : '&noreplace';
			try {
				await operate(path, `op=rename&to=${target}${how}`);
			} catch (error) {
				if (error.type === 'conflict' && !replace.checked)
					throw fault('It already exists', `${show(target)} exists; nothing was changed.`);
				throw error;
			}
			toast(`Renamed to ${show(target)}`);
			return target + (dir ? '/' : '');
		} }],
	});
}

export function setTtl(path, expires) {
	const left = expires ? Math.max(1, Math.round((expires - Date.now()) / 1000)) : 0;
	const ttl = textInput({ value: left ? `${left}s` : '', required: true });
	const box = ttlField(ttl);
	box.querySelector('.hint').textContent = 'From now on, as 90s, 15m, 2h or 7d.';
	const keep = { label: 'Remove the TTL', run: async () => {
		await api.operate(path, 'op=persist');
		toast('It no longer expires');
	} };
	return ask({
		title: `Time to live of ${show(last(path))}`,
		body: [box],
		actions: [{ label: 'Set', run: async () => {
			const query = new URLSearchParams({ op: 'expire', ttl: ttl.value.trim() });
			await api.operate(path, query.toString());
			toast('Time to live set');
		} }, ...(expires ? [keep] : [])],
	});
}

// Delete a key; with `tag`, only if it still has that version.
export function removeKey(path, tag) {
	let match = tag;
	const note = el('p', {}, 'Its value, TTL and attributes are deleted on every node.');
	return ask({
		title: `Delete ${show(path)}?`,
		body: [note],
		actions: [{ label: 'Delete', danger: true, run: async () => {
			try {
				await api.remove(path, { match });
			} catch (error) {
				if (error.status !== 412) throw error;
				match = undefined;
				throw fault('The key has changed', 'Another client wrote it after you opened it. Press Delete again to delete it anyway.');
			}
			toast(`Deleted ${show(path)}`);
		} }],
	});
}

export function removeDir(path) {
	const name = show(last(path));
	const typed = textInput({ placeholder: name });
	const asked = ask({
		title: `Delete ${show(path)} and everything below it?`,
		body: [
			el('p', {}, 'Every key and directory in it is deleted on every node, in one step.'),
			field(`Type its name to confirm: ${name}`, typed),
		],
		actions: [{ label: 'Delete all', danger: true, run: async () => {
			await api.remove(path, { recurse: true });
			toast(`Deleted ${show(path)}`);
		} }],
	});
	const button = typed.closest('dialog').submitButton;
	const check = () => (button.disabled = typed.value !== name);
	typed.addEventListener('input', check);
	check();
	return asked;
}

export const remove = (path, tag) => (isDir(path) ? removeDir(path) : removeKey(path, tag));
