// Names: keys are bytes. The modules pass them as paths in the form of URLs, which is
// also the server's: percent-encoded, slashes kept, a slash at the end of a directory.
// The user sees and types a text form of them.
//
// The text form shows visible UTF-8 as it is, every other byte as \xHH, and doubles a
// backslash. parse(show(path)) equals path.

const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
const PLAIN = /^[A-Za-z0-9._~-]$/;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// Decode a percent-encoded name into a string of characters up to U+00FF, one a byte.
export function binary(encoded) {
	return encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function bytesOf(encoded) {
	return Uint8Array.from(binary(encoded), (c) => c.charCodeAt(0));
}

function hexByte(n) {
	return n.toString(16).toUpperCase().padStart(2, '0');
}

export function encodeBytes(bytes) {
	let out = '';
	for (const b of bytes) {
		const c = String.fromCharCode(b);
		out += PLAIN.test(c) ? c : '%' + hexByte(b);
	}
	return out;
}

const escapeBytes = (bytes) => Array.from(bytes, (b) => '\\x' + hexByte(b)).join('');

function showText(text) {
	let out = '';
	for (const c of text) {
		if (c === '\\') out += '\\\\';
		else if (HIDDEN.test(c)) out += escapeBytes(encoder.encode(c));
		else out += c;
	}
	return out;
}

// Return the length of the UTF-8 sequence at `at`, or 0.
function sequence(bytes, at) {
	const b = bytes[at];
	const n = b < 0x80 ? 1 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
	try {
		return decoder.decode(bytes.subarray(at, at + n)).length ? n : 0;
	} catch {
		return 0;
	}
}

// Return the text form of a path, or of a part of it.
export function show(encoded) {
	const bytes = bytesOf(encoded);
	try {
		return showText(decoder.decode(bytes));
	} catch {
		let out = '';
		for (let i = 0; i < bytes.length; ) {
			const n = sequence(bytes, i);
			if (n) out += showText(decoder.decode(bytes.subarray(i, i + n)));
			else out += escapeBytes(bytes.subarray(i, i + 1));
			i += n || 1;
		}
		return out;
	}
}

// Return the path of a typed text form. Slashes separate names; a backslash that does
// not begin an escape stands for itself.
export function parse(text) {
	let out = '';
	const part = /\\x([0-9A-Fa-f]{2})|\\\\|([\s\S])/gu;
	for (const [whole, hex, c] of text.matchAll(part)) {
		if (hex) out += hex.toUpperCase() === '2F' ? '/' : encodeBytes([parseInt(hex, 16)]);
		else if (whole === '\\\\') out += '%5C';
		else if (c === '/') out += '/';
		else out += encodeBytes(encoder.encode(c));
	}
	return out;
}

export const isDir = (path) => path === '' || path.endsWith('/');
const trim = (path) => (path.endsWith('/') ? path.slice(0, -1) : path);

// Return the directory of a path: "", or a path with a slash at its end.
export function parent(path) {
	const at = trim(path).lastIndexOf('/');
	return at < 0 ? '' : path.slice(0, at + 1);
}

// Return the last name of a path, encoded, without a slash.
export function last(path) {
	const p = trim(path);
	return p.slice(p.lastIndexOf('/') + 1);
}

// Return the directories above a path, from the top, without the root.
export function ancestors(path) {
	const out = [];
	for (let p = parent(path); p; p = parent(p)) out.unshift(p);
	return out;
}
