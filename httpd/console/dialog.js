// Modal dialogs. Escape closes them, and the focus returns to the element that had
// it. The browser's <dialog> keeps the focus inside.

import { el, errorBox } from './dom.js';

let titles = 0;

// Show a dialog. `body` lists the elements of the form. `actions` are its buttons,
// { label, danger, run }; Enter presses the first one. `run` may be asynchronous; if
// it throws, the error is shown and the dialog stays open. The text of the first
// field is selected; with `select` false the cursor stands after it. Resolve to the
// result of `run`, or to null if the user cancelled.
export function ask({ title, body = [], actions, cancel = 'Cancel', wide, focus, select = true }) {
	const id = `dialog-${++titles}`;
	const before = document.activeElement;
	return new Promise((resolve) => {
		let result = null;
		const errors = el('div');
		const quit = el('button', { type: 'button', onclick: () => box.close() }, cancel);
		const buttons = actions.map((action, i) => el(
			action.danger ? 'button.danger' : i ? 'button' : 'button.primary',
			i ? { type: 'button', onclick: () => go(action) } : { type: 'submit' }, action.label));
		const form = el('form', { noValidate: true, onsubmit: (event) => {
			event.preventDefault();
			go(actions[0]);
		} }, el('h2', { id }, title), ...body, errors,
		el('div.buttons', {}, quit, ...buttons.reverse()));
		const box = el(wide ? 'dialog.wide' : 'dialog', { 'aria-labelledby': id, onclose: () => {
			box.remove();
			if (before?.isConnected) before.focus();
			resolve(result);
		} }, form);

		async function go(action) {
			const off = buttons.map((b) => b.disabled);
			if (action === actions[0] && off.at(-1)) return;
			errors.replaceChildren();
			buttons.forEach((b) => (b.disabled = true));
			form.setAttribute('aria-busy', 'true');
			try {
				result = (await action.run()) ?? true;
				box.close();
			} catch (error) {
				errors.replaceChildren(errorBox(error));
			} finally {
				form.removeAttribute('aria-busy');
				buttons.forEach((b, i) => (b.disabled = off[i]));
			}
		}

		document.body.append(box);
		box.showModal();
		const first = focus ?? form.querySelector('input, textarea, select') ?? buttons.at(-1);
		first.focus();
		if (select) first.select?.();
		else first.setSelectionRange(first.value.length, first.value.length);
		box.submitButton = buttons.at(-1);
	});
}

// Return a labelled field; `hint` explains it.
export function field(label, input, hint) {
	input.id ||= `field-${++titles}`;
	const parts = [el('label', { htmlFor: input.id }, label), input];
	if (hint) {
		const note = el('p.hint', { id: `${input.id}-hint` }, hint);
		input.setAttribute('aria-describedby', note.id);
		parts.push(note);
	}
	return el('div.field', {}, ...parts);
}

export const textInput = (props = {}) => el('input', {
	type: 'text', autocomplete: 'off', spellcheck: false, autocapitalize: 'off', ...props,
});
