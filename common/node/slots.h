/* Slots: a small file that the processes of a node map, with a place for each of them. */
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

/* Map DIR/NAME, SIZE bytes and backed by memory or disk, and take a free one of N slots.
 * A new file is full of zeros; an old one has what its processes left in it. The slot
 * stays this process's until slots_close() or the process's end, however that comes.
 * Returns 0, -EUSERS if no slot is free, or -errno (-ENOSPC: the file system is full). */
int slots_open(const char *dir, const char *name, size_t size, int n, struct slots *ret);
/* Release the slot and the mapping. */
void slots_close(struct slots *slots);

/* Take slot I as well, which need not be one of those that slots_open() gives; false if
 * another opener has it. Costs a system call. Thread-safe. */
bool slots_take(const struct slots *slots, int i);

/* Return whether slot I belongs to a living opener other than this one. Costs a system
 * call. Thread-safe. */
bool slots_taken(const struct slots *slots, int i);

#endif
