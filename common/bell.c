/* The bell: how the processes of a node wake each other (one shared page).
 *
 * Each process has a slot with a futex word of its own, so that a submit wakes
 * one waiter and a commit wakes only those processes that sleep. A slot belongs
 * to who holds the lock of its byte of the file (an open-file-description lock:
 * it ends with the process, however that dies, and two nodes in one test
 * process do not share it). Nothing in the page has to be right after a crash:
 * it only saves time. */
#include "bell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct slot {
	_Atomic uint32_t rings; /* the futex word */
	_Atomic uint32_t sleeping;
	_Atomic uint32_t in_use;
	_Atomic uint32_t is_mount;
	_Atomic uint64_t acked;
	uint8_t pad[40]; /* a cache line for each */
};

struct page {
	struct slot slots[BELL_SLOTS];
	_Atomic uint64_t lost;
};

_Static_assert(sizeof(struct page) <= 4096, "the bell is one page");

struct bell {
	int fd;
	struct page *page;
	struct slot *own;
};

/* Tries to lock slot I's byte, or asks who has it. */
static int slot_lock(int fd, int i, bool ask)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1 };
	if (fcntl(fd, ask ? F_OFD_GETLK : F_OFD_SETLK, &lock) < 0)
		return -errno;
	return ask && lock.l_type == F_UNLCK ? -ENOENT : 0;
}

int bell_open(const char *dir, bool is_mount, struct bell **ret)
{
	char path[4096];
	int r;
	if ((size_t)snprintf(path, sizeof path, "%s/bell", dir) >= sizeof path)
		return -ENAMETOOLONG;
	struct bell *bell = calloc(1, sizeof *bell);
	if (!bell)
		return -ENOMEM;
	bell->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (bell->fd < 0) {
		r = -errno;
		goto err_free;
	}
	/* Backed now, so that a full tmpfs is an error here and no SIGBUS later. */
	r = -posix_fallocate(bell->fd, 0, sizeof(struct page));
	if (r < 0)
		goto err_close;
	bell->page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, bell->fd,
	                  0);
	if (bell->page == MAP_FAILED) {
		r = -errno;
		goto err_close;
	}
	for (int i = 0; i < BELL_SLOTS && !bell->own; i++) {
		if (slot_lock(bell->fd, i, false) == 0)
			bell->own = &bell->page->slots[i];
	}
	if (!bell->own) {
		r = -EUSERS;
		goto err_unmap;
	}
	atomic_store(&bell->own->acked, 0);
	atomic_store(&bell->own->sleeping, 0);
	atomic_store(&bell->own->is_mount, is_mount);
	atomic_store(&bell->own->in_use, 1);
	*ret = bell;
	return 0;

err_unmap:
	munmap(bell->page, sizeof(struct page));
err_close:
	close(bell->fd);
err_free:
	free(bell);
	return r;
}

void bell_close(struct bell *bell)
{
	if (!bell)
		return;
	atomic_store(&bell->own->in_use, 0);
	bell_ring_others(bell); /* who waits for this mount need not any more */
	munmap(bell->page, sizeof(struct page));
	close(bell->fd);
	free(bell);
}

uint32_t bell_ticket(struct bell *bell)
{
	return atomic_load(&bell->own->rings);
}

void bell_wait(struct bell *bell, uint32_t ticket, int64_t timeout_ms)
{
	struct timespec ts = { timeout_ms / 1000, (timeout_ms % 1000) * 1000000 };
	atomic_store(&bell->own->sleeping, 1);
	if (timeout_ms > 0 && atomic_load(&bell->own->rings) == ticket)
		syscall(SYS_futex, &bell->own->rings, FUTEX_WAIT, ticket, &ts, NULL, 0);
	atomic_store(&bell->own->sleeping, 0);
}

static void ring(struct slot *slot)
{
	atomic_fetch_add(&slot->rings, 1);
	if (atomic_load(&slot->sleeping))
		syscall(SYS_futex, &slot->rings, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void bell_ring_self(struct bell *bell)
{
	ring(bell->own);
}

void bell_ring_others(struct bell *bell)
{
	for (int i = 0; i < BELL_SLOTS; i++) {
		struct slot *slot = &bell->page->slots[i];
		if (slot != bell->own && atomic_load(&slot->in_use))
			ring(slot);
	}
}

void bell_ack(struct bell *bell, uint64_t offset)
{
	if (atomic_load(&bell->own->acked) >= offset)
		return;
	atomic_store(&bell->own->acked, offset);
	bell_ring_others(bell);
}

bool bell_acked(struct bell *bell, uint64_t offset)
{
	bool all = true;
	for (int i = 0; i < BELL_SLOTS; i++) {
		struct slot *slot = &bell->page->slots[i];
		if (slot == bell->own || !atomic_load(&slot->in_use) ||
		    !atomic_load(&slot->is_mount) || atomic_load(&slot->acked) >= offset)
			continue;
		/* A mount that was killed left its slot marked. It stays so: to
		 * clear it here could hit one that has just taken the slot. */
		if (slot_lock(bell->fd, i, true) != -ENOENT)
			all = false;
	}
	return all;
}

void bell_count_lost(struct bell *bell)
{
	atomic_fetch_add(&bell->page->lost, 1);
}

uint64_t bell_lost(struct bell *bell)
{
	return atomic_load(&bell->page->lost);
}
