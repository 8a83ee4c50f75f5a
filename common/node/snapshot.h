/* Snapshots: a new store copied from a peer. */
#ifndef KEYDIR_SNAPSHOT_H
#define KEYDIR_SNAPSHOT_H

#include "common/node/peer_request.h"
#include "common/store/place.h"
#include "common/store/store.h"

/* A snapshot is a store's file (LMDB's own compact copy), followed by this trailer: the letters
 * "keydir-1", the file's length in bytes and its crc64(), both little endian. LMDB does not read
 * after its last page, so a saved stream can be used as a store's data.mdb without change. */
#define SNAPSHOT_TRAILER_BYTES 24

/* Write the trailer of a file of LEN bytes with the checksum CRC. */
void snapshot_trailer(uint64_t len, uint64_t crc, unsigned char out[SNAPSHOT_TRAILER_BYTES]);

/* Where to fetch the initial snapshot from, and how to check it. */
struct snapshot_source {
	const char *peers; /* URLs as peer_list_new() takes them */
	struct peer_access access;
	uint64_t size_bytes; /* this node's quota, which bounds what a peer may send */
	/* Decide whether this node can use a store with META. Returns 0, or -errno with a sentence
	 * in WHY. */
	int (*fits)(void *arg, const struct store_meta *meta, char *why, size_t why_size);
	void *arg;
};

/* If PLACE has no store yet, ask each peer in turn for GET /v1/snapshot, check the response and
 * install it as the store. PLACE is from store_place_begin() and stays open until store_open() is
 * called. The body goes to a file, never into memory. A response that is truncated, damaged, too
 * long, too slow or does not fit is discarded with a log message, and the next peer is asked.
 * Returns 1 if a snapshot was installed; 0 if there was a store already (WHY is ""), or if no peer
 * had a usable snapshot (WHY has the answer of each). Blocks for each peer as long as the limits in
 * node/snapshot.c allow. Forks: no other thread may hold a lock for long. */
int snapshot_fetch(const struct snapshot_source *source, const struct store_place *place, char *why,
                   size_t why_size);

#endif
