/* Slots: a small file that the processes of a node map, with a slot for each of them. */
#ifndef KEYDIR_SLOTS_H
#define KEYDIR_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

/* A mapped file and the slot of this process in it. */
struct slots {
	int fd;
	void *map;
	size_t size;
	int own; /* 0 to the number of slots - 1 */
};

/* Map DIR/NAME, which has SIZE bytes of allocated storage, and take a free one of N slots. A new
 * file is zeroed; an old one has whatever its processes wrote. The slot belongs to this process
 * until slots_close() or until the process ends in any way. Returns 0, -EUSERS if no slot is free,
 * or -errno (-ENOSPC: the file system is full). */
int slots_open(const char *dir, const char *name, size_t size, int n, struct slots *ret);
/* Release the slot and the mapping. */
void slots_close(struct slots *slots);

/* Take slot I, too; it may lie outside of the N slots of slots_open(). Returns false if another
 * opener has it. Costs a system call. Thread-safe. */
bool slots_take(const struct slots *slots, int i);

/* Return whether slot I belongs to a living opener other than this one. Costs a system
 * call. Thread-safe. */
bool slots_taken(const struct slots *slots, int i);

#endif
