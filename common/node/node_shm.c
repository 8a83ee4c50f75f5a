/* Shared page of a node: a slot per process, with a futex word and an acknowledged offset.
 *
 * Each process has a futex word of its own, so that a submit wakes one thread, and a commit
 * wakes only those processes that sleep. A slot is released when its process ends
 * (node/slots.h). Nothing in the page has to be right after a crash: it only saves time.
 *
 * No lock: all fields are atomic. */
#include "common/node/node_shm.h"

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
	_Atomic uint32_t wakes; /* the futex word */
	_Atomic uint32_t sleeping;
	_Atomic uint32_t in_use;
	_Atomic uint32_t is_mount;
	_Atomic uint64_t acked;
	uint8_t pad[40]; /* a cache line for each */
};

struct page {
	struct slot slots[NODE_SHM_SLOTS];
	_Atomic uint64_t lost;
};

_Static_assert(sizeof(struct page) <= 4096, "the slots fit into one page");

struct node_shm {
	struct slots slots;
	struct page *page;
	struct slot *own;
};

int node_shm_open(const char *dir, bool is_mount, struct node_shm **ret)
{
	struct node_shm *shm = calloc(1, sizeof(*shm));
	if (!shm)
		return -ENOMEM;
	int r = slots_open(dir, "bell", sizeof(struct page), NODE_SHM_SLOTS, &shm->slots);
	if (r < 0) {
		free(shm);
		return r;
	}
	shm->page = shm->slots.map;
	shm->own = &shm->page->slots[shm->slots.own];
	atomic_store(&shm->own->acked, 0);
	atomic_store(&shm->own->sleeping, 0);
	atomic_store(&shm->own->is_mount, is_mount);
	atomic_store(&shm->own->in_use, 1);
	*ret = shm;
	return 0;
}

void node_shm_close(struct node_shm *shm)
{
	if (!shm)
		return;
	atomic_store(&shm->own->in_use, 0);
	node_shm_wake_others(shm); /* They need not wait for this mount any more. */
	slots_close(&shm->slots);
	free(shm);
}

uint32_t node_shm_wake_count(struct node_shm *shm)
{
	return atomic_load(&shm->own->wakes);
}

void node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms)
{
	struct timespec ts = { timeout_ms / 1000, (timeout_ms % 1000) * 1000000 };
	atomic_store(&shm->own->sleeping, 1);
	if (timeout_ms > 0 && atomic_load(&shm->own->wakes) == wake_count)
		syscall(SYS_futex, &shm->own->wakes, FUTEX_WAIT, wake_count, &ts, NULL, 0);
	atomic_store(&shm->own->sleeping, 0);
}

static void wake_slot(struct slot *slot)
{
	atomic_fetch_add(&slot->wakes, 1);
	if (atomic_load(&slot->sleeping))
		syscall(SYS_futex, &slot->wakes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void node_shm_wake_self(struct node_shm *shm)
{
	wake_slot(shm->own);
}

void node_shm_wake_others(struct node_shm *shm)
{
	for (int i = 0; i < NODE_SHM_SLOTS; i++) {
		struct slot *slot = &shm->page->slots[i];
		if (slot != shm->own && atomic_load(&slot->in_use))
			wake_slot(slot);
	}
}

void node_shm_ack(struct node_shm *shm, uint64_t offset)
{
	if (atomic_load(&shm->own->acked) >= offset)
		return;
	atomic_store(&shm->own->acked, offset);
	node_shm_wake_others(shm);
}

bool node_shm_acked(struct node_shm *shm, uint64_t offset)
{
	bool all = true;
	for (int i = 0; i < NODE_SHM_SLOTS; i++) {
		struct slot *slot = &shm->page->slots[i];
		if (slot == shm->own || !atomic_load(&slot->in_use) ||
		    !atomic_load(&slot->is_mount) || atomic_load(&slot->acked) >= offset)
			continue;
		/* A killed mount leaves its slot marked. Clearing the mark here could hit
		 * a process that has just taken the slot. */
		if (slots_taken(&shm->slots, i))
			all = false;
	}
	return all;
}

void node_shm_count_lost(struct node_shm *shm)
{
	atomic_fetch_add(&shm->page->lost, 1);
}

uint64_t node_shm_lost(struct node_shm *shm)
{
	return atomic_load(&shm->page->lost);
}
