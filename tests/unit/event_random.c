/* Random events: generated from a small set of names. There are few names, so that
 * most events meet an entry that another event created. Value sizes lie around the
 * limits where the store changes how it keeps a value. */
#include "tests/unit/event_random.h"

#include "common/store/store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define VALUE_MAX (2 * STORE_CHUNK_SIZE + 1000)

static uint8_t pattern[VALUE_MAX];

static void fill_pattern(void)
{
	if (pattern[1])
		return;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
}

static size_t pick_size(struct prng *prng)
{
	static const size_t edges[] = {
		0,
		1,
		STORE_INLINE_MAX - 1,
		STORE_INLINE_MAX,
		STORE_INLINE_MAX + 1,
		STORE_CHUNK_SIZE - 1,
		STORE_CHUNK_SIZE,
		STORE_CHUNK_SIZE + 1,
		2 * STORE_CHUNK_SIZE,
	};

	if (prng_one_in(prng, 3))
		return edges[prng_below(prng, sizeof(edges) / sizeof(edges[0]))];
	if (prng_one_in(prng, 8))
		return prng_below(prng, VALUE_MAX);
	return prng_below(prng, 40);
}

static struct bytes pick_value(struct prng *prng)
{
	size_t len = pick_size(prng);
	size_t from = prng_below(prng, 97) % (VALUE_MAX - len + 1);

	fill_pattern();
	return (struct bytes){ pattern + from, len };
}

/* Return the target of a symbolic link: 1 byte, the longest inline value, one byte
 * more (in chunks), or the longest target. */
static struct bytes pick_target(struct prng *prng)
{
	static char target[EVENT_TARGET_MAX];
	static const size_t sizes[] = { 1, STORE_INLINE_MAX, STORE_INLINE_MAX + 1,
		                        EVENT_TARGET_MAX };

	memset(target, 't', sizeof(target));
	return (struct bytes){ target, sizes[prng_below(prng, 4)] };
}

static struct bytes pick_key(struct prng *prng, char *buf)
{
	uint32_t depth = 1 + prng_below(prng, 4);
	size_t len = 0;

	for (uint32_t i = 0; i < depth; i++) {
		if (i)
			buf[len++] = '/';
		if (prng_one_in(prng, 20)) { /* The longest name. */
			memset(buf + len, 'l', 255);
			len += 255;
		} else {
			buf[len++] = (char)('a' + prng_below(prng, 4));
		}
	}
	return (struct bytes){ buf, len };
}

/* Mostly 0; otherwise the root, an inode that the store numbered, a proposed inode,
 * or one that does not exist. */
static uint64_t pick_inode(struct prng *prng, uint32_t one_in)
{
	if (!prng_one_in(prng, one_in))
		return 0;
	switch (prng_below(prng, 8)) {
	case 0:
		return STORE_ROOT_INO;
	case 1:
		return UINT64_MAX - prng_below(prng, 2);
	case 2:
	case 3:
	case 4:
		return STORE_PROPOSED_MIN + prng_below(prng, 8);
	default:
		return 2 + prng_below(prng, 16);
	}
}

static void pick_ranges(struct prng *prng, struct event_range *ranges, struct event *ev)
{
	uint32_t n = prng_below(prng, EVENT_RANDOM_RANGES + 1);
	size_t total = 0;

	fill_pattern();
	ev->ranges = ranges;
	for (uint32_t i = 0; i < n; i++) {
		size_t len = pick_size(prng);

		if (len == 0 || total + len > VALUE_MAX)
			continue;
		ranges[ev->nranges].off = pick_size(prng);
		ranges[ev->nranges++].len = len;
		total += len;
	}
	ev->value = (struct bytes){ pattern, total };
	if (prng_one_in(prng, 3)) {
		ev->flags |= EVENT_HAS_CUT;
		ev->cut = pick_size(prng);
	}
	if (prng_one_in(prng, 3))
		ev->size = pick_size(prng);
}

static void pick_ttl(struct prng *prng, int64_t now_ms, struct event *ev)
{
	ev->ttl = (enum event_ttl)prng_below(prng, 4);
	if (ev->op == EVENT_EXPIRE)
		ev->ttl = prng_one_in(prng, 2) ? TTL_SET : TTL_UNTIL;
	ev->ttl_ms = 1 + prng_below(prng, 5000);
	if (ev->ttl == TTL_UNTIL && !prng_one_in(prng, 8))
		ev->ttl_ms += now_ms > 1000 ? now_ms - 1000 : 0;
}

static void pick_xattr(struct prng *prng, struct event *ev)
{
	static const char *const names[] = { "user.a", "user.bb", "user.content_type",
		                             "user.default_ttl" };
	const char *name = names[prng_below(prng, 4)];

	ev->name = (struct bytes){ name, strlen(name) };
	ev->value = pick_value(prng);
	if (strcmp(name, "user.default_ttl") == 0)
		ev->value = (struct bytes){ "2s", 2 };
	else if (strcmp(name, "user.content_type") == 0)
		ev->value = (struct bytes){ "text/plain", 10 };
	else if (ev->value.len > 2000)
		ev->value.len = 2000;
	switch (prng_below(prng, 4)) {
	case 0:
		ev->flags |= EVENT_XATTR_CREATE;
		break;
	case 1:
		ev->flags |= EVENT_XATTR_REPLACE;
		break;
	default:
		break;
	}
}

static void pick_times(struct prng *prng, struct event *ev)
{
	static const unsigned kinds[] = { 0, EVENT_HAS_MTIME, EVENT_MTIME_NOW, EVENT_HAS_ATIME,
		                          EVENT_ATIME_NOW };

	ev->flags |= kinds[prng_below(prng, 3)] | kinds[prng_one_in(prng, 2) ? 0 : 3];
	ev->mtime_ns = (int64_t)prng_u64(prng);
	ev->atime_ns = (int64_t)prng_u64(prng);
}

/* Fill EV with one operation. PART selects the memory in SPACE, so that the
 * operations of a transaction do not share it. */
static void pick_op(struct prng *prng, struct event_space *space, size_t part, enum event_op op,
                    int64_t now_ms, struct event *ev)
{
	*ev = (struct event){ .op = op };
	ev->key = pick_key(prng, space->keys[part][0]);
	ev->at = pick_inode(prng, 6);
	ev->dir = ev->at ? 0 : pick_inode(prng, 6);
	ev->ino = pick_inode(prng, 2);
	if (prng_one_in(prng, 3)) {
		ev->cond = (enum event_if)prng_below(prng, 4);
		ev->if_version = prng_below(prng, 64);
	}
	pick_ttl(prng, now_ms, ev);
	if (op == EVENT_CHMOD || prng_one_in(prng, 6)) {
		ev->flags |= EVENT_HAS_MODE;
		ev->mode = prng_below(prng, 010000);
	}
	if (prng_one_in(prng, 10))
		ev->type = (struct bytes){ "application/json", 16 };
	switch (op) {
	case EVENT_SET:
	case EVENT_APPEND:
		ev->value = pick_value(prng);
		if (prng_one_in(prng, 6)) { /* Give incr numbers to work on. */
			ev->value = (struct bytes){ "41\n", 2 + prng_below(prng, 2) };
		} else if (op == EVENT_SET && prng_one_in(prng, 6)) {
			ev->flags |= EVENT_SYMLINK;
			ev->value = pick_target(prng);
		}
		break;
	case EVENT_WRITE:
		pick_ranges(prng, space->ranges[part], ev);
		break;
	case EVENT_TRUNCATE:
		ev->size = prng_one_in(prng, 20) ? UINT64_C(1) << prng_below(prng, 41) :
		                                   pick_size(prng);
		break;
	case EVENT_DEL:
		if (prng_one_in(prng, 3))
			ev->flags |= EVENT_RECURSE;
		if (prng_one_in(prng, 4))
			ev->flags |= EVENT_EVICT;
		break;
	case EVENT_RMDIR:
		if (prng_one_in(prng, 4))
			ev->flags |= EVENT_EVICT;
		break;
	case EVENT_RENAME:
		ev->to = pick_key(prng, space->keys[part][1]);
		ev->to_dir = pick_inode(prng, 6);
		if (prng_one_in(prng, 3))
			ev->flags |= prng_one_in(prng, 2) ? EVENT_NOREPLACE : EVENT_EXCHANGE;
		break;
	case EVENT_SETXATTR:
	case EVENT_REMOVEXATTR:
		pick_xattr(prng, ev);
		break;
	case EVENT_TOUCH:
		pick_times(prng, ev);
		break;
	case EVENT_INCR:
		if (prng_one_in(prng, 2)) { /* A key that usually stays a number. */
			ev->key = (struct bytes){ "n", 1 };
			ev->at = ev->dir = 0;
		}
		switch (prng_below(prng, 4)) {
		case 0:
			ev->by = (int64_t)prng_u64(prng);
			break;
		case 1:
			ev->by = prng_one_in(prng, 2) ? INT64_MAX : INT64_MIN;
			break;
		default:
			ev->by = (int64_t)prng_below(prng, 100) - 50;
		}
		break;
	default:
		break;
	}
}

/* Choose an operation; set is more frequent than the others. */
static enum event_op pick_kind(struct prng *prng)
{
	enum event_op op = (enum event_op)prng_below(prng, EVENT_FORMAT + 5);

	return op >= EVENT_FORMAT ? EVENT_SET : op;
}

void event_random(struct prng *prng, struct event_space *space, struct event *ev)
{
	int64_t now_ms = ev->time_ms;
	enum event_op op = pick_kind(prng);
	const char *why;

	if (op == EVENT_TXN) {
		*ev = (struct event){ .op = EVENT_TXN, .ops = space->ops };
		ev->nops = 1 + prng_below(prng, EVENT_RANDOM_OPS);
		for (size_t i = 0; i < ev->nops; i++) {
			do
				op = pick_kind(prng);
			while ((op == EVENT_TXN || op == EVENT_TICK) && prng_left(prng));
			if (op == EVENT_TXN || op == EVENT_TICK)
				op = EVENT_SET;
			pick_op(prng, space, i + 1, op, now_ms, &space->ops[i]);
		}
	} else {
		pick_op(prng, space, 0, op, now_ms, ev);
	}
	ev->time_ms = now_ms;
	ev->proc = 1 + prng_below(prng, 3);
	ev->seq = prng_below(prng, 1000);
	if (prng_one_in(prng, 10)) {
		space->idem[0] = 'i';
		space->idem[1] = (char)('0' + prng_below(prng, 6));
		ev->idem = (struct bytes){ space->idem, 2 };
	}
	why = event_check(ev);
	if (why)
		fprintf(stderr, "random event: %s\n", why);
	assert(!why);
}

int64_t event_random_time(struct prng *prng, int64_t last_ms)
{
	switch (prng_below(prng, 16)) {
	case 0:
		return last_ms - prng_below(prng, 3000); /* The broker's clock steps back. */
	case 1:
		return last_ms + prng_below(prng, 20000);
	default:
		return last_ms + prng_below(prng, 300);
	}
}
