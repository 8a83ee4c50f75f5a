/* Record format: the words of version 1 (EVENTS.md), shared by event/record_decode.c and
 * event/record_encode.c. */
#ifndef KEYDIR_RECORD_FORMAT_H
#define KEYDIR_RECORD_FORMAT_H

#include "common/event/record.h"

/* Names of headers. */
#define RECORD_HEADERS(X)                                                                          \
	X(OP, "op")                                                                                \
	X(ID, "id")                                                                                \
	X(TTL, "ttl")                                                                              \
	X(IF, "if")                                                                                \
	X(INO, "ino")                                                                              \
	X(AT, "at")                                                                                \
	X(DIR, "dir")                                                                              \
	X(TYPE, "type")                                                                            \
	X(TO, "to")                                                                                \
	X(TO_DIR, "to_dir")                                                                        \
	X(BY, "by")                                                                                \
	X(MODE, "mode")                                                                            \
	X(MTIME, "mtime")                                                                          \
	X(ATIME, "atime")                                                                          \
	X(RANGES, "ranges")                                                                        \
	X(CUT, "cut")                                                                              \
	X(SIZE, "size")                                                                            \
	X(NAME, "name")                                                                            \
	X(IDEM, "idem")                                                                            \
	X(FLAGS, "flags")                                                                          \
	X(V, "v")

enum header {
#define X(id, text) HEADER_##id,
	RECORD_HEADERS(X)
#undef X
	        HEADER_COUNT
};

_Static_assert(HEADER_COUNT <= RECORD_HEADERS_MAX, "an event may need all headers");

/* Words of the `flags` header. The other flags of an event follow from headers of their
 * own. */
#define RECORD_FLAGS(X)                                                                            \
	X(EVENT_RECURSE, "recurse")                                                                \
	X(EVENT_NOREPLACE, "noreplace")                                                            \
	X(EVENT_EXCHANGE, "exchange")                                                              \
	X(EVENT_XATTR_CREATE, "create")                                                            \
	X(EVENT_XATTR_REPLACE, "replace")                                                          \
	X(EVENT_EVICT, "evict")                                                                    \
	X(EVENT_SYMLINK, "symlink")

/* Return true for an operation whose value may be empty but not null. */
static inline bool record_needs_value(enum event_op op)
{
	return op == EVENT_SET || op == EVENT_APPEND || op == EVENT_SETXATTR || op == EVENT_TXN;
}

#endif
