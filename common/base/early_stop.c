/* Early stop: end a program at once if it receives a stop signal during startup.
 *
 * Startup may wait for another process that starts, for a peer, for a broker, or for the
 * writer of the store. Instead of making each of these waits cancellable, a thread receives
 * the signals during startup and ends the process. Nothing is lost: no change was
 * acknowledged yet, and startup is safe against kill -9. The program handles the signals
 * itself once it serves.
 *
 * No lock. */
#include "common/base/early_stop.h"

#include "common/base/logger.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_STATUS 128 /* plus the signal's number: the status that a shell reports */

struct early_stop {
	pthread_t thread;
	atomic_bool over;
};

static void stop_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
}

/* End the process by signal NUMBER or, if it is immune to it as process 1 of a container
 * is, with the corresponding status. */
static _Noreturn void end_by(int number)
{
	sigset_t one;

	logger(LOGGER_INFO, "stopping during startup signal=%s", sigabbrev_np(number));
	signal(number, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, number);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	raise(number);
	_exit(SIGNAL_STATUS + number);
}

static void *wait_for_signal(void *arg)
{
	struct early_stop *stop = arg;
	sigset_t signals;
	siginfo_t info;

	stop_signals(&signals);
	for (;;) {
		int number = sigwaitinfo(&signals, &info);
		if (number < 0)
			continue;
		/* early_stop_end() sends a signal to this thread only, which is delivered
		 * before those sent to the process. */
		if (atomic_load(&stop->over) && info.si_pid == getpid())
			return NULL;
		end_by(number);
	}
}

int early_stop_begin(struct early_stop **ret)
{
	struct early_stop *stop = calloc(1, sizeof(*stop));

	if (!stop)
		return -ENOMEM;
	int r = -pthread_create(&stop->thread, NULL, wait_for_signal, stop);
	if (r < 0) {
		free(stop);
		return r;
	}
	*ret = stop;
	return 0;
}

void early_stop_end(struct early_stop *stop)
{
	if (!stop)
		return;
	atomic_store(&stop->over, true);
	/* That thread blocks the signal and receives it with sigwaitinfo(). */
	pthread_kill(stop->thread, SIGTERM); /* NOLINT(bugprone-bad-signal-to-kill-thread) */
	pthread_join(stop->thread, NULL);
	free(stop);
}
