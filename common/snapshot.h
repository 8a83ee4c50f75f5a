/* Snapshots: a new store taken whole from a peer. */
#ifndef KEYDIR_SNAPSHOT_H
#define KEYDIR_SNAPSHOT_H

#include <stddef.h>

/* If DIR has no store yet, asks each of PEERS (base URLs, comma-separated) in
 * turn for GET /v1/snapshot, checks what comes and puts it in place. Call it
 * before store_open; processes that share DIR may call it at once (one fetches,
 * the others wait and find the store). The body goes to a file, never into
 * memory; a file that is cut short or damaged is thrown away.
 * TOKEN is sent as a bearer token, NULL for none.
 * Returns 1 if a snapshot was put in place, 0 if there was a store already or
 * no peer had one (WHY says what each answered; "" if there was a store), or
 * -errno for trouble with DIR itself. Blocks; no peer is waited for longer than
 * it goes on sending. Thread-safe. */
int snapshot_fetch(const char *peers, const char *token, const char *dir, char *why,
                   size_t why_size);

#endif
