/* Snapshots: a new store taken whole from a peer. */
#ifndef KEYDIR_SNAPSHOT_H
#define KEYDIR_SNAPSHOT_H

#include "store.h"

/* A snapshot is a store's file (LMDB's own compact copy) and behind it this
 * trailer: the letters "keydir-1", the file's length in bytes and its crc64(),
 * both little endian. LMDB does not look behind its last page, so a stream that
 * was saved is a store's data.mdb as it is. */
#define SNAPSHOT_TRAILER_BYTES 24

/* Writes the trailer of a file of LEN bytes with the checksum CRC. */
void snapshot_trailer(uint64_t len, uint64_t crc, unsigned char out[SNAPSHOT_TRAILER_BYTES]);

/* What a new store is taken from. */
struct snapshot_source {
	const char *peers; /* base URLs, comma-separated */
	const char *token; /* sent as a bearer token; NULL: none */
	/* Says whether a store with META is what this node needs: 0, or -errno
	 * with a sentence in WHY. */
	int (*fits)(void *arg, const struct store_meta *meta, char *why, size_t why_size);
	void *arg;
};

/* If DIR has no store yet, asks each peer in turn for GET /v1/snapshot, checks
 * what comes and puts it in place. Call it before store_open; processes that
 * share DIR may call it at once (one fetches, the others wait and find the
 * store). The body goes to a file, never into memory. A file that is cut short,
 * damaged or does not fit is thrown away, with a line in the log, and the next
 * peer is asked.
 * Returns 1 if a snapshot was put in place, 0 if there was a store already or
 * no peer had one (WHY says what each answered; "" if there was a store), or
 * -errno for trouble with DIR itself. Blocks; no peer is waited for longer than
 * it goes on sending. Forks: call it while the process has no other threads. */
int snapshot_fetch(const struct snapshot_source *source, const char *dir, char *why,
                   size_t why_size);

#endif
