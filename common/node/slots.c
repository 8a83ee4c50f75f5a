/* Slots: a small file that the processes of a node map, with a slot for each of them.
 *
 * The owner of a slot is the process that holds a lock on the byte of the file with the slot's
 * number. It is an open-file-description lock: the kernel releases it when the process ends in any
 * way, and two nodes in one test process have different ones (fcntl(2)). The contents of a dead
 * process's slot stay in the file, so readers call slots_taken() before they rely on a slot.
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
	/* Allocate it now, so that a full tmpfs is an error here and not a SIGBUS later. */
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
