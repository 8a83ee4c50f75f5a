// Display forms of values: JSON, text or bytes. Each form consists of text nodes.

import { el } from './dom.js';

const COLOURED = 200_000; // JSON of more characters than this is shown without colours
const HEX_ROWS = 4096;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]/;

// Return the text that BYTES encode, or null if they are not text. With `cut` the last
// character may be incomplete.
export function textOf(bytes, cut = false) {
	for (let less = 0; less <= (cut ? Math.min(3, bytes.length) : 0); less++) {
		try {
			const text = decoder.decode(bytes.subarray(0, bytes.length - less));
			return CONTROL.test(text) ? null : text;
		} catch {
			// not UTF-8, or a character was cut
		}
	}
	return null;
}

export function isJson(text) {
	if (!/^\s*[[{]/.test(text)) return false;
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g;

// Return valid JSON on several lines, as [kind, text] pairs. Tokens are kept as they
// were written: numbers of any length, duplicate members.
export function prettyTokens(text) {
	const out = [];
	const push = (kind, t) => out.push([kind, t]);
	const line = (depth) => push('', '\n' + '  '.repeat(depth));
	const tokens = text.match(TOKEN) ?? [];
	let depth = 0;
	tokens.forEach((t, i) => {
		const next = tokens[i + 1];
		if (t === '{' || t === '[') {
			push('', t);
			if (next !== '}' && next !== ']') line(++depth);
		} else if (t === '}' || t === ']') {
			const before = tokens[i - 1];
			if (before !== '{' && before !== '[') line(--depth);
			push('', t);
		} else if (t === ',') {
			push('', t);
			line(depth);
		} else if (t === ':') {
			push('', ': ');
		} else if (t[0] === '"') {
			push(next === ':' ? 'member' : 'string', t);
		} else {
			push('literal', t);
		}
	});
	return out;
}

function jsonView(text) {
	const pre = el('pre.value', { tabindex: '0', 'aria-label': 'Value, JSON' });
	const tokens = prettyTokens(text);
	if (text.length > COLOURED) pre.append(tokens.map(([, t]) => t).join(''));
	else pre.append(...tokens.map(([kind, t]) => (kind ? el(`span.${kind}`, {}, t) : t)));
	return pre;
}

export function hexLines(bytes) {
	const out = [];
	for (let at = 0; at < bytes.length && out.length < HEX_ROWS; at += 16) {
		const row = bytes.subarray(at, at + 16);
		const hex = Array.from(row, (b) => b.toString(16).padStart(2, '0'));
		const left = hex.slice(0, 8).join(' ').padEnd(23);
		const right = hex.slice(8).join(' ').padEnd(23);
		const text = Array.from(row, (b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '.')).join('');
		out.push(`${at.toString(16).padStart(6, '0')}  ${left}  ${right}  ${text}`);
	}
	return out;
}

// Return the forms that a value has, the best one first: [{ name, make() }].
export function forms(bytes, cut) {
	const out = [];
	const text = textOf(bytes, cut);
	if (text !== null && !cut && isJson(text)) out.push({ name: 'JSON', make: () => jsonView(text) });
	if (text !== null)
		out.push({ name: 'Text', make: () => el('pre.value', { tabindex: '0', 'aria-label': 'Value, text' }, text) });
	out.push({
		name: 'Hex',
		make: () => el('pre.value.hex', { tabindex: '0', 'aria-label': 'Value, hexadecimal' }, hexLines(bytes).join('\n')),
	});
	return out;
}
