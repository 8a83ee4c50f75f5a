/* Channel: reads requests from the kernel, and writes replies and notifications.
 *
 * libfuse reads and writes through these functions, so that a thread can spin for the next
 * request (spin.h), the first request can be inspected (handshake.h), and writes that the
 * kernel refuses appear in this program's log. libfuse itself would print every such error to
 * stderr, whatever fuse_set_log_func() says, except ENOENT, which means that the request was
 * interrupted. So these functions log each error and return ENOENT to libfuse.
 *
 * A refused notification usually needs no warning: the kernel does not have the name or inode
 * (ENOENT), or its state differs from what this program expects: a directory in which it still
 * knows names (ENOTEMPTY), one that contains a mount point (EBUSY), or another inode by that
 * name (ENOTDIR, EISDIR). The notifier then invalidates more (notifier.c). The notifier can live
 * with ENOENT for every error: it distinguishes only the errors of inode notifications, and
 * those fail with ENOENT only. No lock. */
#include "fs/channel.h"

#include "common/base/logger.h"
#include "fs/check.h"
#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t read_request(int fd, void *buf, size_t size, void *userdata)
{
	struct mount *m = userdata;
	const struct fuse_in_header *header = buf;
	ssize_t n;

	/* Such an answer is for the check, and not for libfuse. */
	while ((n = spin_read(&m->spin, fd, buf, size)) > 0 && header->opcode == FUSE_NOTIFY_REPLY)
		check_answer(m->check, buf, (size_t)n);
	if (n > 0)
		handshake_request(&m->handshake, buf, (size_t)n);
	return n;
}

static void log_refusal(const struct mount *m, const struct fuse_out_header *header, int error)
{
	/* An interrupted request, or an unmounted file system: no caller waits for an answer. */
	if (error == ENOENT || fuse_session_exited(m->session))
		return;
	if (header->unique)
		logger(LOGGER_ERROR, "the kernel refused a reply bytes=%u error=%d why=\"%s\"",
		       header->len, -header->error, strerror(error));
	else
		logger(error == ENOTEMPTY || error == EBUSY || error == ENOTDIR || error == EISDIR ?
		               LOGGER_DEBUG :
		               LOGGER_WARN,
		       "the kernel refused a notification code=%d why=\"%s\"", header->error,
		       strerror(error));
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mount *m = userdata;

	if (handshake_reply(&m->handshake, iov, count))
		m->maps_direct = true;
	ssize_t n = writev(fd, iov, count);
	if (n < 0) {
		log_refusal(m, iov[0].iov_base, errno);
		errno = ENOENT;
	}
	return n;
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
/* Open another descriptor of MASTER's connection, for one thread of the loop. Returns it, or -1.
 * Since 3.17 libfuse does not do so itself for a custom io. */
static int clone_channel(int master)
{
	uint32_t connection = (uint32_t)master;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, FUSE_DEV_IOC_CLONE, &connection) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}
#endif

int channel_open(struct mount *m)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	const struct fuse_custom_io io = {
		.read = read_request,
		.writev = write_reply,
		.clone_fd = clone_channel,
	};

	return fuse_session_custom_io(m->session, &io, sizeof(io), fuse_session_fd(m->session));
#else
	const struct fuse_custom_io io = { .read = read_request, .writev = write_reply };

	return fuse_session_custom_io(m->session, &io, fuse_session_fd(m->session));
#endif
}
