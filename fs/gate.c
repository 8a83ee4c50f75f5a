/* The gate: changes wait here while the log is away.
 *
 * A change is logged when its file is closed, and a shell does not look at what close(2)
 * returns: `echo x >key` would have status 0 although the value is stored nowhere. So while
 * the log is known to be away, opening for writing and writing wait for it, and fail with
 * EIO once it has been away for as long as the write timeout; then they fail at once, until
 * it is back. What only reads never comes here.
 *
 * A create does not wait, because the kernel keeps the directory locked until it is
 * answered; the write that follows does.
 *
 * Outages are rare: the thread that looks after those that wait is started by the first of
 * them and ends with the last.
 *
 * Lock: gate->lock, a leaf. */
#include "fs/gate.h"

#include "fs/mount.h"

#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_MS 20

int gate_init(struct gate *gate, struct mount *m)
{
	*gate = (struct gate){ .mount = m };
	pthread_mutex_init(&gate->lock, NULL);
	return clock_cond_init(&gate->wake);
}

int gate_check(struct gate *gate, int64_t *ret_wait_ms)
{
	const struct mount *m = gate->mount;
	int64_t since_ms;
	int error = node_write_error(m->node, &since_ms);

	*ret_wait_ms = 0;
	if (error && since_ms) {
		int64_t left_ms = since_ms + m->timeout_ms - clock_mono_ms();

		*ret_wait_ms = left_ms > 0 ? left_ms : 0;
	}
	return error;
}

/* Take off those of the list whose waiting is over; gate->lock is held. */
static struct gated *take_over(struct gate *gate, bool all, int64_t now_ms)
{
	struct gated *taken = NULL, **last = &taken, **link = &gate->first;

	while (*link) {
		struct gated *g = *link;

		if (all || g->deadline_ms <= now_ms) {
			*link = g->next;
			g->next = NULL;
			*last = g;
			last = &g->next;
		} else {
			link = &g->next;
		}
	}
	return taken;
}

static void run_all(struct gated *list, int error)
{
	while (list) {
		struct gated *g = list;

		list = g->next;
		g->run(g, error);
		free(g);
	}
}

static void *look_after(void *arg)
{
	struct gate *gate = arg;

	pthread_mutex_lock(&gate->lock);
	while (gate->first) {
		int64_t since_ms;
		int error = gate->stop ? EIO : node_write_error(gate->mount->node, &since_ms);
		/* What keeps it from working besides an absence is no reason to wait. */
		bool all = gate->stop || !error || !since_ms;
		struct gated *over = take_over(gate, all, clock_mono_ms());

		if (over) {
			pthread_mutex_unlock(&gate->lock);
			run_all(over, error);
			pthread_mutex_lock(&gate->lock);
			continue;
		}
		struct timespec until = clock_mono_in(LOOK_MS);
		pthread_cond_timedwait(&gate->wake, &gate->lock, &until);
	}
	gate->runs = false;
	pthread_cond_broadcast(&gate->wake);
	pthread_mutex_unlock(&gate->lock);
	return NULL;
}

void gate_wait(struct gate *gate, struct gated *g, int64_t wait_ms)
{
	struct gated **last = &gate->first;
	pthread_t thread;

	g->next = NULL;
	g->deadline_ms = clock_mono_ms() + wait_ms;
	pthread_mutex_lock(&gate->lock);
	bool waits = !gate->stop;
	if (waits && !gate->runs) {
		waits = gate->runs = pthread_create(&thread, NULL, look_after, gate) == 0;
		if (waits)
			pthread_detach(thread);
	}
	if (waits) {
		while (*last)
			last = &(*last)->next;
		*last = g;
	}
	pthread_mutex_unlock(&gate->lock);
	if (!waits)
		run_all(g, EIO);
}

void gate_stop(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->stop = true;
	pthread_cond_broadcast(&gate->wake);
	while (gate->runs)
		pthread_cond_wait(&gate->wake, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}
