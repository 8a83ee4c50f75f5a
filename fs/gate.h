/* Gate: changes wait here while the log is away. */
#ifndef KEYDIR_FS_GATE_H
#define KEYDIR_FS_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mount;

/* A request that waits. The first member of something malloc'd, which is freed after `run`. */
struct gated {
	struct gated *next;
	int64_t deadline_ms;
	/* Called by the gate's thread, with no lock held: with 0 once the log is back, with
	 * the errno to answer when the time is over or the mount stops. */
	void (*run)(struct gated *g, int error);
};

struct gate {
	struct mount *mount;
	pthread_mutex_t lock; /* protects all fields below */
	pthread_cond_t wake;  /* on the monotonic clock */
	struct gated *first;
	bool runs; /* the thread exists */
	bool stop;
};

/* Initialize GATE. Returns 0 or -errno. */
int gate_init(struct gate *gate, struct mount *m);
/* End all waits, present and future, with an error, and return when no request waits any more.
 * Requests need not be served meanwhile. */
void gate_stop(struct gate *gate);

/* Return the errno with which a change must fail now, or 0. *RET_WAIT_MS, not 0 only with
 * an errno: the log has not been away for as long as the write timeout, and the change may
 * wait that long for it. Cheap, thread-safe. */
int gate_check(struct gate *gate, int64_t *ret_wait_ms);
/* Let G wait at most WAIT_MS for the log. Never waits; G->run may be called at once. */
void gate_wait(struct gate *gate, struct gated *g, int64_t wait_ms);

#endif
