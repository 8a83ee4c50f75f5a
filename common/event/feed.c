/* Feed: encodes and decodes the rows of the feed.
 *
 * A row consists of LEB128 numbers and counted strings, in the order of struct feed_event.
 * Fields that few events have are present only in those rows. The version is stored
 * relative to the offset, and the inodes of effects relative to the event's, because they
 * are usually equal. The format is part of the store's format version: rows leave the node
 * only in a snapshot, and all nodes of a volume have the same rows. */
#include "common/event/feed.h"

#include "common/base/key.h"
#include "common/base/varint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MIN 9      /* minimum bytes before the effects */
#define HAS_AT 2        /* index of the byte that says which rare fields are present: */
#define EFFECT_MIN 6    /* bytes of the smallest effect */
#define EFFECT_DIR 0x80 /* flag in the byte of the kind */
#define OP_MIN 4        /* bytes of the smallest op */

enum { HAS_CREATED = 1, HAS_NUMBER = 2, HAS_IDEM = 4, HAS_OPS = 8, HAS_MORE = 16 };

static uint8_t *put_bytes(uint8_t *p, struct bytes b)
{
	p = varint_put(p, b.len);
	if (b.len)
		memcpy(p, b.data, b.len);
	return p + b.len;
}

int feed_encode(const struct feed_event *ev, struct bytes *ret)
{
	size_t size = 13 * VARINT_MAX + ev->idem.len + ev->nops * (4 * VARINT_MAX);
	for (size_t i = 0; i < ev->neffects; i++)
		size += 7 * VARINT_MAX + ev->effects[i].key.len;
	uint8_t *row = malloc(size), *p = row;
	if (!row)
		return -ENOMEM;
	uint8_t has = (uint8_t)((ev->created ? HAS_CREATED : 0) | (ev->number ? HAS_NUMBER : 0) |
	                        (ev->repeats || ev->idem.len ? HAS_IDEM : 0) |
	                        (ev->nops ? HAS_OPS : 0));
	*p++ = (uint8_t)ev->op;
	*p++ = (uint8_t)ev->outcome;
	*p++ = has;
	p = varint_put(p, ev->proc);
	p = varint_put(p, ev->seq);
	p = varint_put(p, varint_fold(ev->time_ms));
	p = varint_put(p, ev->ino);
	p = varint_put(p, varint_fold((int64_t)(ev->version - ev->offset)));
	if (has & HAS_NUMBER)
		p = varint_put(p, varint_fold(ev->number));
	if (has & HAS_IDEM) {
		p = varint_put(p, ev->repeats);
		p = put_bytes(p, ev->idem);
	}
	p = varint_put(p, ev->neffects);
	for (size_t i = 0; i < ev->neffects; i++) {
		const struct feed_effect *e = &ev->effects[i];
		*p++ = (uint8_t)((unsigned)e->kind | (e->dir ? EFFECT_DIR : 0));
		p = varint_put(p, varint_fold((int64_t)(e->ino - ev->ino)));
		p = varint_put(p, e->parent);
		p = varint_put(p, e->size);
		p = varint_put(p, varint_fold(e->expiry_ms));
		p = put_bytes(p, e->key);
	}
	if (has & HAS_OPS)
		p = varint_put(p, ev->nops);
	for (size_t i = 0; i < ev->nops; i++) {
		*p++ = (uint8_t)ev->ops[i].outcome;
		*p++ = ev->ops[i].created;
		p = varint_put(p, ev->ops[i].version);
		p = varint_put(p, varint_fold(ev->ops[i].number));
	}
	*ret = (struct bytes){ row, (size_t)(p - row) };
	return 0;
}

/* The bytes left to read; `bad` is set once bytes are missing. */
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
	size_t len = varint_get(r->p, r->left, &n);
	r->bad |= !len;
	r->p += len;
	r->left -= len;
	return n;
}

static int64_t get_signed(struct reader *r)
{
	return varint_unfold(get_number(r));
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

/* Read a count of elements that take at least MIN bytes each. */
static size_t get_count(struct reader *r, size_t min)
{
	uint64_t n = get_number(r);
	if (n > r->left / min) {
		r->bad = true;
		return 0;
	}
	return (size_t)n;
}

static void skip_effects(struct reader *r, size_t n)
{
	for (size_t i = 0; i < n && !r->bad; i++) {
		get_byte(r);
		for (int k = 0; k < 4; k++)
			get_number(r);
		get_bytes(r);
	}
}

/* Read everything before the effects. Returns the HAS_ flags of the event. */
static unsigned get_head(struct reader *r, uint64_t offset, struct feed_event *ev)
{
	*ev = (struct feed_event){ .offset = offset };
	ev->op = get_byte(r);
	ev->outcome = get_byte(r);
	unsigned has = get_byte(r);
	r->bad |= has >= HAS_MORE;
	ev->created = has & HAS_CREATED;
	ev->proc = get_number(r);
	ev->seq = get_number(r);
	ev->time_ms = get_signed(r);
	ev->ino = get_number(r);
	ev->version = ev->offset + (uint64_t)get_signed(r);
	ev->number = has & HAS_NUMBER ? get_signed(r) : 0;
	ev->repeats = has & HAS_IDEM ? get_number(r) : 0;
	ev->idem = has & HAS_IDEM ? get_bytes(r) : (struct bytes){ NULL, 0 };
	r->bad |= ev->idem.len > EVENT_IDEM_MAX;
	return has;
}

int feed_decode(uint64_t offset, struct bytes row, struct feed_event **ret)
{
	struct reader r = { row.data, row.len, false };
	struct feed_event head;
	unsigned has = get_head(&r, offset, &head);
	size_t head_len = row.len - r.left;
	size_t neffects = get_count(&r, EFFECT_MIN), nops = 0;
	if (has & HAS_OPS) { /* their count follows the effects */
		skip_effects(&r, neffects);
		nops = get_count(&r, OP_MIN);
	}
	if (r.bad || head.op >= EVENT_OP_COUNT || head.outcome >= OUTCOME_COUNT)
		return -EBADMSG;

	size_t size = sizeof(struct feed_event) + neffects * sizeof(struct feed_effect) +
	              nops * sizeof(struct feed_op);
	struct feed_event *ev = malloc(size + row.len);
	if (!ev)
		return -ENOMEM;
	uint8_t *copy = (uint8_t *)ev + size;
	memcpy(copy, row.data, row.len);
	r = (struct reader){ copy + head_len, row.len - head_len, false };
	*ev = head;
	if (head.idem.data)
		ev->idem.data = copy +
		                ((const uint8_t *)head.idem.data - (const uint8_t *)row.data);
	ev->neffects = neffects;
	ev->effects = (struct feed_effect *)(ev + 1);
	ev->nops = nops;
	ev->ops = (struct feed_op *)(ev->effects + neffects);
	get_number(&r);
	for (size_t i = 0; i < neffects; i++) {
		struct feed_effect *e = &ev->effects[i];
		uint8_t kind = get_byte(&r);
		e->kind = kind & (EFFECT_DIR - 1);
		e->dir = kind & EFFECT_DIR;
		e->ino = ev->ino + (uint64_t)get_signed(&r);
		e->parent = get_number(&r);
		e->size = get_number(&r);
		e->expiry_ms = get_signed(&r);
		e->key = get_bytes(&r);
		r.bad |= e->kind > FEED_EVICTED;
		/* The root's key is empty. */
		r.bad |= e->key.len && key_check(e->key.data, e->key.len) != KEY_OK;
	}
	if (has & HAS_OPS)
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
	struct feed_event head = { 0 };
	if (row.len < HEAD_MIN)
		return -EBADMSG;
	if (r.p[HAS_AT] & HAS_IDEM) /* few events have one */
		get_head(&r, 0, &head);
	if (r.bad)
		return -EBADMSG;
	*ret = head.idem;
	return 0;
}
