// The view of the nodes. A load balancer sends each request to another node, so
// several responses of /v1/status together show all nodes; their ids distinguish
// them. A node that never responds here is shown from the reports of its peers.

import * as api from './api.js';
import { $, count, duration, el, errorBox, size } from './dom.js';
import { plot } from './plot.js';

const EVERY_MS = 2000;
const ASK_MOST = 6; // requests at a time
const ASK_MS = 4000; // a load balancer waits longer for a node that hangs
const SILENT_MS = 10_000; // a node without a response for this long is marked
const LATE_MS = 1000; // a lag of this long is shown
const FORGET_MS = 300_000;

const nodes = new Map(); // id -> { id, status, seen, rate, direct }
const names = new Map(); // a peer's URL -> its id, once known
let answered = null; // id of the node that responded last
let failure = null;
let visible = false;
let offsets = null; // { at, end }: for the rate of events

const perSecond = (n) => (n >= 100 ? count(Math.round(n)) : n.toFixed(1)) + '/s';
const plots = {
	requests: plot('Requests', perSecond),
	events: plot('Events', perSecond),
	memory: plot('Memory', size),
	keys: plot('Keys', (n) => count(Math.round(n)), 10),
};
$('plots').append(...Object.values(plots).map((p) => p.element));

// --- sampling --------------------------------------------------------------------

function note(status) {
	const now = performance.now();
	const id = status.id;
	const old = nodes.get(id);
	const requests = status.http?.requests;
	let rate = old?.rate ?? null;
	let base = old?.base;
	if (base && base.started === status.started && requests >= base.requests) {
		if (now - base.at >= EVERY_MS / 2) {
			rate = ((requests - base.requests) * 1000) / (now - base.at);
			base = null;
		}
	} else {
		rate = null;
		base = null;
	}
	base ??= { at: now, requests, started: status.started };
	nodes.set(id, { id, status, seen: now, rate, base, direct: true });
	answered = id;
	for (const peer of status.peers ?? []) notePeer(peer, now);
}

function notePeer(peer, now) {
	if (peer.id) {
		names.set(peer.url, peer.id);
		nodes.delete(peer.url);
	}
	const id = peer.id ?? names.get(peer.url) ?? peer.url;
	const known = nodes.get(id);
	if (known?.direct && now - known.seen < SILENT_MS) return;
	// an unreachable peer keeps its last known status
	const status = peer.reachable ? { ...peer, log: { lag: peer.lag, lag_ms: peer.lag_ms, up: peer.log_up } }
		: { ...known?.status, reachable: false, error: peer.error };
	nodes.set(id, { ...known, id, status, seen: peer.reachable ? now : (known?.seen ?? now), direct: false });
}

function sum(pick) {
	const live = [...nodes.values()].filter((n) => n.direct && performance.now() - n.seen < SILENT_MS);
	const known = live.map(pick).filter((v) => v !== null && v !== undefined);
	return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

// Return the node that has applied most events: its store shows the volume's state.
function fullest() {
	const live = [...nodes.values()].filter((n) => n.direct && n.status.store && performance.now() - n.seen < SILENT_MS);
	return live.reduce((a, b) => (a && a.status.offset >= b.status.offset ? a : b), nodes.get(answered));
}

function addSamples() {
	const status = fullest()?.status;
	if (!status?.store) return;
	const end = newest();
	const at = performance.now();
	const rate = offsets && end >= offsets.end ? ((end - offsets.end) * 1000) / (at - offsets.at) : null;
	offsets = { at, end };
	plots.requests.add(sum((n) => n.rate));
	plots.events.add(rate);
	plots.memory.add(status.store.used_bytes, status.store.size_bytes);
	plots.keys.add(status.store.keys);
}

async function sample() {
	const n = Math.min(ASK_MOST, Math.max(2, nodes.size + 1));
	const ask = async () => {
		const status = await api.getJson('/v1/status', { any: true, quiet: true, signal: AbortSignal.timeout(ASK_MS) });
		note(status);
		failure = null;
		draw();
	};
	const answers = await Promise.allSettled(Array.from({ length: n }, ask));
	const good = answers.filter((a) => a.status === 'fulfilled');
	if (!good.length) failure = answers[0].reason;
	for (const node of nodes.values()) if (performance.now() - node.seen > FORGET_MS) nodes.delete(node.id);
	if (good.length) addSamples();
	draw();
}

// --- drawing ---------------------------------------------------------------------

function health(node) {
	const silent = performance.now() - node.seen;
	if (node.status.reachable === false) return ['bad', 'no answer', node.status.error];
	if (silent > SILENT_MS) return ['bad', `silent for ${duration(silent / 1000)}`];
	if (node.status.ready === false) return ['warn', 'not ready', node.status.why];
	if (node.status.log?.up === false) return ['warn', 'log unreachable', 'writes fail, reads continue'];
	if (node.status.log?.lag && node.status.log.lag_ms >= LATE_MS) return ['warn', 'behind'];
	return ['good', 'ready'];
}

function newest() {
	return Math.max(0, ...[...nodes.values()].map((n) => n.status.offset ?? 0));
}

const several = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

function cell(label, ...content) {
	return el('td', { 'data-label': label }, el('span', {}, ...content));
}

function nodeRow(node) {
	const s = node.status;
	const [kind, text, why] = health(node);
	// the lag of an absent node follows from the other nodes' offsets
	const lag = kind !== 'bad' ? s.log?.lag : s.offset === undefined ? undefined : Math.max(0, newest() - s.offset);
	const late = s.log?.lag_ms && kind !== 'bad' ? ` (${duration(s.log.lag_ms / 1000)})` : '';
	const behind = lag === undefined ? '\u2013' : `${count(lag)}${late}`;
	return el(kind === 'bad' ? 'tr.bad' : 'tr', {},
		el('th', { scope: 'row' }, el('bdi', {}, node.id),
			node.id === answered ? el('span.mark', {}, 'answered last') : null),
		cell('State', el(`span.dot.${kind}`, { 'aria-hidden': 'true' }), text, why ? el('span.hint', {}, `: ${why}`) : null),
		cell('Role', s.role ?? '\u2013'),
		cell('Offset', s.offset === undefined ? '\u2013' : count(s.offset)),
		cell('Lag', behind),
		cell('Requests', node.direct && node.rate !== null ? perSecond(node.rate) : '\u2013'),
		cell('Up for', s.uptime === undefined ? '\u2013' : duration(s.uptime)),
		cell('Version', s.version ?? '\u2013'));
}

function draw() {
	const pill = $('answered');
	const node = nodes.get(answered);
	const hidden = failure?.status === 403; // this token may not see the nodes
	const state = hidden ? ['warn'] : failure ? ['bad'] : node ? health(node) : ['warn'];
	pill.querySelector('.dot').className = `dot ${state[0]}`;
	pill.querySelector('.label').hidden = Boolean(failure);
	$('answered-name').textContent = hidden ? 'Nodes not shown' : failure ? (failure.status ? failure.title : 'No answer') : (node?.id ?? '');
	pill.title = failure ? failure.message : node ? `${node.id} answered last, at offset ${node.status.offset}` : '';
	if (!visible) return;
	$('node-error').replaceChildren(...(failure ? [errorBox(failure)] : []));
	const rows = [...nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).map(nodeRow);
	$('node-rows').replaceChildren(...rows);
	$('node-table').hidden = !rows.length;
	const full = fullest();
	const store = full?.status.store;
	$('node-store').textContent = store
		? `${several(store.keys, 'key', 'keys')}, ${several(store.directories, 'directory', 'directories')}, ${size(store.used_bytes)} of ${size(store.size_bytes)} used`
			+ `; volume ${full.status.volume}, log ${full.status.log.url}`
		: '';
}

export function setVisible(on) {
	visible = on;
	if (on) draw();
}

let timer = 0;
async function loop() {
	if (document.visibilityState === 'visible') await sample();
	timer = setTimeout(loop, EVERY_MS);
}

export function start() {
	clearTimeout(timer);
	loop();
}
