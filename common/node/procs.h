/* Processes: what the processes of one node say of themselves to each other. */
#ifndef KEYDIR_PROCS_H
#define KEYDIR_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCS_MAX 60         /* processes of one node, as many as NODE_SHM_SLOTS */
#define PROCS_WHY_MAX 1024   /* room for a fault's sentence, with its NUL */
#define PROCS_PROGRAM_MAX 16 /* ... for a program's name */
#define PROCS_NUMBERS 32     /* ... for numbers, see procs_set_numbers() */
#define PROCS_PLACE_MAX 112  /* ... for what tells two processes of a program apart */

/* Why a node cannot do its work. The gravest come first: only the text of the first one
 * that is set is shown. */
enum procs_fault {
	FAULT_STORE,   /* the store was removed, or is not to be trusted */
	FAULT_LOG,     /* the log cannot be used: unfit, cut, made anew, a record unknown here */
	FAULT_APPLY,   /* applying waits for room, memory or a device */
	FAULT_BLOCKED, /* the log holds back its newest records */
	FAULT_COUNT
};

struct procs;

/* One process as another one sees it. */
struct procs_info {
	int pid;
	bool own; /* it is this process */
	char program[PROCS_PROGRAM_MAX];
	char place[PROCS_PLACE_MAX];
	bool applies;       /* applies the log for all */
	int64_t beat_ms;    /* clock_mono_ms() of its last procs_beat() */
	int64_t applied_ms; /* ... of its last procs_beat_applier() */
	unsigned faults;    /* bits, 1 << enum procs_fault */
	char why[PROCS_WHY_MAX];
	uint64_t numbers[PROCS_NUMBERS];
};

/* Enter this process among those of the store in DIR, as PROGRAM; PLACE (NULL: none) tells
 * it from others of that program, such as the directory of a mount. Both are cut to their
 * room. What is entered ends with procs_close() or with the process. Returns 0, -EUSERS
 * if there are PROCS_MAX already, or -errno. */
int procs_open(const char *dir, const char *program, const char *place, struct procs **ret);
/* Leave. NULL is fine. */
void procs_close(struct procs *procs);

/* Say that this process sees FAULT, and WHY; or, with "", that it does not any more.
 * Returns whether that is news. Thread-safe; does not block on other processes. */
bool procs_set_fault(struct procs *procs, enum procs_fault fault, const char *why);
/* Say that this process applies the log, or does not any more. Only to be called by the
 * one that has the right to. Thread-safe. */
void procs_set_applier(struct procs *procs, bool applies);
/* Take the role of the one process of the node that logs ticks, for good; false if another
 * one has it. Thread-safe. */
bool procs_take_ticks(struct procs *procs);
/* Say that this process runs, and that its applier does. To be called at least once a
 * second, and so often that nothing that may take long lies between. Thread-safe. */
void procs_beat(struct procs *procs);
void procs_beat_applier(struct procs *procs);

/* Publish N numbers, at most PROCS_NUMBERS, for the others to show. A reader may get some
 * of them from before and some from after. Thread-safe. */
void procs_set_numbers(struct procs *procs, const uint64_t *numbers, size_t n);

/* Return the faults that living processes of the node have, as bits, and the gravest one's
 * text in WHY (PROCS_WHY_MAX; NULL: not wanted; "" if there is none). Costs one load if
 * there is none. Never waits for a process: of one that stopped while it was writing its
 * text, the kind of the fault is told. Thread-safe. */
unsigned procs_faults(struct procs *procs, char *why);
/* Find the living process with the lowest number from FROM on. Returns its number, or -1
 * if there is none. Thread-safe. */
int procs_next(struct procs *procs, int from, struct procs_info *ret);
/* Find the living process that applies the log; false if none says so. Thread-safe. */
bool procs_applier(struct procs *procs, struct procs_info *ret);
/* Return whether the last beats of the process that applies, or did, are older than the
 * moments given. Costs a few loads, and looks at nothing else. Thread-safe. */
bool procs_applier_silent(struct procs *procs, int64_t beat_ms, int64_t applied_ms);

#endif
