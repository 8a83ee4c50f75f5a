/* Processes: the state that the processes of one node publish to each other. */
#ifndef KEYDIR_PROCS_H
#define KEYDIR_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCS_MAX 60         /* processes of one node, as many as NODE_SHM_SLOTS */
#define PROCS_WHY_MAX 1024   /* size of a fault's text, with its NUL */
#define PROCS_PROGRAM_MAX 16 /* ... of a program's name */
#define PROCS_NUMBERS 32     /* how many numbers; see procs_set_numbers() */
#define PROCS_PLACE_MAX 112  /* size of the text that distinguishes two processes of a program */

/* Why a node cannot do its work, the most severe first: of several faults, only the text of the
 * first one is shown. */
enum procs_fault {
	FAULT_STORE, /* the store was removed, or cannot be trusted */
	FAULT_LOG, /* the log cannot be used: unfit, truncated, recreated, or with an unknown record */
	FAULT_APPLY,   /* applying waits for space, memory or a device */
	FAULT_BLOCKED, /* the log holds back its newest records */
	FAULT_COUNT
};

struct procs;

/* The published state of one process. */
struct procs_info {
	int pid;
	bool own; /* this process itself */
	char program[PROCS_PROGRAM_MAX];
	char place[PROCS_PLACE_MAX];
	bool applies;       /* applies the log for the whole node */
	int64_t beat_ms;    /* clock_mono_ms() of its last procs_beat() */
	int64_t applied_ms; /* ... of its last procs_beat_applier() */
	unsigned faults;    /* bits, 1 << enum procs_fault */
	char why[PROCS_WHY_MAX];
	uint64_t numbers[PROCS_NUMBERS];
};

/* Add this process to those of the store in DIR, as PROGRAM. PLACE (NULL: none) distinguishes it
 * from others of that program, for example the directory of a mount. Both texts are cut to their
 * maximum size. The entry ends with procs_close() or with the process. Returns 0, -EUSERS if there
 * are PROCS_MAX processes already, or -errno. */
int procs_open(const char *dir, const char *program, const char *place, struct procs **ret);
/* Remove this process. NULL is fine. */
void procs_close(struct procs *procs);

/* Publish that this process sees FAULT, with the text WHY, or that it no longer does, with "".
 * Returns whether that is a change. Thread-safe; does not block on other processes. */
bool procs_set_fault(struct procs *procs, enum procs_fault fault, const char *why);
/* Publish whether this process applies the log. Call it only while this process has the right to
 * apply. Thread-safe. */
void procs_set_applier(struct procs *procs, bool applies);
/* Take the role of the process that logs ticks for the node, permanently. Returns false if another
 * process has it. Thread-safe. */
bool procs_take_ticks(struct procs *procs);
/* Publish that this process runs, or that its applier does. Call each at least once a second, and
 * between any two steps that may take long. Thread-safe. */
void procs_beat(struct procs *procs);
void procs_beat_applier(struct procs *procs);

/* Publish N numbers, at most PROCS_NUMBERS. A reader may get some old and some new ones.
 * Thread-safe. */
void procs_set_numbers(struct procs *procs, const uint64_t *numbers, size_t n);

/* Return the faults of the node's living processes, as bits, and the text of the most severe one in
 * WHY (PROCS_WHY_MAX bytes, "" without a fault; may be NULL). Costs one load if nobody reports a
 * fault. Never waits for a process: if one was stopped while it wrote its text, WHY describes only
 * the kind of the fault. Thread-safe. */
unsigned procs_faults(struct procs *procs, char *why);
/* Find the living process with the lowest number that is at least FROM. Returns its number, or -1
 * if no process is left. Thread-safe. */
int procs_next(struct procs *procs, int from, struct procs_info *ret);
/* Find the living process that applies the log. Returns false if no process claims to.
 * Thread-safe. */
bool procs_applier(struct procs *procs, struct procs_info *ret);
/* Return whether the process that applies, or last applied, has a last beat before BEAT_MS or a
 * last applier beat before APPLIED_MS. Costs a few loads; does not check whether the process lives.
 * Thread-safe. */
bool procs_applier_silent(struct procs *procs, int64_t beat_ms, int64_t applied_ms);

#endif
