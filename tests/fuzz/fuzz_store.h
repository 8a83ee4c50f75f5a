/* The store of a fuzzer. */
#ifndef KEYDIR_FUZZ_STORE_H
#define KEYDIR_FUZZ_STORE_H

#include "common/store/store.h"

/* Open a new store in an unlinked directory, so that no files are left. Abort on an
 * error. */
struct store *fuzz_store_open(void);

#endif
