/* TTLs and moments as people write them: "90s", "1500ms", "2h"; RFC 3339. */
#ifndef KEYDIR_TTL_H
#define KEYDIR_TTL_H

#include <stddef.h>
#include <stdint.h>

/* The longest TTL taken: 100 years, so that now + ttl never overflows. */
#define TTL_MAX_MS (INT64_C(100) * 366 * 24 * 3600 * 1000)
/* The latest moment of an expiry: the end of the year 9999. */
#define TTL_MOMENT_MAX_MS INT64_C(253402300799999)

/* Reads a TTL: a whole number with a unit of ms, s, m, h or d; no unit means
 * seconds (as in Redis EXPIRE). TEXT needs no NUL; one trailing newline is
 * allowed, because `echo 60 | setfattr`-like use brings it. At least 1 ms.
 * Returns 0, -EINVAL for other text (also 0 and negative numbers) or -ERANGE
 * for more than TTL_MAX_MS. */
int ttl_parse(const char *text, size_t len, int64_t *ret_ms);

/* Whole seconds left of TTL_MS, rounded up, as decimal text; returns the
 * length, like snprintf. */
int ttl_format(int64_t ttl_ms, char *buf, size_t size);

/* Reads an RFC 3339 date-time ("2026-01-31T12:00:00Z", fraction and offset
 * allowed, one trailing newline allowed) into ms since the epoch, rounded
 * down. -EINVAL for other text. */
int moment_parse(const char *text, size_t len, int64_t *ret_ms);

/* RFC 3339 in UTC with milliseconds; BUF of 32 bytes is enough. Returns the
 * length. */
int moment_format(int64_t ms, char *buf, size_t size);

#endif
