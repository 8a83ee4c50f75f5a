/* Events: one change each, as submitted, logged and applied. */
#ifndef KEYDIR_EVENT_H
#define KEYDIR_EVENT_H

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Operations; the text is the `op` header of a record (EVENTS.md) and the
 * name in the API. The order is stored in the feed: append only. */
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

/* Outcomes: what applying an event gave, or why it never got that far.
 * name, text for people, errno for the mount. Those up to TOO_LARGE are stored
 * in the feed, so append only there; the rest come from submitting. */
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

/* What must hold for an event to be done; decided while applying. */
enum event_if {
	IF_NONE = 0,
	IF_ABSENT,  /* no entry of that name (an expired one counts as none) */
	IF_PRESENT, /* the entry exists */
	IF_VERSION, /* the entry exists and its version is if_version */
};

enum event_ttl {
	TTL_NONE = 0, /* no expiry: a set discards the old one */
	TTL_KEEP,     /* a set in place: keep TTL, attributes and content type */
	TTL_SET,      /* expires ttl_ms after the record's timestamp */
	TTL_UNTIL,    /* expires at the moment ttl_ms (ms since the epoch) */
};

enum event_flag {
	EVENT_RECURSE = 1 << 0,       /* del: a directory with all below it */
	EVENT_NOREPLACE = 1 << 1,     /* rename: the target must not exist */
	EVENT_EXCHANGE = 1 << 2,      /* rename: swap the two entries */
	EVENT_XATTR_CREATE = 1 << 3,  /* setxattr: must not exist yet */
	EVENT_XATTR_REPLACE = 1 << 4, /* setxattr: must exist */
	EVENT_HAS_MODE = 1 << 5,      /* mode is given */
	EVENT_HAS_MTIME = 1 << 6,     /* touch: mtime_ns is given; without it and
	                               * ATIME, both become the record's time. set, write:
	                               * when the value was written (not 0) */
	EVENT_HAS_ATIME = 1 << 7,     /* touch: atime_ns is given */
	EVENT_HAS_CUT = 1 << 8,       /* write: first shorten to cut bytes */
	EVENT_EVICT = 1 << 9,         /* del, rmdir: made by eviction, not by a user */
	EVENT_MTIME_NOW = 1 << 10,    /* touch: mtime = the record's time */
	EVENT_ATIME_NOW = 1 << 11,    /* touch: atime = the record's time */
	EVENT_SYMLINK = 1 << 12,      /* set: a symbolic link; the value is its target */
};

/* One range of a write: LEN bytes of the value go to OFF. */
struct event_range {
	uint64_t off;
	uint64_t len;
};

/* One event. A struct on the stack borrows what it points to; event_dup()
 * makes one that owns everything. Strings are length-counted, not NUL-ended.
 *
 * The entry meant is found by `at` if it is not 0 (an inode, whatever its name
 * is now), else by the last name of `key` below the directory `dir` if that is
 * not 0, else by `key` from the root. Only the last way makes missing parent
 * directories, and only for set, append, incr and mkdir, and a rename's target.
 * setxattr and removexattr of "user.default_ttl" on a directory set and clear the
 * TTL (text, base/ttl.h) that keys made below it get; "user.ttl", "user.expires" and
 * "user.version" are no attributes here: expire and persist are the operations for
 * them. `key` is always given (but for tick, txn, format, skip), so that a log reads
 * well. */
struct event {
	enum event_op op;
	enum event_if cond;
	enum event_ttl ttl;
	unsigned flags;      /* enum event_flag */
	uint64_t if_version; /* for IF_VERSION */
	int64_t ttl_ms;      /* for TTL_SET, TTL_UNTIL */
	uint64_t proc;       /* id: process */
	uint64_t seq;        /* id: the process's sequence number */
	uint64_t ino;        /* inode proposed for what this creates, or 0 */
	uint64_t at;         /* inode meant, or 0; skip: offset of the record */
	uint64_t dir;        /* parent directory's inode, or 0 */
	uint64_t to_dir;     /* rename: the target's parent, or 0 */
	uint64_t size;       /* truncate: new size; write: at least this size */
	uint64_t cut;        /* write with EVENT_HAS_CUT */
	int64_t by;          /* incr */
	int64_t mtime_ns;    /* touch */
	int64_t atime_ns;    /* touch */
	uint32_t mode;       /* permission bits 07777; chmod, set, mkdir */
	int64_t time_ms;     /* the record's timestamp; set by the log */
	struct bytes key;
	struct bytes value; /* payload; a set, append, setxattr */
	struct bytes to;    /* rename: the target key */
	/* setxattr, removexattr: the attribute's name with its "user."; format: the
	 * volume id. */
	struct bytes name;
	struct bytes type;                /* content type of a set, or empty */
	struct bytes idem;                /* idempotency key, or empty */
	const struct event_range *ranges; /* write */
	size_t nranges;
	const struct event *ops; /* txn: operations, none of them a txn */
	size_t nops;
};

/* Limits of what an event may hold beside its value. */
#define EVENT_XATTR_VALUE_MAX 65536 /* XATTR_SIZE_MAX of Linux */
#define EVENT_TYPE_MAX 255
#define EVENT_TARGET_MAX 4095 /* of a symbolic link: PATH_MAX of Linux, less the NUL */
#define EVENT_IDEM_MAX 255
#define EVENT_RANGES_MAX 4096
#define EVENT_OPS_MAX 1024
#define EVENT_NAMES_MAX 16384 /* in the keys of a transaction, together */
/* Bytes of the longest value that an event may leave behind, zeros counted. */
#define EVENT_VALUE_MAX (UINT64_C(1) << 30)
/* The ranges of an event may touch EVENT_SPREAD_MIN blocks of EVENT_BLOCK bytes, plus
 * one for each operation of a transaction and one for each EVENT_SPREAD_BYTES of values.
 * A single byte can make the store allocate a whole block. */
#define EVENT_BLOCK 65536
#define EVENT_SPREAD_MIN 256
#define EVENT_SPREAD_BYTES 4096

/* The texts of the tables above; static. */
const char *event_op_text(enum event_op op);
/* Returns 0 and *RET, or -ENOENT for a text that no operation has. */
int event_op_parse(const char *text, size_t len, enum event_op *ret);
/* Return whether OP changes an entry, and so has a key and may be part of a transaction. */
bool event_op_nests(enum event_op op);
const char *event_outcome_text(enum event_outcome outcome);
/* The positive errno that the mount answers, 0 for OUTCOME_OK. */
int event_outcome_errno(enum event_outcome outcome);

/* A deep copy in one allocation, owned by the caller until event_free(), or
 * NULL without memory. */
struct event *event_dup(const struct event *ev);
void event_free(struct event *ev);

/* Return how many blocks RANGES touch. A block shared by two consecutive ranges counts
 * once. Each range has a length and ends before 2^64. */
uint64_t event_spread(const struct event_range *ranges, size_t nranges);

/* Checks everything that can be checked without a store: key rules, the
 * presence of what the operation needs, bounds. Returns NULL, or what is
 * wrong as static text. An event that fails here is OUTCOME_REJECTED when it
 * is applied; submitters check first and answer better. */
const char *event_check(const struct event *ev);

#endif
