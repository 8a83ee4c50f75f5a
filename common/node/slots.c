/* Slots: a small file that the processes of a node map, with a place for each of them.
 *
 * A slot belongs to the process that holds the lock of that byte of the file. It is an
 * open-file-description lock: the kernel releases it when the process ends, however that
 * happens, and two nodes in one test process have different ones (fcntl(2)). What a dead
 * process left in its slot stays there, so readers ask slots_taken() before they believe
 * what matters.
 *
 * No lock in memory: the struct does not change between open and close. */
#include "common/node/slots.h"

#include "common/store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Lock slot I's byte; with ASK, find out whether another opener holds it. */
static int lock_byte(int fd, int i, bool ask)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1 };
	if (fcntl(fd, ask ? F_OFD_GETLK : F_OFD_SETLK, &lock) < 0)
		return -errno;
	return ask && lock.l_type == F_UNLCK ? -ENOENT : 0;
}

int slots_open(const char *dir, const char *name, size_t size, int n, struct slots *ret)
{
	struct slots slots = { .size = size, .own = -1 };
	slots.fd = store_place_file_in(dir, name, O_RDWR | O_CREAT);
	if (slots.fd < 0)
		return slots.fd;
	/* Backed now, so that a full tmpfs is an error here and no SIGBUS later. */
	int r = -posix_fallocate(slots.fd, 0, (off_t)size);
	if (r < 0)
		goto err_close;
	slots.map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, slots.fd, 0);
	if (slots.map == MAP_FAILED) {
		r = -errno;
		goto err_close;
	}
	for (int i = 0; i < n && slots.own < 0; i++) {
		if (lock_byte(slots.fd, i, false) == 0)
			slots.own = i;
	}
	if (slots.own < 0) {
		r = -EUSERS;
		goto err_unmap;
	}
	*ret = slots;
	return 0;

err_unmap:
	munmap(slots.map, size);
err_close:
	close(slots.fd);
	return r;
}

void slots_close(struct slots *slots)
{
	munmap(slots->map, slots->size);
	close(slots->fd);
}

bool slots_take(const struct slots *slots, int i)
{
	return lock_byte(slots->fd, i, false) == 0;
}

bool slots_taken(const struct slots *slots, int i)
{
	return lock_byte(slots->fd, i, true) != -ENOENT;
}
