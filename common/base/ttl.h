/* TTL: parses and formats durations ("90s", "1500ms", "2h") and moments (RFC 3339). */
#ifndef KEYDIR_TTL_H
#define KEYDIR_TTL_H

#include <stddef.h>
#include <stdint.h>

/* The longest TTL accepted: 100 years, so that now + ttl never overflows. */
#define TTL_MAX_MS (INT64_C(100) * 366 * 24 * 3600 * 1000)
/* The latest expiry accepted: the end of the year 9999. */
#define TTL_MOMENT_MAX_MS INT64_C(253402300799999)

/* Parse a TTL: a whole number with a unit of ms, s, m, h or d. Without a unit it is in
 * seconds, as in Redis EXPIRE. TEXT need not be NUL-terminated. One trailing newline is
 * allowed, because tools such as `echo 60 | ...` add it. The minimum is 1 ms. Returns 0;
 * -EINVAL for invalid text, zero or a negative number; -ERANGE for more than TTL_MAX_MS. */
int ttl_parse(const char *text, size_t len, int64_t *ret_ms);

/* Format TTL_MS as decimal text in whole seconds, rounded up. Returns the length, like
 * snprintf(). */
int ttl_format(int64_t ttl_ms, char *buf, size_t size);

/* Parse an RFC 3339 date-time ("2026-01-31T12:00:00Z"; a fraction, an offset and one
 * trailing newline are allowed) into milliseconds since the epoch, rounded down. Returns 0,
 * or -EINVAL for invalid text. */
int moment_parse(const char *text, size_t len, int64_t *ret_ms);

/* Format MS as RFC 3339 in UTC with milliseconds. A BUF of 32 bytes is enough. Returns the
 * length. */
int moment_format(int64_t ms, char *buf, size_t size);

#endif
