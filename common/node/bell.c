/* The bell: how the processes of a node wake each other (one shared page).
 *
 * Each process has a slot with a futex word of its own, so that a submit wakes
 * one waiter and a commit wakes only those processes that sleep. A slot ends with
 * its process (node/slots.h). Nothing in the page has to be right after a crash: it only
 * saves time. */
#include "common/node/bell.h"

#include "common/node/slots.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
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
	struct slots slots;
	struct page *page;
	struct slot *own;
};

int bell_open(const char *dir, bool is_mount, struct bell **ret)
{
	struct bell *bell = calloc(1, sizeof *bell);
	if (!bell)
		return -ENOMEM;
	int r = slots_open(dir, "bell", sizeof(struct page), BELL_SLOTS, &bell->slots);
	if (r < 0) {
		free(bell);
		return r;
	}
	bell->page = bell->slots.map;
	bell->own = &bell->page->slots[bell->slots.own];
	atomic_store(&bell->own->acked, 0);
	atomic_store(&bell->own->sleeping, 0);
	atomic_store(&bell->own->is_mount, is_mount);
	atomic_store(&bell->own->in_use, 1);
	*ret = bell;
	return 0;
}

void bell_close(struct bell *bell)
{
	if (!bell)
		return;
	atomic_store(&bell->own->in_use, 0);
	bell_ring_others(bell); /* who waits for this mount need not any more */
	slots_close(&bell->slots);
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
		if (slots_taken(&bell->slots, i))
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
