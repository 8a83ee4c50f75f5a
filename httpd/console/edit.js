// The editor of a value. It saves only over the version that it read (If-Match); if
// another client wrote first, it shows both values and the user chooses.
//
// A text field turns every line end into LF, so CRLF is restored when the value is
// saved. A value that mixes both, or is not text, can only be replaced from a file.

import * as api from './api.js';
import { ask, field, textInput } from './dialog.js';
import { el, errorBox, size } from './dom.js';
import { hexLines, textOf } from './value.js';

const EDIT_MOST = 1 << 20; // bytes

const encoder = new TextEncoder();

function lineEnd(text) {
	const crlf = (text.match(/\r\n/g) ?? []).length;
	const all = (text.match(/\r\n|\r|\n/g) ?? []).length;
	return !crlf && !text.includes('\r') ? '\n' : crlf === all ? '\r\n' : null;
}

function preview(bytes) {
	if (!bytes.length) return el('p.quiet', {}, 'Empty');
	const text = textOf(bytes);
	const all = text ?? hexLines(bytes.subarray(0, 4096)).join('\n');
	return el(text === null ? 'pre.value.hex' : 'pre.value', { tabindex: '0' }, all.slice(0, 50_000));
}

// Ask how to resolve a conflict. Resolve to { put: options } to overwrite, to
// 'theirs', or to null to continue editing.
async function resolveConflict(path, mine) {
	let theirs = null;
	try {
		theirs = await api.read(path);
	} catch (error) {
		if (error.status !== 404) throw error;
	}
	const side = (id, title, bytes, none) => el('section', { 'aria-labelledby': id },
		el('h3', { id }, title), none ? el('p.quiet', {}, none) : preview(bytes));
	return ask({
		title: 'Another client changed this key',
		wide: true,
		cancel: 'Continue editing',
		body: [
			el('p', {}, 'It is no longer the version that you started from. Which value do you want to keep?'),
			el('div.sides', {},
				side('conflict-mine', `Yours, ${size(mine.length)}`, mine),
				theirs
					? side('conflict-theirs', `Theirs, version ${theirs.version}, ${size(theirs.size)}`, theirs.bytes)
					: side('conflict-theirs', 'Theirs', null, 'The key was deleted.')),
		],
		actions: [
			{ label: 'Keep mine', run: () => ({ put: theirs ? { match: theirs.tag, ttl: 'keep' } : { isNew: true } }) },
			{ label: theirs ? 'Take theirs' : 'Leave it deleted', run: () => 'theirs' },
		],
	});
}

// Return whether a value of that size can be edited as text; a larger one can only be
// replaced from a file.
export const isEditable = (bytes) => bytes <= EDIT_MOST;

// Return an editor of KEY: { element, focus, dirty, changed }. KEY is the result of
// api.read(), with the whole value if it is editable. DONE is called once, with the
// new tag or null.
export function edit(key, done) {
	const whole = key.bytes.length === key.size;
	const text = whole ? textOf(key.bytes) : null;
	const end = text === null ? null : lineEnd(text);
	const area = el('textarea.editor', { spellcheck: false, rows: 16, value: end ? text : '', disabled: !end });
	const file = el('input', { type: 'file' });
	const had = key.type === 'application/octet-stream' ? '' : key.type;
	const type = textInput({ value: had, placeholder: 'none' });
	const errors = el('div');
	const news = el('div.news', { role: 'status' });
	const start = area.value;
	const save = el('button.primary', { type: 'submit' }, 'Save');
	let over = false;

	const focus = () => (end ? area : file).focus();
	const dirty = () => !over && (area.value !== start || file.files.length > 0 || type.value !== had);
	function finish(tag) {
		over = true;
		done(tag);
	}

	async function value() {
		if (file.files.length) return new Uint8Array(await file.files[0].arrayBuffer());
		if (!whole) throw Object.assign(new Error('Choose a file with the new value.'), { title: 'No file' });
		if (!end) return key.bytes;
		return encoder.encode(end === '\r\n' ? area.value.replaceAll('\n', '\r\n') : area.value);
	}

	async function put(bytes, options) {
		try {
			finish(await api.put(key.path, bytes, { type: type.value.trim(), ...options }));
		} catch (error) {
			if (error.status !== 412) throw error;
			const choice = await resolveConflict(key.path, bytes);
			if (choice === 'theirs') finish(null);
			else if (choice) await put(bytes, choice.put);
			else focus();
		}
	}

	async function submit(event) {
		event.preventDefault();
		if (save.disabled) return;
		errors.replaceChildren();
		save.disabled = true;
		try {
			await put(await value(), { match: key.tag, ttl: 'keep' });
		} catch (error) {
			errors.replaceChildren(errorBox(error));
		} finally {
			save.disabled = false;
		}
	}

	async function quit() {
		if (!dirty() || (await discard())) finish(null);
	}

	const why = !whole ? 'The value is too large for a text field. It can be replaced by a file.'
		: text === null ? 'The value is not text. It can be replaced by a file.'
		: 'The value mixes kinds of line ends, which a text field would change. It can be replaced by a file.';
	const element = el('form.edit', { onsubmit: submit, noValidate: true, onkeydown: (event) => {
		if ((event.ctrlKey || event.metaKey) && (event.key === 's' || event.key === 'Enter')) submit(event);
		else if (event.key === 'Escape' && !event.isComposing) {
			event.preventDefault(); // else Escape would also close the dialog
			quit();
		}
	} },
	end ? field('Value', area) : el('p.quiet', {}, why),
	el('div.pair', {}, field('Content type', type), field(end ? 'Or from a file' : 'From a file', file)),
	errors,
	el('div.buttons', {}, save, el('button', { type: 'button', onclick: quit }, 'Cancel'),
		el('span.hint', {}, 'Ctrl+S saves, Escape cancels. The TTL stays.')),
	news); // below the buttons, so that they do not move under the pointer

	return {
		element,
		dirty,
		focus,
		changed: (event) => news.replaceChildren(
			event.version ? `Another client changed it: version ${event.version}.` : 'Another client deleted or moved it.'),
	};
}

// Ask whether unsaved changes may be discarded.
export function discard() {
	return ask({
		title: 'Discard your changes?',
		body: [el('p', {}, 'They are not saved.')],
		cancel: 'Continue editing',
		actions: [{ label: 'Discard', danger: true, run: () => true }],
	});
}
