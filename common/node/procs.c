/* Processes: the state that the processes of one node publish to each other.
 *
 * The programs of a node share a store, and one of them applies the log for all. Only that process
 * knows whether the node can do its work, but clients ask any of them. So each process has a slot
 * in a shared file (node/slots.h) that says whether it applies, when it last ran, and which faults
 * it sees. A fault belongs to the process that saw it and ends with it.
 *
 * Only its owner writes a slot, one thread at a time (procs.lock). The text is published with a
 * sequence number, which is odd while the text is being written. Its words are atomics, written
 * with release and read with acquire order, so a reader that got one word of a newer text also gets
 * its number. A reader tries a bounded number of times, since the writer may have been stopped or
 * killed while writing. The contents of a dead process's slot do not count: readers call
 * slots_taken() before they rely on a slot. Texts are bytes of other processes and are cut and
 * cleaned when read.
 *
 * The file's name contains the version of its layout: programs of two versions, as during an
 * upgrade, do not see each other here. */
#include "common/node/procs.h"

#include "common/base/clock.h"
#include "common/node/slots.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "processes.1"
#define READ_TRIES 1000

/* The text of a slot. */
struct text {
	char program[PROCS_PROGRAM_MAX];
	char place[PROCS_PLACE_MAX];
	char why[PROCS_WHY_MAX];
};

#define TEXT_WORDS (sizeof(struct text) / sizeof(uint64_t))
_Static_assert(sizeof(struct text) % sizeof(uint64_t) == 0, "the text is whole words");

struct slot {
	_Atomic uint32_t in_use;
	_Atomic int32_t pid;
	_Atomic int64_t beat_ms, applied_ms;
	_Atomic uint32_t faults;
	_Atomic uint32_t seq; /* of the text; odd: it is being written */
	_Atomic uint64_t words[TEXT_WORDS];
	_Atomic uint64_t numbers[PROCS_NUMBERS];
};

struct page {
	/* One bit per slot, to find the relevant ones without reading the others. At most one bit
	 * of `appliers` is set. */
	_Atomic uint64_t faulty, appliers;
	struct slot slots[PROCS_MAX];
};

struct procs {
	struct slots slots;
	struct page *page;
	struct slot *own;
	pthread_mutex_t lock; /* a leaf; protects writing the slot, and the fields below */
	char program[PROCS_PROGRAM_MAX];
	char place[PROCS_PLACE_MAX];
	char why[FAULT_COUNT][PROCS_WHY_MAX];
};

/* Shown for a fault whose text cannot be read. */
static const char *const fault_kinds[FAULT_COUNT] = {
	[FAULT_STORE] = "the store cannot be used",
	[FAULT_LOG] = "the log cannot be used",
	[FAULT_APPLY] = "applying is stalled",
	[FAULT_BLOCKED] = "the log withholds its newest records",
};

/* Return the most severe of FAULTS, or FAULT_COUNT. */
static unsigned most_severe(unsigned faults)
{
	unsigned i = 0;
	while (i < FAULT_COUNT && !(faults & 1u << i))
		i++;
	return i;
}

static void set_bit(_Atomic uint64_t *bits, int i, bool on)
{
	if (on)
		atomic_fetch_or(bits, UINT64_C(1) << i);
	else
		atomic_fetch_and(bits, ~(UINT64_C(1) << i));
}

/* Write the slot's faults and text. Call with procs.lock held. */
static void publish_text(struct procs *procs)
{
	struct slot *slot = procs->own;
	struct text text = { 0 };
	uint64_t words[TEXT_WORDS];
	unsigned faults = 0;
	for (unsigned i = 0; i < FAULT_COUNT; i++) {
		if (procs->why[i][0])
			faults |= 1u << i;
	}
	memcpy(text.program, procs->program, sizeof(text.program));
	memcpy(text.place, procs->place, sizeof(text.place));
	if (faults)
		snprintf(text.why, sizeof(text.why), "%s", procs->why[most_severe(faults)]);
	memcpy(words, &text, sizeof(words));
	uint32_t seq = atomic_load(&slot->seq) | 1; /* already odd if its last owner was killed */
	atomic_store(&slot->seq, seq);
	for (size_t i = 0; i < TEXT_WORDS; i++)
		atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
	atomic_store(&slot->seq, seq + 1);
	atomic_store(&slot->faults, faults);
	set_bit(&procs->page->faulty, procs->slots.own, faults);
}

int procs_open(const char *dir, const char *program, const char *place, struct procs **ret)
{
	struct procs *procs = calloc(1, sizeof(*procs));
	if (!procs)
		return -ENOMEM;
	int r = slots_open(dir, FILE_NAME, sizeof(struct page), PROCS_MAX, &procs->slots);
	if (r < 0) {
		free(procs);
		return r;
	}
	procs->page = procs->slots.map;
	procs->own = &procs->page->slots[procs->slots.own];
	pthread_mutex_init(&procs->lock, NULL);
	snprintf(procs->program, sizeof(procs->program), "%s", program);
	snprintf(procs->place, sizeof(procs->place), "%s", place ? place : "");
	procs_set_applier(procs, false); /* the slot's last owner may have been the applier */
	publish_text(procs);
	atomic_store(&procs->own->pid, getpid());
	procs_beat(procs);
	procs_beat_applier(procs);
	procs_set_numbers(procs, (uint64_t[PROCS_NUMBERS]){ 0 }, PROCS_NUMBERS);
	atomic_store(&procs->own->in_use, 1);
	*ret = procs;
	return 0;
}

void procs_close(struct procs *procs)
{
	if (!procs)
		return;
	atomic_store(&procs->own->in_use, 0);
	procs_set_applier(procs, false);
	set_bit(&procs->page->faulty, procs->slots.own, false);
	slots_close(&procs->slots);
	pthread_mutex_destroy(&procs->lock);
	free(procs);
}

bool procs_set_fault(struct procs *procs, enum procs_fault fault, const char *why)
{
	char *text = procs->why[fault];
	pthread_mutex_lock(&procs->lock);
	bool changed = strncmp(text, why, PROCS_WHY_MAX - 1) != 0;
	if (changed) {
		snprintf(text, PROCS_WHY_MAX, "%s", why);
		publish_text(procs);
	}
	pthread_mutex_unlock(&procs->lock);
	return changed;
}

void procs_set_applier(struct procs *procs, bool applies)
{
	if (applies) /* no other process applies now; a killed one may have left its bit */
		atomic_store(&procs->page->appliers, UINT64_C(1) << procs->slots.own);
	else
		set_bit(&procs->page->appliers, procs->slots.own, false);
}

bool procs_take_ticks(struct procs *procs)
{
	return slots_take(&procs->slots, PROCS_MAX);
}

void procs_beat(struct procs *procs)
{
	atomic_store_explicit(&procs->own->beat_ms, clock_mono_ms(), memory_order_relaxed);
}

void procs_beat_applier(struct procs *procs)
{
	atomic_store_explicit(&procs->own->applied_ms, clock_mono_ms(), memory_order_relaxed);
}

void procs_set_numbers(struct procs *procs, const uint64_t *numbers, size_t n)
{
	for (size_t i = 0; i < n && i < PROCS_NUMBERS; i++)
		atomic_store_explicit(&procs->own->numbers[i], numbers[i], memory_order_relaxed);
}

/* Terminate TEXT within SIZE and replace control characters, which must not reach a terminal or
 * log. */
static void sanitize_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

/* Read the text of SLOT. Returns false if its writer does not finish. */
static bool read_text(struct slot *slot, struct text *ret)
{
	uint64_t words[TEXT_WORDS];
	for (int tries = 0; tries < READ_TRIES; tries++) {
		uint32_t seq = atomic_load(&slot->seq);
		for (size_t i = 0; i < TEXT_WORDS; i++)
			words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
		if (seq % 2 || atomic_load(&slot->seq) != seq)
			continue;
		memcpy(ret, words, sizeof(*ret));
		sanitize_text(ret->program, sizeof(ret->program));
		sanitize_text(ret->place, sizeof(ret->place));
		sanitize_text(ret->why, sizeof(ret->why));
		return true;
	}
	*ret = (struct text){ .program = "?" };
	return false;
}

static bool is_alive(struct procs *procs, int i)
{
	return i == procs->slots.own || slots_taken(&procs->slots, i);
}

unsigned procs_faults(struct procs *procs, char *why)
{
	uint64_t faulty = atomic_load(&procs->page->faulty);
	unsigned all = 0, shown = FAULT_COUNT;
	if (why)
		*why = '\0';
	for (int i = 0; faulty && i < PROCS_MAX; i++) {
		struct slot *slot = &procs->page->slots[i];
		struct text text;
		if (!(faulty >> i & 1) || !is_alive(procs, i))
			continue;
		unsigned faults = atomic_load(&slot->faults), worst = most_severe(faults);
		all |= faults;
		if (!why || worst >= shown)
			continue;
		shown = worst;
		bool readable = read_text(slot, &text) && text.why[0];
		snprintf(why, PROCS_WHY_MAX, "%s", readable ? text.why : fault_kinds[worst]);
	}
	return all;
}

static void read_slot(struct procs *procs, int i, struct procs_info *ret)
{
	struct slot *slot = &procs->page->slots[i];
	struct text text;
	read_text(slot, &text);
	*ret = (struct procs_info){
		.pid = atomic_load(&slot->pid),
		.own = i == procs->slots.own,
		.applies = atomic_load(&procs->page->appliers) >> i & 1,
		.beat_ms = atomic_load_explicit(&slot->beat_ms, memory_order_relaxed),
		.applied_ms = atomic_load_explicit(&slot->applied_ms, memory_order_relaxed),
		.faults = atomic_load(&slot->faults),
	};
	memcpy(ret->program, text.program, sizeof(ret->program));
	memcpy(ret->place, text.place, sizeof(ret->place));
	memcpy(ret->why, text.why, sizeof(ret->why));
	for (int k = 0; k < PROCS_NUMBERS; k++)
		ret->numbers[k] = atomic_load_explicit(&slot->numbers[k], memory_order_relaxed);
}

int procs_next(struct procs *procs, int from, struct procs_info *ret)
{
	for (int i = from; i < PROCS_MAX; i++) {
		if (!atomic_load(&procs->page->slots[i].in_use) || !is_alive(procs, i))
			continue;
		read_slot(procs, i, ret);
		return i;
	}
	return -1;
}

/* Return the slot of the process that applies, or -1. It may be dead. */
static int applier_slot(struct procs *procs)
{
	uint64_t appliers = atomic_load(&procs->page->appliers);
	int i = appliers ? __builtin_ctzll(appliers) : PROCS_MAX;
	return i < PROCS_MAX ? i : -1;
}

bool procs_applier(struct procs *procs, struct procs_info *ret)
{
	int i = applier_slot(procs);
	if (i < 0 || !is_alive(procs, i))
		return false;
	read_slot(procs, i, ret);
	return true;
}

bool procs_applier_silent(struct procs *procs, int64_t beat_ms, int64_t applied_ms)
{
	int i = applier_slot(procs);
	if (i < 0)
		return false;
	struct slot *slot = &procs->page->slots[i];
	return atomic_load_explicit(&slot->beat_ms, memory_order_relaxed) < beat_ms ||
	       atomic_load_explicit(&slot->applied_ms, memory_order_relaxed) < applied_ms;
}
