/* Stop limit: end a stopping program even if another process blocks the store.
 *
 * LMDB has one write transaction for all processes and no way to give up waiting for it. If a
 * process is stopped inside a write transaction (SIGSTOP, a debugger, a hung disk), the applying
 * threads of the other processes wait forever, and so would a thread that joins them. A time limit
 * for the whole stop would also end a slow but healthy one, so the limit is for a single wait: a
 * stop may take any time as long as write transactions begin now and then.
 *
 * Lock: limit->lock, a leaf, to wake the thread. */
#include "common/node/stop_limit.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/store/txn.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define STOP_LIMIT_MS 20000
#define LOOK_MS 500

struct stop_limit {
	struct store *store;
	void (*last)(void *arg);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ended; /* protected by lock */
};

static void end_process(const struct stop_limit *limit)
{
	logger(LOGGER_ERROR,
	       "another process has kept the store's write transaction for %d s: ending without "
	       "waiting for it",
	       STOP_LIMIT_MS / 1000);
	if (limit->last)
		limit->last(limit->arg);
	_exit(EXIT_FAILURE);
}

static void *watch_writes(void *arg)
{
	struct stop_limit *limit = arg;
	uint64_t begun = 0;
	int64_t since_ms = clock_mono_ms();
	pthread_mutex_lock(&limit->lock);
	while (!limit->ended) {
		struct txn_writes now;
		txn_writes(limit->store, &now);
		if (!now.waiting || now.begun != begun) {
			begun = now.begun;
			since_ms = clock_mono_ms();
		}
		if (clock_mono_ms() - since_ms > STOP_LIMIT_MS)
			end_process(limit);
		struct timespec until = clock_mono_in(LOOK_MS);
		pthread_cond_timedwait(&limit->wake, &limit->lock, &until);
	}
	pthread_mutex_unlock(&limit->lock);
	return NULL;
}

static void free_limit(struct stop_limit *limit)
{
	pthread_cond_destroy(&limit->wake);
	pthread_mutex_destroy(&limit->lock);
	free(limit);
}

struct stop_limit *stop_limit_begin(struct store *store, void (*last)(void *arg), void *arg)
{
	struct stop_limit *limit = calloc(1, sizeof(*limit));
	if (!limit)
		return NULL;
	*limit = (struct stop_limit){ .store = store, .last = last, .arg = arg };
	pthread_mutex_init(&limit->lock, NULL);
	clock_cond_init(&limit->wake);
	if (pthread_create(&limit->thread, NULL, watch_writes, limit)) {
		free_limit(limit);
		return NULL;
	}
	return limit;
}

void stop_limit_end(struct stop_limit *limit)
{
	if (!limit)
		return;
	pthread_mutex_lock(&limit->lock);
	limit->ended = true;
	pthread_cond_signal(&limit->wake);
	pthread_mutex_unlock(&limit->lock);
	pthread_join(limit->thread, NULL);
	free_limit(limit);
}
