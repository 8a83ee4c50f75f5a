/* Event: one change to the cache, as submitted, logged and applied. */
#ifndef KEYDIR_EVENT_H
#define KEYDIR_EVENT_H

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Operations. The text is the `op` header of a record (EVENTS.md) and the name in the API.
 * The feed stores these numbers, so append only. */
#define EVENT_OPS(X)                                                                               \
	X(SET, "set")                                                                              \
	X(APPEND, "append")                                                                        \
	X(WRITE, "write")                                                                          \
	X(TRUNCATE, "truncate")                                                                    \
	X(DEL, "del")                                                                              \
	X(MKDIR, "mkdir")                                                                          \
	X(RMDIR, "rmdir")                                                                          \
	X(RENAME, "rename")                                                                        \
	X(EXPIRE, "expire")                                                                        \
	X(PERSIST, "persist")                                                                      \
	X(SETXATTR, "setxattr")                                                                    \
	X(REMOVEXATTR, "removexattr")                                                              \
	X(CHMOD, "chmod")                                                                          \
	X(TOUCH, "touch")                                                                          \
	X(INCR, "incr")                                                                            \
	X(TXN, "txn")                                                                              \
	X(TICK, "tick")                                                                            \
	X(FORMAT, "format")                                                                        \
	X(SKIP, "skip")

enum event_op {
#define X(name, text) EVENT_##name,
	EVENT_OPS(X)
#undef X
	        EVENT_OP_COUNT
};

/* Outcomes: the result of applying an event, or why it was not applied. Columns: name, text
 * for people, errno for the mount. The feed stores those up to TOO_LARGE, so append only to
 * that part; the others come from submitting. */
#define EVENT_OUTCOMES(X)                                                                          \
	X(OK, "done", 0)                                                                           \
	X(EXISTS, "exists already", EEXIST)                                                        \
	X(NOT_FOUND, "not found", ENOENT)                                                          \
	X(VERSION, "version differs", EAGAIN)                                                      \
	X(NOT_DIR, "a name in the path is a key, not a directory", ENOTDIR)                        \
	X(IS_DIR, "is a directory", EISDIR)                                                        \
	X(NOT_EMPTY, "directory not empty", ENOTEMPTY)                                             \
	X(INTO_ITSELF, "a directory cannot move below itself", EINVAL)                             \
	X(NOT_NUMBER, "the value is not a whole number", EINVAL)                                   \
	X(RANGE, "the number would leave the range of 64 bits", ERANGE)                            \
	X(NO_XATTR, "no such attribute", ENODATA)                                                  \
	X(XATTR_EXISTS, "attribute exists already", EEXIST)                                        \
	X(IS_LINK, "is a symbolic link", ELOOP)                                                    \
	X(TXN_FAILED, "an operation of the transaction failed, so none was done", EAGAIN)          \
	X(REJECTED, "the event is malformed", EINVAL)                                              \
	X(TOO_LARGE, "the value is over the limit of one value", EFBIG)                            \
	X(NO_SPACE, "the cache is full", ENOSPC)                                                   \
	X(LOG_DOWN, "the log cannot be reached; nothing was changed", EIO)                         \
	X(UNKNOWN, "no answer from the log in time; the change may still happen", ETIMEDOUT)       \
	X(STOPPING, "the node is stopping; nothing was changed", EIO)                              \
	X(NO_MEMORY, "out of memory; nothing was changed", ENOMEM)                                 \
	X(STORE_FULL, "the file system of the store is full; nothing was changed", ENOSPC)         \
	X(LATE, "the node did not apply it in time; nothing was changed", EIO)

enum event_outcome {
#define X(name, text, err) OUTCOME_##name,
	EVENT_OUTCOMES(X)
#undef X
	        OUTCOME_COUNT
};

/* Preconditions, decided while applying. */
enum event_if {
	IF_NONE = 0,
	IF_ABSENT,  /* no entry has that name (an expired one counts as absent) */
	IF_PRESENT, /* the entry exists */
	IF_VERSION, /* the entry exists and its version is if_version */
};

enum event_ttl {
	TTL_NONE = 0, /* does not expire; a set discards the old expiry */
	TTL_KEEP,     /* set in place: keep TTL, attributes and content type */
	TTL_SET,      /* expires ttl_ms after the record's timestamp */
	TTL_UNTIL,    /* expires at ttl_ms (ms since the epoch) */
};

enum event_flag {
	EVENT_RECURSE = 1 << 0,       /* del: a directory and everything below it */
	EVENT_NOREPLACE = 1 << 1,     /* rename: the target must not exist */
	EVENT_EXCHANGE = 1 << 2,      /* rename: swap the two entries */
	EVENT_XATTR_CREATE = 1 << 3,  /* setxattr: the attribute must not exist */
	EVENT_XATTR_REPLACE = 1 << 4, /* setxattr: the attribute must exist */
	EVENT_HAS_MODE = 1 << 5,      /* `mode` is given */
	EVENT_HAS_MTIME = 1 << 6,     /* touch, set, write: mtime_ns is given */
	EVENT_HAS_ATIME = 1 << 7,     /* touch: atime_ns is given */
	EVENT_HAS_CUT = 1 << 8,       /* write: first shorten the value to `cut` bytes */
	EVENT_EVICT = 1 << 9,         /* del, rmdir: submitted by eviction, not by a user */
	EVENT_MTIME_NOW = 1 << 10,    /* touch: mtime = the record's time */
	EVENT_ATIME_NOW = 1 << 11,    /* touch: atime = the record's time */
	EVENT_SYMLINK = 1 << 12,      /* set: create a symbolic link; the value is its target */
};

/* A range of a write: the next LEN bytes of the value go to offset OFF. */
struct event_range {
	uint64_t off;
	uint64_t len;
};

/* An event. A struct on the stack borrows what it points to; event_dup() makes a copy that
 * owns everything. Strings have lengths and are not NUL-terminated.
 *
 * The target entry is found by `at` if that is not 0 (an inode, whatever its current name),
 * else by the last name of `key` in the directory `dir` if that is not 0, else by `key`
 * from the root. Only the last way creates missing parent directories, and only for set,
 * append, incr, mkdir and the target of a rename. `key` is always given, except for tick,
 * txn, format and skip, so that a log is readable.
 *
 * setxattr and removexattr of "user.default_ttl" on a directory set and clear the TTL
 * (text, base/ttl.h) that new keys below it receive. "user.ttl", "user.expires" and
 * "user.version" are not attributes here: use expire and persist.
 *
 * A touch with neither EVENT_HAS_MTIME nor EVENT_HAS_ATIME sets both times to the record's
 * time. In a set or write with EVENT_HAS_MTIME, mtime_ns is when the value was written (not
 * 0). */
struct event {
	enum event_op op;
	enum event_if cond;
	enum event_ttl ttl;
	unsigned flags; /* enum event_flag */
	uint64_t if_version;
	int64_t ttl_ms;   /* for TTL_SET and TTL_UNTIL */
	uint64_t proc;    /* id of the event: the submitting process */
	uint64_t seq;     /* id of the event: the process's sequence number */
	uint64_t ino;     /* inode proposed for the entry that this creates, or 0 */
	uint64_t at;      /* inode of the target, or 0; skip: offset of the record */
	uint64_t dir;     /* inode of the parent directory, or 0 */
	uint64_t to_dir;  /* rename: inode of the new parent, or 0 */
	uint64_t size;    /* truncate: new size; write: at least this size */
	uint64_t cut;     /* write with EVENT_HAS_CUT */
	int64_t by;       /* incr */
	int64_t mtime_ns; /* touch, set, write */
	int64_t atime_ns; /* touch */
	uint32_t mode;    /* permission bits 07777, for chmod, set and mkdir */
	int64_t time_ms;  /* timestamp of the record, set by the log */
	struct bytes key;
	struct bytes value; /* payload of a set, append or setxattr */
	struct bytes to;    /* rename: the new key */
	/* setxattr, removexattr: name of the attribute with its "user."; format: the volume
	 * id. */
	struct bytes name;
	struct bytes type;                /* content type of a set, or empty */
	struct bytes idem;                /* idempotency key, or empty */
	const struct event_range *ranges; /* write */
	size_t nranges;
	const struct event *ops; /* txn: its operations; none is a txn */
	size_t nops;
};

/* Limits of an event besides its value. */
#define EVENT_XATTR_VALUE_MAX 65536 /* XATTR_SIZE_MAX of Linux */
#define EVENT_TYPE_MAX 255
#define EVENT_TARGET_MAX 4095 /* of a symbolic link: PATH_MAX of Linux, less the NUL */
#define EVENT_IDEM_MAX 255
#define EVENT_RANGES_MAX 4096
#define EVENT_OPS_MAX 1024
#define EVENT_NAMES_MAX 16384 /* names in all keys of a transaction */
/* Bytes of the longest value that an event may produce, including bytes filled with zeros. */
#define EVENT_VALUE_MAX (UINT64_C(1) << 30)
/* The ranges of an event may touch EVENT_SPREAD_MIN blocks of EVENT_BLOCK bytes, plus one
 * for each operation of a transaction and one for each EVENT_SPREAD_BYTES of values. The
 * limit exists because a single byte can make the store allocate a whole block. */
#define EVENT_BLOCK 65536
#define EVENT_SPREAD_MIN 256
#define EVENT_SPREAD_BYTES 4096

/* Return the text of OP or OUTCOME from the tables above. Static storage. */
const char *event_op_text(enum event_op op);
/* Find the operation named TEXT. Returns 0 and *RET, or -ENOENT. */
int event_op_parse(const char *text, size_t len, enum event_op *ret);
/* Return whether OP changes an entry, which means that it has a key and may be part of a
 * transaction. */
bool event_op_nests(enum event_op op);
const char *event_outcome_text(enum event_outcome outcome);
/* Return the positive errno that the mount reports for OUTCOME, or 0 for OUTCOME_OK. */
int event_outcome_errno(enum event_outcome outcome);

/* Return a deep copy in one allocation, owned by the caller until event_free(), or NULL if
 * out of memory. */
struct event *event_dup(const struct event *ev);
void event_free(struct event *ev);

/* Return how many blocks RANGES touch. A block shared by two consecutive ranges counts
 * once. Each range must have a length and end before 2^64. */
uint64_t event_spread(const struct event_range *ranges, size_t nranges);

/* Check everything that does not depend on the store: key rules, required fields, bounds.
 * Returns NULL, or a static text that describes the fault. Applying an event that fails
 * here gives OUTCOME_REJECTED, so submitters check first and report the text. */
const char *event_check(const struct event *ev);

#endif
