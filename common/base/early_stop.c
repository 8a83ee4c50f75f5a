/* Early stop: a program that is told to stop while it starts ends at once.
 *
 * A start waits for much: another process that starts, a peer, a broker, a store's
 * writer. Instead of teaching each of these waits to be given up, a thread takes
 * the signals meanwhile and ends the process where it is. Nothing is lost: nobody
 * was told yet that anything was done, and whatever is kill -9 safe is safe here. The
 * program takes the signals itself once it serves.
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

#define SIGNAL_STATUS 128 /* and the signal's number: what a shell makes of it */

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

/* End the process by NUMBER, or with the like status if it is immune: process 1 of
 * a container is. */
static _Noreturn void end_by(int number)
{
	sigset_t one;

	logger(LOGGER_INFO, "stopping before the start is done signal=%s", sigabbrev_np(number));
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
		/* early_stop_end() sends one to this thread alone, which comes before
		 * those that are sent to the process. */
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
	/* That thread has it blocked, and takes it by sigwaitinfo(). */
	pthread_kill(stop->thread, SIGTERM); /* NOLINT(bugprone-bad-signal-to-kill-thread) */
	pthread_join(stop->thread, NULL);
	free(stop);
}
