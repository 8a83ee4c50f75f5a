// The view of live events: a bounded number of them, newest first. While it is
// paused, events are collected; they are shown when it resumes.

import { $, clock, count, el, size } from './dom.js';
import { show } from './names.js';
import * as watch from './watch.js';

const MOST = 500;

const list = $('event-list');
const filter = $('event-filter');
const pauseButton = $('event-pause');
let kept = []; // newest last
let waiting = 0; // how many of `kept` are not shown yet
let paused = false;
let visible = false;
let due = 0;

const wanted = (e) => !filter.value || e.name.toLowerCase().includes(filter.value.toLowerCase());

function row(e) {
	const more = [e.size === undefined ? '' : size(e.size), e.expires ? `until ${clock(new Date(e.expires))}` : '']
		.filter(Boolean).join(', ');
	return el('li', {},
		el('time', { dateTime: e.time }, clock(new Date(e.time))),
		el(`span.tag.${/^[a-z_]+$/.test(e.event) ? e.event : 'other'}`, {}, e.event.replace('_', ' ')),
		el('a.name', { href: `#/keys/${e.path}` }, el('bdi', {}, e.name)),
		el('span.quiet', {}, more),
		el('span.offset', { title: 'offset in the log' }, count(e.offset)));
}

function texts() {
	pauseButton.textContent = paused ? (waiting ? `Resume (${count(waiting)} new)` : 'Resume') : 'Pause';
	pauseButton.setAttribute('aria-pressed', String(paused));
	const { text, up, error } = watch.getState();
	$('event-state').textContent = paused ? 'Paused' : error ? `${text}: ${error.message}` : text;
	$('event-state').classList.toggle('up', up && !paused);
	$('event-empty').hidden = Boolean(list.firstChild);
	$('event-empty').textContent = filter.value ? 'No event matches the filter.'
		: 'There have been no events since this page was opened. New ones appear here.';
}

function drawNew() {
	due = 0;
	if (visible && !paused && waiting) {
		const fresh = kept.slice(-waiting).filter(wanted).map(row).reverse();
		waiting = 0;
		list.prepend(...fresh);
		while (list.childElementCount > MOST) list.lastChild.remove();
	}
	texts();
}

function drawAll() {
	if (!paused) waiting = 0;
	const shown = waiting ? kept.slice(0, -waiting) : kept;
	list.replaceChildren(...shown.filter(wanted).map(row).reverse());
	texts();
}

const soon = () => (due ||= requestAnimationFrame(drawNew));

watch.listen({
	event(e) {
		kept.push({ ...e, name: show(e.path) });
		waiting = Math.min(waiting + 1, MOST);
		if (kept.length > 2 * MOST) kept = kept.slice(-MOST);
		if (visible) soon();
	},
	lost() {
		kept.push({ time: new Date().toISOString(), event: 'lost', path: '', name: 'events were missed', offset: 0 });
		waiting++;
		soon();
	},
	state: soon,
});

pauseButton.addEventListener('click', () => {
	paused = !paused;
	drawNew();
});
$('event-clear').addEventListener('click', () => {
	kept = [];
	waiting = 0;
	drawAll();
});
filter.addEventListener('input', drawAll);

export function setVisible(on) {
	visible = on;
	if (on) drawAll();
}
