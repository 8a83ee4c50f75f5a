// Names: keys are bytes. Here they are paths as URLs write them (percent-encoded,
// slashes kept, a slash at the end of a directory), which is also how the server
// names them; people see and type a form that is text.
//
// That form is the text itself, where it is UTF-8 that can be seen; every other
// byte is \xHH, and a backslash is doubled. parse(show(path)) is path.

const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
const PLAIN = /^[A-Za-z0-9._~-]$/;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// Bytes of a percent-encoded name, as a string of characters up to U+00FF.
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

// Length of the UTF-8 sequence at `at`, or 0.
function sequence(bytes, at) {
	const b = bytes[at];
	const n = b < 0x80 ? 1 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
	try {
		return decoder.decode(bytes.subarray(at, at + n)).length ? n : 0;
	} catch {
		return 0;
	}
}

// What people see of a path, or of a part of it.
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

// The path that somebody typed. Slashes join names; a backslash that begins no
// escape is a backslash.
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

// The directory that holds a path: "" or one with a slash at its end.
export function parent(path) {
	const at = trim(path).lastIndexOf('/');
	return at < 0 ? '' : path.slice(0, at + 1);
}

// Its last name, encoded, without a slash.
export function last(path) {
	const p = trim(path);
	return p.slice(p.lastIndexOf('/') + 1);
}

// Each directory on the way to a path, from the top; without the root.
export function ancestors(path) {
	const out = [];
	for (let p = parent(path); p; p = parent(p)) out.unshift(p);
	return out;
}
