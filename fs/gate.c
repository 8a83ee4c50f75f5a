/* Gate: changes wait here while the log is away.
 *
 * A change is logged when its file is closed, and shells ignore the result of close(2):
 * `echo x >key` would exit with 0 although the value is stored nowhere. So while the log is
 * known to be away, opens for writing and writes wait for it. Once it has been away for as long
 * as the write timeout, they fail with EIO, at first after their wait and then at once, until
 * the log is back. Requests that only read never come here.
 *
 * A create does not wait, because the kernel keeps the directory locked until it is answered;
 * the write that follows does.
 *
 * Outages are rare, so the thread that watches over the waiting requests is started for the
 * first of them and ends with the last.
 *
 * Lock: gate->lock, a leaf. */
#include "fs/gate.h"

#include "common/base/clock.h"
#include "fs/mount.h"

#include <errno.h>
#include <stdlib.h>

/* Interval at which waiting requests are checked. */
#define CHECK_MS 20

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

/* Remove and return the requests whose deadline has passed, or with ALL every request.
 * gate->lock is held. */
static struct gated *take_expired(struct gate *gate, bool all, int64_t now_ms)
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

static void *gate_thread(void *arg)
{
	struct gate *gate = arg;

	pthread_mutex_lock(&gate->lock);
	while (gate->first) {
		int64_t since_ms;
		int error = gate->stop ? EIO : node_write_error(gate->mount->node, &since_ms);
		/* Only the absence of the log is a reason to wait: answer all on other errors. */
		bool all = gate->stop || !error || !since_ms;
		struct gated *over = take_expired(gate, all, clock_mono_ms());

		if (over) {
			pthread_mutex_unlock(&gate->lock);
			run_all(over, error);
			pthread_mutex_lock(&gate->lock);
			continue;
		}
		struct timespec until = clock_mono_in(CHECK_MS);
		pthread_cond_timedwait(&gate->wake, &gate->lock, &until);
	}
	gate->has_thread = false;
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
	if (waits && !gate->has_thread) {
		waits = gate->has_thread = pthread_create(&thread, NULL, gate_thread, gate) == 0;
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
	while (gate->has_thread)
		pthread_cond_wait(&gate->wake, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}
