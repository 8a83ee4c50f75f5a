/* Random events over a small world. The names are few, so that most events meet
 * an entry that another made; sizes lie around those where the store changes
 * how it keeps a value. */
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

static size_t pick_size(struct dice *dice)
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

	if (dice_one_in(dice, 3))
		return edges[dice_below(dice, sizeof(edges) / sizeof(edges[0]))];
	if (dice_one_in(dice, 8))
		return dice_below(dice, VALUE_MAX);
	return dice_below(dice, 40);
}

static struct bytes pick_value(struct dice *dice)
{
	size_t len = pick_size(dice);
	size_t from = dice_below(dice, 97) % (VALUE_MAX - len + 1);

	fill_pattern();
	return (struct bytes){ pattern + from, len };
}

/* What a symbolic link says: short, inline to the end, or in chunks. */
static struct bytes pick_target(struct dice *dice)
{
	static char target[EVENT_TARGET_MAX];
	static const size_t sizes[] = { 1, STORE_INLINE_MAX, STORE_INLINE_MAX + 1,
		                        EVENT_TARGET_MAX };

	memset(target, 't', sizeof(target));
	return (struct bytes){ target, sizes[dice_below(dice, 4)] };
}

static struct bytes pick_key(struct dice *dice, char *buf)
{
	uint32_t depth = 1 + dice_below(dice, 4);
	size_t len = 0;

	for (uint32_t i = 0; i < depth; i++) {
		if (i)
			buf[len++] = '/';
		if (dice_one_in(dice, 20)) { /* the longest name */
			memset(buf + len, 'l', 255);
			len += 255;
		} else {
			buf[len++] = (char)('a' + dice_below(dice, 4));
		}
	}
	return (struct bytes){ buf, len };
}

/* Mostly 0; else the root, an inode of the store's own, one proposed, or none. */
static uint64_t pick_inode(struct dice *dice, uint32_t one_in)
{
	if (!dice_one_in(dice, one_in))
		return 0;
	switch (dice_below(dice, 8)) {
	case 0:
		return STORE_ROOT_INO;
	case 1:
		return UINT64_MAX - dice_below(dice, 2);
	case 2:
	case 3:
	case 4:
		return STORE_PROPOSED_MIN + dice_below(dice, 8);
	default:
		return 2 + dice_below(dice, 16);
	}
}

static void pick_ranges(struct dice *dice, struct event_range *ranges, struct event *ev)
{
	uint32_t n = dice_below(dice, EVENT_RANDOM_RANGES + 1);
	size_t total = 0;

	fill_pattern();
	ev->ranges = ranges;
	for (uint32_t i = 0; i < n; i++) {
		size_t len = pick_size(dice);

		if (len == 0 || total + len > VALUE_MAX)
			continue;
		ranges[ev->nranges].off = pick_size(dice);
		ranges[ev->nranges++].len = len;
		total += len;
	}
	ev->value = (struct bytes){ pattern, total };
	if (dice_one_in(dice, 3)) {
		ev->flags |= EVENT_HAS_CUT;
		ev->cut = pick_size(dice);
	}
	if (dice_one_in(dice, 3))
		ev->size = pick_size(dice);
}

static void pick_ttl(struct dice *dice, int64_t now_ms, struct event *ev)
{
	ev->ttl = (enum event_ttl)dice_below(dice, 4);
	if (ev->op == EVENT_EXPIRE)
		ev->ttl = dice_one_in(dice, 2) ? TTL_SET : TTL_UNTIL;
	ev->ttl_ms = 1 + dice_below(dice, 5000);
	if (ev->ttl == TTL_UNTIL && !dice_one_in(dice, 8))
		ev->ttl_ms += now_ms > 1000 ? now_ms - 1000 : 0;
}

static void pick_xattr(struct dice *dice, struct event *ev)
{
	static const char *const names[] = { "user.a", "user.bb", "user.content_type",
		                             "user.default_ttl" };
	const char *name = names[dice_below(dice, 4)];

	ev->name = (struct bytes){ name, strlen(name) };
	ev->value = pick_value(dice);
	if (strcmp(name, "user.default_ttl") == 0)
		ev->value = (struct bytes){ "2s", 2 };
	else if (strcmp(name, "user.content_type") == 0)
		ev->value = (struct bytes){ "text/plain", 10 };
	else if (ev->value.len > 2000)
		ev->value.len = 2000;
	switch (dice_below(dice, 4)) {
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

static void pick_times(struct dice *dice, struct event *ev)
{
	static const unsigned kinds[] = { 0, EVENT_HAS_MTIME, EVENT_MTIME_NOW, EVENT_HAS_ATIME,
		                          EVENT_ATIME_NOW };

	ev->flags |= kinds[dice_below(dice, 3)] | kinds[dice_one_in(dice, 2) ? 0 : 3];
	ev->mtime_ns = (int64_t)dice_u64(dice);
	ev->atime_ns = (int64_t)dice_u64(dice);
}

/* One operation; PART tells the memory of a transaction's operations apart. */
static void pick_op(struct dice *dice, struct event_space *space, size_t part, enum event_op op,
                    int64_t now_ms, struct event *ev)
{
	*ev = (struct event){ .op = op };
	ev->key = pick_key(dice, space->keys[part][0]);
	ev->at = pick_inode(dice, 6);
	ev->dir = ev->at ? 0 : pick_inode(dice, 6);
	ev->ino = pick_inode(dice, 2);
	if (dice_one_in(dice, 3)) {
		ev->cond = (enum event_if)dice_below(dice, 4);
		ev->if_version = dice_below(dice, 64);
	}
	pick_ttl(dice, now_ms, ev);
	if (op == EVENT_CHMOD || dice_one_in(dice, 6)) {
		ev->flags |= EVENT_HAS_MODE;
		ev->mode = dice_below(dice, 010000);
	}
	if (dice_one_in(dice, 10))
		ev->type = (struct bytes){ "application/json", 16 };
	switch (op) {
	case EVENT_SET:
	case EVENT_APPEND:
		ev->value = pick_value(dice);
		if (dice_one_in(dice, 6)) { /* for incr to meet */
			ev->value = (struct bytes){ "41\n", 2 + dice_below(dice, 2) };
		} else if (op == EVENT_SET && dice_one_in(dice, 6)) {
			ev->flags |= EVENT_SYMLINK;
			ev->value = pick_target(dice);
		}
		break;
	case EVENT_WRITE:
		pick_ranges(dice, space->ranges[part], ev);
		break;
	case EVENT_TRUNCATE:
		ev->size = dice_one_in(dice, 20) ? UINT64_C(1) << dice_below(dice, 41) :
		                                   pick_size(dice);
		break;
	case EVENT_DEL:
		if (dice_one_in(dice, 3))
			ev->flags |= EVENT_RECURSE;
		if (dice_one_in(dice, 4))
			ev->flags |= EVENT_EVICT;
		break;
	case EVENT_RMDIR:
		if (dice_one_in(dice, 4))
			ev->flags |= EVENT_EVICT;
		break;
	case EVENT_RENAME:
		ev->to = pick_key(dice, space->keys[part][1]);
		ev->to_dir = pick_inode(dice, 6);
		if (dice_one_in(dice, 3))
			ev->flags |= dice_one_in(dice, 2) ? EVENT_NOREPLACE : EVENT_EXCHANGE;
		break;
	case EVENT_SETXATTR:
	case EVENT_REMOVEXATTR:
		pick_xattr(dice, ev);
		break;
	case EVENT_TOUCH:
		pick_times(dice, ev);
		break;
	case EVENT_INCR:
		if (dice_one_in(dice, 2)) { /* a key that mostly stays a number */
			ev->key = (struct bytes){ "n", 1 };
			ev->at = ev->dir = 0;
		}
		switch (dice_below(dice, 4)) {
		case 0:
			ev->by = (int64_t)dice_u64(dice);
			break;
		case 1:
			ev->by = dice_one_in(dice, 2) ? INT64_MAX : INT64_MIN;
			break;
		default:
			ev->by = (int64_t)dice_below(dice, 100) - 50;
		}
		break;
	default:
		break;
	}
}

/* Operations by how often they come; set more often than the rest. */
static enum event_op pick_kind(struct dice *dice)
{
	enum event_op op = (enum event_op)dice_below(dice, EVENT_FORMAT + 5);

	return op >= EVENT_FORMAT ? EVENT_SET : op;
}

void event_random(struct dice *dice, struct event_space *space, struct event *ev)
{
	int64_t now_ms = ev->time_ms;
	enum event_op op = pick_kind(dice);
	const char *why;

	if (op == EVENT_TXN) {
		*ev = (struct event){ .op = EVENT_TXN, .ops = space->ops };
		ev->nops = 1 + dice_below(dice, EVENT_RANDOM_OPS);
		for (size_t i = 0; i < ev->nops; i++) {
			do
				op = pick_kind(dice);
			while ((op == EVENT_TXN || op == EVENT_TICK) && dice_left(dice));
			if (op == EVENT_TXN || op == EVENT_TICK)
				op = EVENT_SET;
			pick_op(dice, space, i + 1, op, now_ms, &space->ops[i]);
		}
	} else {
		pick_op(dice, space, 0, op, now_ms, ev);
	}
	ev->time_ms = now_ms;
	ev->proc = 1 + dice_below(dice, 3);
	ev->seq = dice_below(dice, 1000);
	if (dice_one_in(dice, 10)) {
		space->idem[0] = 'i';
		space->idem[1] = (char)('0' + dice_below(dice, 6));
		ev->idem = (struct bytes){ space->idem, 2 };
	}
	why = event_check(ev);
	if (why)
		fprintf(stderr, "random event: %s\n", why);
	assert(!why);
}

int64_t event_random_time(struct dice *dice, int64_t last_ms)
{
	switch (dice_below(dice, 16)) {
	case 0:
		return last_ms - dice_below(dice, 3000); /* a broker's clock steps back */
	case 1:
		return last_ms + dice_below(dice, 20000);
	default:
		return last_ms + dice_below(dice, 300);
	}
}
