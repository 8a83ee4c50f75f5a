/* Store state: whether the file must be checked before it is opened. */
#ifndef KEYDIR_STORE_STATE_H
#define KEYDIR_STORE_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* A process's lock on the store, held from before it opens the file until after it has
 * closed it. */
struct store_state {
	int fd;
	bool alone; /* no other process has the store open */
};

/* Lock the store in DIR, which exists. If no process has it open and it may be damaged,
 * check its file with store_file_check(). It may be damaged after an unclean stop if it is
 * ON_DISK, or if the file is not the one that was left. Waits for a process that does the
 * same. Returns 0 and *RET, or -errno with a sentence in WHY: -EPROTO for a damaged file,
 * -EOPNOTSUPP for one of another version. */
int store_state_begin(const char *dir, bool on_disk, struct store_state *ret, char *why,
                      size_t why_size);
/* Record that the file is open. From now on other processes may open it too. */
void store_state_opened(struct store_state *state, const char *dir);
/* Release the lock. CLEAN means that the file is closed and synced to its medium; the last
 * process then records that. */
void store_state_end(struct store_state *state, const char *dir, bool clean);

#endif
