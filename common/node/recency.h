/* Recency: when keys were last read, about, as the processes of a node share it. */
#ifndef KEYDIR_RECENCY_H
#define KEYDIR_RECENCY_H

#include <stdint.h>

/* What is held stays in use for so long; who holds it says so again before. */
#define RECENCY_HOLD_MS 3000
#define RECENCY_STEP_MS 10 /* no moment is known better */

struct recency;

/* Opens DIR/recency, made (or grown) for a cache of SIZE_BYTES. 0 and *RET
 * (recency_close()), or -errno: -ENOSPC if there is no room for it. */
int recency_open(const char *dir, uint64_t size_bytes, struct recency **ret);
/* NULL is fine. */
void recency_close(struct recency *recency);

/* The entry was used at NOW_MS (wall time). Thread-safe; NULL is fine. */
void recency_touch(struct recency *recency, uint64_t ino, int64_t now_ms);
/* The entry is in use (an open file) for RECENCY_HOLD_MS from now on. */
void recency_hold(struct recency *recency, uint64_t ino, int64_t now_ms);
/* It is no longer: it was used at NOW_MS. */
void recency_release(struct recency *recency, uint64_t ino, int64_t now_ms);

/* When the entry was last used; INT64_MIN if that is not known, INT64_MAX if it
 * is held. Another entry's use may be taken for this one's. */
int64_t recency_last_ms(const struct recency *recency, uint64_t ino, int64_t now_ms);

#endif
