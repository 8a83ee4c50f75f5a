/* Retrieve: reads pages of a file from the kernel's page cache, without using the mount.
 *
 * FUSE_NOTIFY_RETRIEVE makes the kernel send the cached pages of an inode in a request (Linux,
 * fs/fuse/dev.c, fuse_notify_retrieve()). The kernel takes no lock of a page or a directory for it,
 * fills no cache, and does not use the mount. It also sends a page that is just being read, whose
 * bytes are not valid yet; so a single difference proves little.
 *
 * libfuse is not used for it, because libfuse never frees its record of a notification if the
 * mount is removed before the answer.
 *
 * Lock: retrieve->lock, a leaf. */
#include "fs/retrieve.h"

#include "common/base/clock.h"
#include "fs/mount.h"

#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>

#define ANSWER_MS 1000

int retrieve_init(struct retrieve *retrieve)
{
	pthread_mutex_init(&retrieve->lock, NULL);
	return clock_cond_init(&retrieve->answered);
}

void retrieve_close(struct retrieve *retrieve)
{
	pthread_cond_destroy(&retrieve->answered);
	pthread_mutex_destroy(&retrieve->lock);
}

static bool ask(const struct mount *m, uint64_t unique, uint64_t ino, uint64_t off, size_t len)
{
	struct fuse_notify_retrieve_out question = {
		.notify_unique = unique,
		.nodeid = ino,
		.offset = off,
		.size = (uint32_t)len,
	};
	struct fuse_out_header header = {
		.len = sizeof(header) + sizeof(question),
		.error = FUSE_NOTIFY_RETRIEVE,
	};
	const struct iovec iov[] = { { &header, sizeof(header) }, { &question, sizeof(question) } };

	return writev(fuse_session_fd(m->session), iov, 2) >= 0;
}

size_t retrieve_pages(struct retrieve *retrieve, const struct mount *m, uint64_t ino, uint64_t off,
                      size_t len, unsigned char *to)
{
	struct timespec until = clock_mono_in(ANSWER_MS);
	size_t n = 0;
	int r = 0;

	pthread_mutex_lock(&retrieve->lock);
	uint64_t unique = retrieve->unique = ++retrieve->nasked;
	pthread_mutex_unlock(&retrieve->lock);
	bool asked = ask(m, unique, ino, off, len < RETRIEVE_MAX ? len : RETRIEVE_MAX);
	pthread_mutex_lock(&retrieve->lock);
	while (asked && retrieve->unique && !retrieve->stop && r == 0)
		r = pthread_cond_timedwait(&retrieve->answered, &retrieve->lock, &until);
	if (!retrieve->unique) {
		n = retrieve->nbytes;
		memcpy(to, retrieve->bytes, n);
	}
	retrieve->unique = 0;
	pthread_mutex_unlock(&retrieve->lock);
	return n;
}

void retrieve_answer(struct retrieve *retrieve, const void *request, size_t size)
{
	const struct fuse_in_header *header = request;
	const struct fuse_notify_retrieve_in *in = (const void *)(header + 1);

	if (size < sizeof(*header) + sizeof(*in))
		return;
	size -= sizeof(*header) + sizeof(*in);
	pthread_mutex_lock(&retrieve->lock);
	if (retrieve->unique == header->unique && size <= RETRIEVE_MAX) {
		memcpy(retrieve->bytes, in + 1, size);
		retrieve->nbytes = size;
		retrieve->unique = 0;
		pthread_cond_signal(&retrieve->answered);
	}
	pthread_mutex_unlock(&retrieve->lock);
}

void retrieve_stop(struct retrieve *retrieve)
{
	pthread_mutex_lock(&retrieve->lock);
	retrieve->stop = true;
	pthread_cond_signal(&retrieve->answered);
	pthread_mutex_unlock(&retrieve->lock);
}
