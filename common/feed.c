/* The feed: what each applied event did, for everything that follows it.
 *
 * A row is a run of LEB128 numbers and counted strings, in the order of struct
 * feed_event. It belongs to the store's format version: it never leaves the
 * node but inside a snapshot, and all nodes of a volume have the same rows. */
#include "feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 10 /* bytes of a 64-bit LEB128 number */
#define EFFECT_MIN 7  /* bytes of the smallest effect */
#define OP_MIN 4      /* bytes of the smallest op */

static uint8_t *put_number(uint8_t *p, uint64_t n)
{
	while (n >= 0x80) {
		*p++ = (uint8_t)(n | 0x80);
		n >>= 7;
	}
	*p++ = (uint8_t)n;
	return p;
}

static uint8_t *put_signed(uint8_t *p, int64_t n)
{
	return put_number(p, (uint64_t)n << 1 ^ (uint64_t)(n >> 63));
}

static uint8_t *put_bytes(uint8_t *p, struct bytes b)
{
	p = put_number(p, b.len);
	if (b.len)
		memcpy(p, b.data, b.len);
	return p + b.len;
}

int feed_encode(const struct feed_event *ev, struct bytes *ret)
{
	size_t size = 13 * NUMBER_MAX + ev->idem.len + ev->nops * (4 * NUMBER_MAX);
	for (size_t i = 0; i < ev->neffects; i++)
		size += 7 * NUMBER_MAX + ev->effects[i].key.len;
	uint8_t *row = malloc(size), *p = row;
	if (!row)
		return -ENOMEM;
	*p++ = (uint8_t)ev->op;
	*p++ = (uint8_t)ev->outcome;
	*p++ = ev->created;
	p = put_number(p, ev->proc);
	p = put_number(p, ev->seq);
	p = put_signed(p, ev->time_ms);
	p = put_number(p, ev->ino);
	p = put_number(p, ev->version);
	p = put_signed(p, ev->number);
	p = put_number(p, ev->repeats);
	p = put_bytes(p, ev->idem);
	p = put_number(p, ev->neffects);
	for (size_t i = 0; i < ev->neffects; i++) {
		const struct feed_effect *e = &ev->effects[i];
		*p++ = (uint8_t)e->kind;
		*p++ = e->dir;
		p = put_number(p, e->ino);
		p = put_number(p, e->parent);
		p = put_number(p, e->size);
		p = put_signed(p, e->expiry_ms);
		p = put_bytes(p, e->key);
	}
	p = put_number(p, ev->nops);
	for (size_t i = 0; i < ev->nops; i++) {
		*p++ = (uint8_t)ev->ops[i].outcome;
		*p++ = ev->ops[i].created;
		p = put_number(p, ev->ops[i].version);
		p = put_signed(p, ev->ops[i].number);
	}
	*ret = (struct bytes){ row, (size_t)(p - row) };
	return 0;
}

/* What is left to read; `bad` once something was missing. */
struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static uint8_t get_byte(struct reader *r)
{
	if (!r->left) {
		r->bad = true;
		return 0;
	}
	r->left--;
	return *r->p++;
}

static uint64_t get_number(struct reader *r)
{
	uint64_t n = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		uint8_t b = get_byte(r);
		n |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return n;
	}
	r->bad = true;
	return 0;
}

static int64_t get_signed(struct reader *r)
{
	uint64_t n = get_number(r);
	return (int64_t)(n >> 1 ^ (0 - (n & 1)));
}

static struct bytes get_bytes(struct reader *r)
{
	uint64_t len = get_number(r);
	if (len > r->left) {
		r->bad = true;
		return (struct bytes){ NULL, 0 };
	}
	struct bytes b = { r->p, (size_t)len };
	r->p += len;
	r->left -= (size_t)len;
	return b;
}

/* A count of things that take at least MIN bytes each. */
static size_t get_count(struct reader *r, size_t min)
{
	uint64_t n = get_number(r);
	if (n > r->left / min) {
		r->bad = true;
		return 0;
	}
	return (size_t)n;
}

static size_t skip_effects(struct reader *r)
{
	size_t n = get_count(r, EFFECT_MIN);
	for (size_t i = 0; i < n && !r->bad; i++) {
		get_byte(r);
		get_byte(r);
		for (int k = 0; k < 4; k++)
			get_number(r);
		get_bytes(r);
	}
	return n;
}

static void get_head(struct reader *r, struct feed_event *ev)
{
	ev->op = get_byte(r);
	ev->outcome = get_byte(r);
	ev->created = get_byte(r);
	ev->proc = get_number(r);
	ev->seq = get_number(r);
	ev->time_ms = get_signed(r);
	ev->ino = get_number(r);
	ev->version = get_number(r);
	ev->number = get_signed(r);
	ev->repeats = get_number(r);
	ev->idem = get_bytes(r);
}

int feed_decode(uint64_t offset, struct bytes row, struct feed_event **ret)
{
	/* Once over the row to learn the counts, then once to fill. */
	struct reader r = { row.data, row.len, false };
	struct feed_event head;
	get_head(&r, &head);
	size_t neffects = skip_effects(&r);
	size_t nops = get_count(&r, OP_MIN);
	if (r.bad || head.op >= EVENT_OP_COUNT || head.outcome >= OUTCOME_COUNT)
		return -EBADMSG;

	size_t size = sizeof(struct feed_event) + neffects * sizeof(struct feed_effect) +
	              nops * sizeof(struct feed_op);
	struct feed_event *ev = malloc(size + row.len);
	if (!ev)
		return -ENOMEM;
	uint8_t *copy = (uint8_t *)ev + size;
	memcpy(copy, row.data, row.len);
	r = (struct reader){ copy, row.len, false };
	get_head(&r, ev);
	ev->offset = offset;
	ev->neffects = neffects;
	ev->effects = (struct feed_effect *)(ev + 1);
	ev->nops = nops;
	ev->ops = (struct feed_op *)(ev->effects + neffects);
	get_number(&r);
	for (size_t i = 0; i < neffects; i++) {
		struct feed_effect *e = &ev->effects[i];
		e->kind = get_byte(&r);
		e->dir = get_byte(&r);
		e->ino = get_number(&r);
		e->parent = get_number(&r);
		e->size = get_number(&r);
		e->expiry_ms = get_signed(&r);
		e->key = get_bytes(&r);
		r.bad |= e->kind > FEED_EVICTED;
	}
	get_number(&r);
	for (size_t i = 0; i < nops; i++) {
		ev->ops[i].outcome = get_byte(&r);
		ev->ops[i].created = get_byte(&r);
		ev->ops[i].version = get_number(&r);
		ev->ops[i].number = get_signed(&r);
		r.bad |= ev->ops[i].outcome >= OUTCOME_COUNT;
	}
	if (r.bad || r.left) {
		free(ev);
		return -EBADMSG;
	}
	*ret = ev;
	return 0;
}

int feed_decode_idem(struct bytes row, struct bytes *ret)
{
	struct reader r = { row.data, row.len, false };
	struct feed_event head;
	get_head(&r, &head);
	if (r.bad)
		return -EBADMSG;
	*ret = head.idem;
	return 0;
}
