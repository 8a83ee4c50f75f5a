/* How a store was left: whether its file must be checked before it is opened. */
#ifndef KEYDIR_STORE_STATE_H
#define KEYDIR_STORE_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* A process's hold on the store, from before it opens the file until after it has closed
 * it. */
struct store_state {
	int fd;
	bool alone; /* no other process has the store open */
};

/* Take hold of the store in DIR, which exists, and check its file (store_file_check()) if
 * no process has it open and it may be damaged: after a stop that was not clean, if it is
 * ON_DISK, or if the file is not the one that was left. Waits for a process that does the
 * same. 0 and *RET, or -errno with a sentence in WHY: -EPROTO for a damaged file. */
int store_state_begin(const char *dir, bool on_disk, struct store_state *ret, char *why,
                      size_t why_size);
/* The file is open: record that. From here on other processes may open it, too. */
void store_state_opened(struct store_state *state, const char *dir);
/* Let go. With CLEAN the file is closed and on its medium; the last process records that. */
void store_state_end(struct store_state *state, const char *dir, bool clean);

#endif
