/* The store that a fuzzer uses. */
#ifndef KEYDIR_FUZZ_STORE_H
#define KEYDIR_FUZZ_STORE_H

#include "common/store/store.h"

/* Open a new store in a directory without a name, so that nothing is left behind. Ends
 * the run if it cannot. */
struct store *fuzz_store_open(void);

#endif
