/* Busy inodes: those that the kernel may keep locked for a request of ours. */
#ifndef KEYDIR_FS_BUSY_H
#define KEYDIR_FS_BUSY_H

#include <stdbool.h>
#include <stdint.h>

/* Inodes share a slot by chance; that only makes some look busy. */
#define BUSY_SLOTS 1024
/* An inode counts as quiet this long after the last answer. */
#define BUSY_QUIET_MS 5

struct busy {
	struct busy_slot {
		unsigned count;  /* atomic: requests that are not answered */
		int64_t last_ms; /* atomic: when the last one was */
	} slots[BUSY_SLOTS];
};

/* A request that locks INO (the store's inode of a directory whose names it
 * changes, of a file or directory whose attributes it changes, of a file whose
 * pages it fills) begins, and has been answered. Thread-safe. */
void busy_begin(struct busy *busy, uint64_t ino);
void busy_end(struct busy *busy, uint64_t ino);

/* Whether INO is locked now, or was within BUSY_QUIET_MS and may soon be again. */
bool busy_lately(struct busy *busy, uint64_t ino);
/* Whether it is locked now. */
bool busy_now(struct busy *busy, uint64_t ino);

#endif
