/* Handshake: features agreed with the kernel at the start that libfuse does not know. */
#ifndef KEYDIR_FS_HANDSHAKE_H
#define KEYDIR_FS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Zeroed by the caller. Written by the thread that handles the first request, before there is
 * another thread. */
struct handshake {
	uint64_t unique;  /* of the kernel's first request */
	bool maps_direct; /* the kernel can map files that are read without its cache */
	bool parallel;    /* ... and runs several operations in one directory at once */
	bool done;
};

/* Inspect a request of SIZE bytes from the kernel. */
void handshake_request(struct handshake *hs, const void *request, size_t size);
/* Inspect a reply before it is written, and add the wanted features to the reply to the first
 * request. Returns true if files opened with direct_io can be mapped from then on. */
bool handshake_reply(struct handshake *hs, const struct iovec *iov, int count);

#endif
