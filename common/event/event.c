/* Event: texts, deep copies, and the checks that do not need a store.
 *
 * event_check() is the only gate between the data of a client or foreign producer and the
 * code that applies it. After it, every key obeys base/key.h, every number is within the
 * range that the store's arithmetic supports, and the ranges of a write cover exactly its
 * value. It runs when an event is submitted and again when it is applied, and must give the
 * same result on every node. So it depends only on the event, and changing a check requires
 * a new format version (EVENTS.md). Fields that an operation does not use are not checked,
 * except ranges and ops, which are not allowed elsewhere.
 *
 * No state; thread-safe. */
#include "common/event/event.h"

#include "common/base/key.h"
#include "common/base/ttl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The largest size or offset in an event: far above EVENT_VALUE_MAX, and small enough
 * that the sum of a size and a length cannot overflow. */
#define SIZE_LIMIT (UINT64_C(1) << 40)
/* 9999-12-31T23:59:59.999Z, the last moment that RFC 3339 can express. */
#define XATTR_NAME_LIMIT 255 /* XATTR_NAME_MAX of Linux */
#define VOLUME_LIMIT 39      /* bytes of a volume id (struct store_meta) */

const char *event_op_text(enum event_op op)
{
	static const char *const texts[] = {
#define X(name, text) text,
		EVENT_OPS(X)
#undef X
	};

	return (unsigned)op < EVENT_OP_COUNT ? texts[op] : "unknown";
}

int event_op_parse(const char *text, size_t len, enum event_op *ret)
{
	for (int op = 0; op < EVENT_OP_COUNT; op++) {
		const char *name = event_op_text((enum event_op)op);

		if (strlen(name) == len && memcmp(name, text, len) == 0) {
			*ret = (enum event_op)op;
			return 0;
		}
	}
	return -ENOENT;
}

bool event_op_nests(enum event_op op)
{
	return op != EVENT_TXN && op != EVENT_TICK && op != EVENT_FORMAT && op != EVENT_SKIP;
}

static const struct {
	const char *text;
	int error;
} outcomes[] = {
#define X(name, text, err) { text, err },
	EVENT_OUTCOMES(X)
#undef X
};

const char *event_outcome_text(enum event_outcome outcome)
{
	return (unsigned)outcome < OUTCOME_COUNT ? outcomes[outcome].text : "unknown outcome";
}

int event_outcome_errno(enum event_outcome outcome)
{
	return (unsigned)outcome < OUTCOME_COUNT ? outcomes[outcome].error : EIO;
}

/* --- deep copy --- */

/* An allocator that hands out memory from front to back. With a NULL base it only counts,
 * so that measuring and copying are the same code and cannot disagree. */
struct arena {
	char *base;
	size_t used;
};

static void *arena_take(struct arena *arena, size_t size, size_t align)
{
	size_t start = (arena->used + align - 1) / align * align;

	arena->used = start + size;
	return arena->base ? arena->base + start : NULL;
}

static void copy_bytes(struct arena *arena, struct bytes *to, struct bytes from)
{
	void *data;

	if (from.len == 0) {
		if (arena->base)
			*to = (struct bytes){ "", 0 };
		return;
	}
	data = arena_take(arena, from.len, 1);
	if (data) {
		memcpy(data, from.data, from.len);
		*to = (struct bytes){ data, from.len };
	}
}

/* Copy what FROM points to. TO must already be a shallow copy of FROM; while counting, TO
 * is any writable event. */
static void copy_event(struct arena *arena, struct event *to, const struct event *from)
{
	struct event scratch;

	to->ranges = NULL;
	if (from->nranges) {
		size_t size = from->nranges * sizeof(*from->ranges);
		struct event_range *ranges = arena_take(arena, size, _Alignof(struct event_range));

		if (ranges) {
			memcpy(ranges, from->ranges, size);
			to->ranges = ranges;
		}
	}
	to->ops = NULL;
	if (from->nops) {
		size_t size = from->nops * sizeof(*from->ops);
		struct event *ops = arena_take(arena, size, _Alignof(struct event));

		if (ops) {
			memcpy(ops, from->ops, size);
			to->ops = ops;
		}
		for (size_t i = 0; i < from->nops; i++)
			copy_event(arena, ops ? &ops[i] : &scratch, &from->ops[i]);
	}
	copy_bytes(arena, &to->key, from->key);
	copy_bytes(arena, &to->value, from->value);
	copy_bytes(arena, &to->to, from->to);
	copy_bytes(arena, &to->name, from->name);
	copy_bytes(arena, &to->type, from->type);
	copy_bytes(arena, &to->idem, from->idem);
}

struct event *event_dup(const struct event *ev)
{
	struct arena arena = { 0 };
	struct event scratch;
	struct event *copy;

	arena_take(&arena, sizeof(*copy), _Alignof(struct event));
	copy_event(&arena, &scratch, ev);
	arena.base = malloc(arena.used);
	if (!arena.base)
		return NULL;
	arena.used = 0;
	copy = arena_take(&arena, sizeof(*copy), _Alignof(struct event));
	*copy = *ev;
	copy_event(&arena, copy, ev);
	return copy;
}

void event_free(struct event *ev)
{
	free(ev);
}

/* --- checks --- */

/* Return whether all bytes are printable ASCII, which may be sent in an HTTP header. */
static bool is_header_text(struct bytes text)
{
	const unsigned char *c = text.data;

	for (size_t i = 0; i < text.len; i++) {
		if (c[i] < 0x20 || c[i] > 0x7e)
			return false;
	}
	return true;
}

static bool is_volume_id(struct bytes id)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                            "0123456789-_.";
	const char *c = id.data;

	for (size_t i = 0; i < id.len; i++) {
		if (!memchr(chars, c[i], sizeof(chars) - 1))
			return false;
	}
	return id.len >= 1 && id.len <= VOLUME_LIMIT;
}

/* Check the key, or the inode that replaces it: only a record that names an inode may omit
 * the key (the root has none). */
static const char *check_key(const struct event *ev)
{
	enum key_fault fault;

	if (ev->key.len == 0 && ev->at != 0)
		return NULL;
	fault = key_check(ev->key.data, ev->key.len);
	return fault == KEY_OK ? NULL : key_fault_text(fault);
}

static const char *check_expiry(const struct event *ev)
{
	switch (ev->ttl) {
	case TTL_NONE:
	case TTL_KEEP:
		return NULL;
	case TTL_SET:
		if (ev->ttl_ms < 1 || ev->ttl_ms > TTL_MAX_MS)
			return "the TTL is not between 1 ms and 100 years";
		return NULL;
	case TTL_UNTIL:
		if (ev->ttl_ms < 1 || ev->ttl_ms > TTL_MOMENT_MAX_MS)
			return "the expiry is not between 1970 and 9999";
		return NULL;
	}
	return "the kind of TTL is unknown";
}

uint64_t event_spread(const struct event_range *ranges, size_t nranges)
{
	uint64_t blocks = 0, next = 0; /* first block after the previous range */

	for (size_t i = 0; i < nranges; i++) {
		uint64_t first = ranges[i].off / EVENT_BLOCK;
		uint64_t end = (ranges[i].off + ranges[i].len - 1) / EVENT_BLOCK + 1;

		blocks += end - first - (first + 1 == next);
		next = end;
	}
	return blocks;
}

/* Return whether the ranges of EV touch few enough blocks for the bytes they write. */
static bool is_dense(const struct event *ev)
{
	uint64_t blocks = event_spread(ev->ranges, ev->nranges), bytes = ev->value.len;

	if (ev->op == EVENT_TXN)
		bytes = 0;
	for (size_t i = 0; i < ev->nops; i++) {
		blocks += event_spread(ev->ops[i].ranges, ev->ops[i].nranges);
		bytes += ev->ops[i].value.len;
	}
	return blocks <= EVENT_SPREAD_MIN + ev->nops + bytes / EVENT_SPREAD_BYTES;
}

static const char *check_write(const struct event *ev)
{
	uint64_t total = 0;

	if (ev->nranges > EVENT_RANGES_MAX)
		return "the write has too many ranges";
	for (size_t i = 0; i < ev->nranges; i++) {
		const struct event_range *r = &ev->ranges[i];

		if (r->len == 0)
			return "a range of the write is empty";
		if (r->off > SIZE_LIMIT || r->len > SIZE_LIMIT - r->off)
			return "a range of the write lies beyond the largest size of a value";
		total += r->len;
	}
	if (total != ev->value.len)
		return "the ranges of the write do not add up to its value";
	if (ev->size > SIZE_LIMIT)
		return "the size is beyond the largest size of a value";
	if ((ev->flags & EVENT_HAS_CUT) && ev->cut > SIZE_LIMIT)
		return "the cut is beyond the largest size of a value";
	if (!is_dense(ev))
		return "the ranges of the write are too far apart for so few bytes";
	return NULL;
}

static const char *check_xattr(const struct event *ev)
{
	static const char prefix[] = "user.";
	size_t prefix_len = sizeof(prefix) - 1;
	int64_t ttl_ms;

	if (ev->name.len <= prefix_len || memcmp(ev->name.data, prefix, prefix_len) != 0)
		return "the attribute's name does not start with \"user.\"";
	if (ev->name.len > XATTR_NAME_LIMIT)
		return "the attribute's name is longer than 255 bytes";
	if (memchr(ev->name.data, '\0', ev->name.len))
		return "the attribute's name has a NUL byte";
	if (bytes_are(ev->name, "user.ttl") || bytes_are(ev->name, "user.expires"))
		return "this attribute shows the expiry, which expire and persist change";
	if (bytes_are(ev->name, "user.version"))
		return "the version cannot be changed";
	if (ev->op == EVENT_REMOVEXATTR)
		return NULL;
	if ((ev->flags & EVENT_XATTR_CREATE) && (ev->flags & EVENT_XATTR_REPLACE))
		return "the attribute cannot be both new and there already";
	if (ev->value.len > EVENT_XATTR_VALUE_MAX)
		return "the attribute's value is longer than 65536 bytes";
	if (bytes_are(ev->name, "user.default_ttl") &&
	    ttl_parse(ev->value.data, ev->value.len, &ttl_ms) != 0)
		return "the default TTL is not a TTL such as 90s";
	if (bytes_are(ev->name, "user.content_type") &&
	    (ev->value.len > EVENT_TYPE_MAX || !is_header_text(ev->value)))
		return "the content type is longer than 255 bytes or not printable ASCII";
	return NULL;
}

static const char *check_rename(const struct event *ev)
{
	enum key_fault fault = key_check(ev->to.data, ev->to.len);

	if (ev->to.len == 0)
		return "the rename has no target";
	if (fault != KEY_OK)
		return key_fault_text(fault);
	if ((ev->flags & EVENT_NOREPLACE) && (ev->flags & EVENT_EXCHANGE))
		return "the rename cannot both exchange and require that the target is missing";
	return NULL;
}

static const char *check_touch(const struct event *ev)
{
	if ((ev->flags & EVENT_HAS_MTIME) && (ev->flags & EVENT_MTIME_NOW))
		return "mtime is both given and now";
	if ((ev->flags & EVENT_HAS_ATIME) && (ev->flags & EVENT_ATIME_NOW))
		return "atime is both given and now";
	return NULL;
}

/* Return the number of names in KEY. */
static size_t count_names(struct bytes key)
{
	const char *c = key.data;
	size_t n = key.len != 0;

	for (size_t i = 0; i < key.len; i++)
		n += c[i] == '/';
	return n;
}

static const char *check_txn(const struct event *ev)
{
	size_t names = 0;

	if (ev->nops == 0)
		return "the transaction has no operation";
	if (ev->nops > EVENT_OPS_MAX)
		return "the transaction has more than 1024 operations";
	for (size_t i = 0; i < ev->nops; i++) {
		const struct event *op = &ev->ops[i];
		const char *why;

		if (!event_op_nests(op->op))
			return "an operation of the transaction cannot be part of one";
		why = event_check(op);
		if (why)
			return why;
		names += count_names(op->key) + count_names(op->to);
	}
	if (names > EVENT_NAMES_MAX)
		return "the keys of the transaction have more than 16384 names";
	if (!is_dense(ev))
		return "the ranges of the transaction are too far apart for so few bytes";
	return NULL;
}

static const char *check_set(const struct event *ev)
{
	if (!(ev->flags & EVENT_SYMLINK))
		return NULL;
	if (ev->value.len == 0 || ev->value.len > EVENT_TARGET_MAX)
		return "the target of a symbolic link has no byte, or more than 4095";
	if (memchr(ev->value.data, '\0', ev->value.len))
		return "the target of a symbolic link has a NUL byte";
	return NULL;
}

/* Check the fields that an operation needs besides its key. */
static const char *check_op(const struct event *ev)
{
	switch (ev->op) {
	case EVENT_WRITE:
		return check_write(ev);
	case EVENT_TRUNCATE:
		return ev->size > SIZE_LIMIT ? "the size is beyond the largest size of a value" :
		                               NULL;
	case EVENT_RENAME:
		return check_rename(ev);
	case EVENT_EXPIRE:
		return ev->ttl == TTL_SET || ev->ttl == TTL_UNTIL ? NULL : "the expiry is missing";
	case EVENT_SETXATTR:
	case EVENT_REMOVEXATTR:
		return check_xattr(ev);
	case EVENT_CHMOD:
		return ev->flags & EVENT_HAS_MODE ? NULL : "the mode is missing";
	case EVENT_TOUCH:
		return check_touch(ev);
	case EVENT_TXN:
		return check_txn(ev);
	case EVENT_FORMAT:
		return is_volume_id(ev->name) ? NULL : "the volume id is missing or not valid";
	case EVENT_SET:
		return check_set(ev);
	case EVENT_SKIP:
		return ev->at ? NULL : "the offset of the record to be skipped is missing";
	case EVENT_APPEND:
	case EVENT_DEL:
	case EVENT_MKDIR:
	case EVENT_RMDIR:
	case EVENT_PERSIST:
	case EVENT_INCR:
	case EVENT_TICK:
	case EVENT_OP_COUNT:
		break;
	}
	return NULL;
}

const char *event_check(const struct event *ev)
{
	const char *why = NULL;

	if ((unsigned)ev->op >= EVENT_OP_COUNT)
		return "the operation is unknown";
	if ((unsigned)ev->cond > IF_VERSION)
		return "the precondition is unknown";
	if (event_op_nests(ev->op))
		why = check_key(ev);
	if (!why)
		why = check_expiry(ev);
	if (why)
		return why;
	if ((ev->flags & EVENT_HAS_MODE) && ev->mode > 07777)
		return "the mode has bits beyond 7777";
	if (ev->type.len > EVENT_TYPE_MAX || !is_header_text(ev->type))
		return "the content type is longer than 255 bytes or not printable ASCII";
	if (ev->idem.len > EVENT_IDEM_MAX)
		return "the idempotency key is longer than 255 bytes";
	if (ev->nranges && ev->op != EVENT_WRITE)
		return "only a write has ranges";
	if (ev->nops && ev->op != EVENT_TXN)
		return "only a transaction has operations";
	return check_op(ev);
}
