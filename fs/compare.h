/* Compare: compares the kernel's copy of one entry with the store. */
#ifndef KEYDIR_FS_COMPARE_H
#define KEYDIR_FS_COMPARE_H

#include "common/base/key.h"
#include "fs/lookup_cache.h"
#include "fs/retrieve.h"

struct mount;
struct probe;

enum compare_result {
	COMPARE_NOTHING,   /* the kernel has nothing cached, or the entry cannot be compared */
	COMPARE_UNSETTLED, /* a change is on its way */
	COMPARE_EQUAL,
	COMPARE_DIFFERENT,
};

/* One comparison and its result. */
struct comparison {
	/* Set by the caller. */
	struct lookup_name name;
	uint64_t place; /* any number; chooses which part of a large value is compared */
	/* Set by compare_entry(). */
	uint64_t ino;          /* the store's; 0: no such entry */
	uint64_t version;      /* of the entry, 0: none */
	char key[KEY_MAX + 1]; /* below the root of the mount */
	/* Set if the result is COMPARE_DIFFERENT. */
	char kernel[160];
	char store[160];
};

/* Compare name, attributes and a part of the value of C->NAME. PROBE may be NULL: then only the
 * value is compared. Requests must be served meanwhile. For one thread; it waits for the kernel's
 * answers, with no lock held. */
enum compare_result compare_entry(struct mount *m, struct probe *probe, struct retrieve *retrieve,
                                  struct comparison *c);

#endif
