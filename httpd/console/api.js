// Requests to the server that this page came from.
//
// The token is kept for this tab only (sessionStorage). Every response names the
// offset of the log that it shows. Each request asks for the highest offset seen,
// so that a read through a load balancer sees a write made through another node.
// A node that does not reach the offset in time returns 412 "not-there-yet": then
// the request is repeated without an offset, because the log may have been emptied.

const TOKEN = 'keydir-token';
let offset = 0;
let askToken = null; // () => Promise<boolean>: true if the user entered a token
let asking = null;

export const KV = '/v1/kv/';

export class Problem extends Error {
	constructor(status, title, detail, type = '') {
		super(detail);
		this.status = status;
		this.title = title;
		this.type = type.replace('urn:keydir:problem:', '');
	}
}

export const token = () => sessionStorage.getItem(TOKEN);
export const setToken = (text) => sessionStorage.setItem(TOKEN, text);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);
// Make later reads at least as new as offset N of the log.
export function sawOffset(n) {
	if (n > offset) offset = n;
}
export function onTokenNeeded(ask) {
	askToken = ask;
}

// Return the Problem of an error response; a proxy sends HTML instead of JSON.
async function problemOf(response) {
	try {
		const doc = JSON.parse(await response.text());
		return new Problem(response.status, doc.title, doc.detail, doc.type);
	} catch {
		const why = response.status === 502 || response.status === 504 ? 'No node answers.' : '';
		return new Problem(response.status, `${response.status} ${response.statusText}`, why);
	}
}

// Ask for a token in one dialog, however many requests wait for it.
async function gotToken(sent) {
	if (token() && token() !== sent) return true;
	asking ??= askToken(sent !== null).finally(() => (asking = null));
	return asking;
}

// Send a request. Options: { headers, body, signal, any, quiet }; `any` accepts a
// response of any age, `quiet` opens no dialog for a token. Return the Response of
// a success; throw a Problem or an AbortError.
export async function send(method, path, options = {}) {
	for (;;) {
		const headers = new Headers(options.headers);
		const sent = token();
		if (sent) headers.set('Authorization', `Bearer ${sent}`);
		if (offset && !options.any) headers.set('X-Keydir-Offset', String(offset));
		let response;
		try {
			response = await fetch(path, {
				method, headers, body: options.body, signal: options.signal,
				cache: 'no-store', credentials: 'same-origin', redirect: 'error',
			});
		} catch (error) {
			if (error.name === 'AbortError') throw error;
			throw new Problem(0, 'No answer', 'The server cannot be reached.');
		}
		if (response.status === 401 && !options.quiet && (await gotToken(sent))) continue;
		const seen = Number(response.headers.get('X-Keydir-Offset'));
		if (response.ok) {
			if (!options.any && seen > offset) offset = seen;
			return response;
		}
		const problem = await problemOf(response);
		problem.offset = seen;
		if (problem.type === 'not-there-yet' && offset) {
			offset = 0;
			continue;
		}
		throw problem;
	}
}

export async function getJson(path, options) {
	return (await send('GET', path, options)).json();
}

// Return a page of a directory: { entries: [{ path, dir, size, version, expires }], cursor }.
export async function list(dir, { cursor, limit = 1000, recurse, signal } = {}) {
	const query = new URLSearchParams({ limit });
	if (cursor) query.set('cursor', cursor);
	if (recurse) query.set('recurse', '');
	const page = await getJson(`${KV}${dir}?${query}`, { signal });
	const now = Date.now();
	page.entries = page.entries.map((e) => ({
		path: dir + e.path,
		dir: e.type === 'directory',
		size: e.size,
		version: e.version,
		expires: e.ttl === undefined ? null : now + e.ttl * 1000,
	}));
	return page;
}

// Read a key, or the first `most` bytes of it.
export async function read(path, { most, signal } = {}) {
	const headers = most ? { Range: `bytes=0-${most - 1}` } : {};
	let response;
	try {
		response = await send('GET', KV + path, { headers, signal });
	} catch (error) {
		if (error.status !== 416) throw error;
		response = await send('GET', KV + path, { signal }); // an empty value has no ranges
	}
	const bytes = new Uint8Array(await response.arrayBuffer());
	const range = /\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
	const ttl = response.headers.get('X-Keydir-TTL');
	const tag = response.headers.get('ETag');
	return {
		path,
		bytes,
		size: range ? Number(range[1]) : bytes.length,
		tag,
		version: parseInt(tag.slice(1), 10),
		type: response.headers.get('Content-Type') ?? '',
		modified: new Date(response.headers.get('Last-Modified')),
		expires: ttl === null ? null : Date.now() + Number(ttl) * 1000,
	};
}

// Changes carry an idempotency key, so that a change repeated by a proxy is made once.

// Set a key and return its new tag; `ttl` has the server's syntax.
export async function put(path, bytes, { type, ttl, match, isNew } = {}) {
	const headers = { 'Idempotency-Key': onceKey() };
	if (type) headers['Content-Type'] = type;
	if (match) headers['If-Match'] = match;
	if (isNew) headers['If-None-Match'] = '*';
	const query = ttl ? `?${new URLSearchParams({ ttl })}` : '';
	const response = await send('PUT', KV + path + query, { headers, body: bytes });
	return response.headers.get('ETag');
}

export async function remove(path, { match, recurse } = {}) {
	const headers = { 'Idempotency-Key': onceKey() };
	if (match) headers['If-Match'] = match;
	await send('DELETE', KV + path + (recurse ? '?recurse' : ''), { headers });
}

// Send a POST with a query such as "op=rename&to=PATH"; the path is already encoded.
// A repetition with the same `once` changes nothing.
export async function operate(path, query, once = onceKey()) {
	const headers = { 'Idempotency-Key': once };
	return (await send('POST', `${KV}${path}?${query}`, { headers })).json();
}

// Return a form of operate() for a dialog in which the user may try again. If the
// outcome of an attempt is unknown, the next one carries the same idempotency key.
export function repeatable() {
	let once, asked;
	return async (path, query) => {
		if (query !== asked) once = onceKey();
		asked = query;
		try {
			return await operate(path, query, once);
		} catch (error) {
			if (error.status && error.status !== 504) asked = null;
			throw error;
		}
	};
}

export function onceKey() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
