/* Retrieve: reads pages of a file from the kernel's page cache, without using the mount. */
#ifndef KEYDIR_FS_RETRIEVE_H
#define KEYDIR_FS_RETRIEVE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that one call can ask for. */
#define RETRIEVE_MAX 32768

struct mount;

struct retrieve {
	pthread_mutex_t lock; /* protects the fields below */
	pthread_cond_t answered;
	uint64_t unique; /* of the question that waits for its answer; 0: none */
	uint64_t nasked;
	size_t nbytes;
	bool stop;
	unsigned char bytes[RETRIEVE_MAX];
};

/* Initialize the caller's RETRIEVE. Returns 0 or -errno. */
int retrieve_init(struct retrieve *retrieve);
void retrieve_close(struct retrieve *retrieve);

/* Copy cached bytes of the inode INO (the kernel's number) to TO, which has RETRIEVE_MAX bytes: from
 * OFF on, a multiple of the page size, up to LEN bytes or the first page that is not cached. Returns
 * their number, 0 also if the kernel does not know the inode or does not answer in time. One thread at a time; requests must be served meanwhile. */
size_t retrieve_pages(struct retrieve *retrieve, const struct mount *m, uint64_t ino, uint64_t off,
                      size_t len, unsigned char *to);

/* Take REQUEST of SIZE bytes, of the opcode FUSE_NOTIFY_REPLY: an answer. It needs no reply. */
void retrieve_answer(struct retrieve *retrieve, const void *request, size_t size);

/* End a call of retrieve_pages() that waits; later ones return 0. */
void retrieve_stop(struct retrieve *retrieve);

#endif
