/* Spin: poll for the next request for a short time before sleeping. */
#ifndef KEYDIR_FS_SPIN_H
#define KEYDIR_FS_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Longest time to spin for. */
#define SPIN_MAX_US 10000

struct spin {
	int64_t for_ns;           /* 0: off */
	_Atomic int64_t last_ns;  /* when the last request came */
	_Atomic int64_t quiet_ns; /* no thread spins until then */
	atomic_bool taken;        /* a thread is spinning */
};

/* Initialize SPIN to poll for at most FOR_US microseconds, 0: never. */
void spin_init(struct spin *spin, uint64_t for_us);

/* Read a request from FD, as read(2) does. Thread-safe. */
ssize_t spin_read(struct spin *spin, int fd, void *buf, size_t size);

#endif
