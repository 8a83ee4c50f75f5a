/* Gate: changes wait here while the log is away. */
#ifndef KEYDIR_FS_GATE_H
#define KEYDIR_FS_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mount;

/* A request that waits. It is the first member of a malloc'd struct, which the gate frees after
 * `run`. */
struct gated {
	struct gated *next;
	int64_t deadline_ms;
	/* Called once, by the gate's thread or gate_wait(), with no lock held. ERROR is 0 once the
	 * log is back, or the errno to answer when the time is over or the mount stops. */
	void (*run)(struct gated *g, int error);
};

struct gate {
	struct mount *mount;
	pthread_mutex_t lock; /* protects all fields below */
	pthread_cond_t wake;  /* on the monotonic clock */
	struct gated *first;
	bool has_thread;
	bool stop;
};

/* Initialize GATE. Returns 0 or -errno. */
int gate_init(struct gate *gate, struct mount *m);
/* End all present and future waits with EIO, and return once the last of them has ended. Does not
 * depend on requests being served meanwhile. */
void gate_stop(struct gate *gate);

/* Return the errno with which a change must fail now, or 0. *RET_WAIT_MS is how many milliseconds
 * the change may wait for the log first: 0 unless there is an errno because the log is away, and
 * it has been away for less than the write timeout. Cheap, thread-safe. */
int gate_check(struct gate *gate, int64_t *ret_wait_ms);
/* Let G wait at most WAIT_MS for the log. Returns at once; takes over G. G->run may be called
 * before this returns. Thread-safe. */
void gate_wait(struct gate *gate, struct gated *g, int64_t wait_ms);

#endif
