/* Environment: LMDB's error codes, free space, and the slots of dead readers. */
#ifndef KEYDIR_STORE_ENV_H
#define KEYDIR_STORE_ENV_H

#include <stdbool.h>

struct store;

#define STORE_LOW_BYTES (1 << 20) /* a file system with less free space counts as full */

/* Return the negative errno for RC, an error code of LMDB or the system other than 0.
 * Thread-safe. */
int store_error_of(int rc);

/* Return the same, and 0 for 0. */
static inline int store_error(int rc)
{
	return rc ? store_error_of(rc) : 0;
}

/* Return false if the file system of STORE is full or nearly full: less than
 * STORE_LOW_BYTES are available. Also true if it cannot be queried. Thread-safe. */
bool store_has_room(const struct store *store);

/* Free the reader slots of processes that died. Thread-safe. */
void store_reap_readers(struct store *store);

#endif
