/* Recall: by which name the kernel has just looked a key up. */
#ifndef KEYDIR_FS_RECALL_H
#define KEYDIR_FS_RECALL_H

#include "common/base/key.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys share a slot by chance; then the older one is not known any more. */
#define RECALL_SLOTS 128
/* An open that comes later than this after the look-up is no part of it. */
#define RECALL_MS 1000

/* A name in a directory (the store's inode). */
struct recalled {
	uint64_t parent;
	size_t len;
	char name[KEY_NAME_MAX + 1]; /* ends with a NUL */
};

struct recall {
	pthread_mutex_t lock; /* protects what follows */
	struct recall_slot {
		uint64_t ino;        /* 0: empty */
		int64_t since_ms;    /* the last look-up */
		int64_t renamed_ms;  /* when it had another name before; 0: not lately */
		struct recalled was; /* its name */
	} slots[RECALL_SLOTS];
};

void recall_init(struct recall *recall);

/* The kernel is about to be told that NAME of PARENT, which is no longer than a
 * name may be, leads to INO. NOW_MS is of clock_mono_ms(). Thread-safe, as all
 * of these. */
void recall_note(struct recall *recall, uint64_t ino, uint64_t parent, const char *name,
                 int64_t now_ms);

/* The kernel has renamed what was called NAME in PARENT by itself. */
void recall_renamed(struct recall *recall, uint64_t parent, const char *name, size_t len);

/* The one name by which the kernel can have come to INO. False if that is not
 * known: too long ago, or there were several. */
bool recall_name(struct recall *recall, uint64_t ino, int64_t now_ms, struct recalled *ret);

#endif
