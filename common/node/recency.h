/* Recency: approximately when keys were last read, shared by the processes of a node. */
#ifndef KEYDIR_RECENCY_H
#define KEYDIR_RECENCY_H

#include <stdint.h>

/* A hold lasts this long; the process that has the entry open renews it in time. */
#define RECENCY_HOLD_MS 3000
#define RECENCY_STEP_MS 10 /* resolution of timestamps */

struct recency;

/* Open DIR/recency, and create or grow it for a cache of SIZE_BYTES. Returns 0 with *RET
 * (recency_close()), or -errno (-ENOSPC: the file system is full). */
int recency_open(const char *dir, uint64_t size_bytes, struct recency **ret);
/* Unmap the table. NULL is fine. */
void recency_close(struct recency *recency);

/* Record that the entry was used at NOW_MS (wall time). Thread-safe; NULL is fine. */
void recency_touch(struct recency *recency, uint64_t ino, int64_t now_ms);
/* Record that the entry is in use (an open file) for RECENCY_HOLD_MS from now on. */
void recency_hold(struct recency *recency, uint64_t ino, int64_t now_ms);
/* Record that the entry is no longer in use: it was last used at NOW_MS. */
void recency_release(struct recency *recency, uint64_t ino, int64_t now_ms);

/* Return when the entry was last used; INT64_MIN if that is unknown, INT64_MAX if the entry is in
 * use. Another entry with the same hash may give a later time than its own. */
int64_t recency_last_ms(const struct recency *recency, uint64_t ino, int64_t now_ms);

#endif
