/* Stop limit: end a stopping program even if another process blocks the store. */
#ifndef KEYDIR_STOP_LIMIT_H
#define KEYDIR_STOP_LIMIT_H

struct store;
struct stop_limit;

/* Watch the stop of this process from now on, in a separate thread. If a write transaction waits
 * for another process for longer than STOP_LIMIT_MS, log an error, call LAST with ARG (LAST may be
 * NULL) and end the process with status 1. No acknowledged write is lost: a write is acknowledged
 * after its commit. Returns NULL, and sets no limit, if the thread cannot be started. STORE must
 * stay open until stop_limit_end(). */
struct stop_limit *stop_limit_begin(struct store *store, void (*last)(void *arg), void *arg);
/* End the watch and free it. NULL is fine. */
void stop_limit_end(struct stop_limit *limit);

#endif
