// The stream of changes, /v1/watch. It is read with fetch, because EventSource
// cannot send a token. After a break it reconnects, to any node, with the id of the
// last message and misses nothing. If the server no longer has that position, the
// listeners' lost() is called.

import * as api from './api.js';

const SILENCE_MS = 45_000; // three heartbeats

let running = null;
let state = { up: false, text: 'Not connected' };
const listeners = new Set(); // { event(e), lost(), state(s) }

export const listen = (listener) => listeners.add(listener);
export const getState = () => state;

function tell(what, ...args) {
	for (const listener of listeners) listener[what]?.(...args);
}

function setState(up, text, error) {
	state = { up, text, error };
	tell('state', state);
}

function message(block, place) {
	let data = '';
	let name = 'message';
	for (const line of block.split('\n')) {
		if (line.startsWith('id: ')) place.id = line.slice(4);
		else if (line.startsWith('event: ')) name = line.slice(7);
		else if (line.startsWith('data: ')) data += line.slice(6);
	}
	if (!data) return;
	const doc = JSON.parse(data);
	if (name === 'gone') {
		place.id = null;
		tell('lost');
	} else if (name !== 'message') {
		throw new api.Problem(0, 'The stream ended', doc.detail);
	} else {
		doc.offset = parseInt(place.id, 10);
		api.sawOffset(doc.offset);
		tell('event', doc);
	}
}

async function readAll(response, place, control) {
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '';
	for (;;) {
		const timer = setTimeout(() => control.abort(), SILENCE_MS);
		const { value, done } = await reader.read().finally(() => clearTimeout(timer));
		if (done) return;
		const blocks = (rest + value).split('\n\n');
		rest = blocks.pop();
		for (const block of blocks) message(block, place);
	}
}

async function follow(prefix, mine) {
	const place = { id: null };
	let wait = 500;
	while (running === mine) {
		const control = new AbortController();
		mine.stop = () => control.abort();
		try {
			const headers = place.id ? { 'Last-Event-ID': place.id } : {};
			const query = prefix ? `?prefix=${prefix}` : '';
			const timer = setTimeout(() => control.abort(), SILENCE_MS); // a node that hangs
			const response = await api.send('GET', `/v1/watch${query}`, { headers, signal: control.signal, any: true })
				.finally(() => clearTimeout(timer));
			place.id ??= response.headers.get('X-Keydir-Offset');
			setState(true, 'Live');
			wait = 500;
			await readAll(response, place, control);
		} catch (error) {
			if (running !== mine) return;
			if (error.status === 410) {
				place.id = null;
				tell('lost');
			}
			if (error.status === 403 || error.status === 401) return setState(false, 'Not allowed', error);
		}
		if (running !== mine) return;
		setState(false, 'Reconnecting');
		await new Promise((resolve) => setTimeout(resolve, wait));
		wait = Math.min(wait * 2, 8000);
	}
}

// Follow every change below a directory; "" is the root.
export function start(prefix) {
	stop();
	running = { stop() {} };
	follow(prefix, running);
}

export function stop() {
	const old = running;
	running = null;
	old?.stop();
	setState(false, 'Not connected');
}
