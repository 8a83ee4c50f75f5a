/* Busy inodes: those that the kernel may keep locked for a request to this mount. */
#ifndef KEYDIR_FS_BUSY_H
#define KEYDIR_FS_BUSY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Inodes can share a slot; then one can look busy without being so. */
#define BUSY_SLOTS 1024
/* An inode counts as quiet this long after the last answer. */
#define BUSY_QUIET_MS 5

struct busy {
	struct busy_slot {
		atomic_uint count;       /* requests that are not answered */
		_Atomic int64_t last_ms; /* when the last one was answered; 0: never */
	} slots[BUSY_SLOTS];
};

/* Note the start and the answer of a request for which the kernel locks INO: the store's inode of
 * a directory whose names it changes, of an entry whose attributes it changes, or of a file whose
 * pages it fills. Each start needs one end. Thread-safe. */
void busy_begin(struct busy *busy, uint64_t ino);
void busy_end(struct busy *busy, uint64_t ino);

/* Return whether INO is locked now or was within the last BUSY_QUIET_MS. */
bool busy_lately(struct busy *busy, uint64_t ino);
/* Return whether INO is locked now. */
bool busy_now(struct busy *busy, uint64_t ino);

#endif
