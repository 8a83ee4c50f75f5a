/* Snapshots: a new store taken whole from a peer. */
#ifndef KEYDIR_SNAPSHOT_H
#define KEYDIR_SNAPSHOT_H

#include "common/node/peer_request.h"
#include "common/store/store.h"
#include "common/store/place.h"

/* A snapshot is a store's file (LMDB's own compact copy) and behind it this
 * trailer: the letters "keydir-1", the file's length in bytes and its crc64(),
 * both little endian. LMDB does not look behind its last page, so a stream that
 * was saved is a store's data.mdb as it is. */
#define SNAPSHOT_TRAILER_BYTES 24

/* Writes the trailer of a file of LEN bytes with the checksum CRC. */
void snapshot_trailer(uint64_t len, uint64_t crc, unsigned char out[SNAPSHOT_TRAILER_BYTES]);

/* What a new store is taken from. */
struct snapshot_source {
	const char *peers; /* URLs as peer_list_new() takes them */
	struct peer_access access;
	uint64_t size_bytes; /* this node's quota, which bounds what a peer may send */
	/* Says whether a store with META is what this node needs: 0, or -errno
	 * with a sentence in WHY. */
	int (*fits)(void *arg, const struct store_meta *meta, char *why, size_t why_size);
	void *arg;
};

/* If PLACE has no store yet, ask each peer in turn for GET /v1/snapshot, check what
 * comes and put it in place. PLACE is from store_place_begin(), and still open when
 * store_open() is called. The body goes to a file, never into memory. A file that is
 * cut short, damaged, too long, too slow or does not fit is thrown away, with a line
 * in the log, and the next peer is asked.
 * Returns 1 if a snapshot was put in place, or 0 if there was a store already or no
 * peer had one (WHY says what each answered; "" if there was a store). Blocks, each
 * peer for as long as the limits in node/snapshot.c allow. Forks: what other threads there
 * are must hold no lock for long. */
int snapshot_fetch(const struct snapshot_source *source, const struct store_place *place, char *why,
                   size_t why_size);

#endif
