/* Child processes of a test, and waiting for a condition. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/child.h"

#include "common/base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000 /* times $PATIENCE, for slow builds */

pid_t child_start(void (*fn)(void *arg), void *arg)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	/* End with the test, however the test ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		fn(arg);
	_exit(0);
}

void child_kill(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

void child_join(pid_t pid)
{
	int status, r;

	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	assert_int_equal(r, pid);
	if (WIFSIGNALED(status))
		fail_msg("a child was killed by signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

void child_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: check failed in a child: %s\n", file, line, condition);
	_exit(1);
}

void *child_share(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(shared, MAP_FAILED);
	return shared;
}

int64_t until_end(void)
{
	const char *patience = getenv("PATIENCE");
	long times = patience ? strtol(patience, NULL, 10) : 1;

	return clock_mono_ms() + PATIENCE_MS * (times > 0 ? times : 1);
}

int until_over(int64_t end)
{
	const struct timespec pause = { 0, 200000 };

	nanosleep(&pause, NULL);
	return clock_mono_ms() > end;
}
