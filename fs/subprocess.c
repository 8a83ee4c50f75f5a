/* Subprocess: executes this program again as a helper process (guard.c, announce.c).
 *
 * fork() alone is not enough: the new process must hold no memory, no lock and no descriptor of
 * this one. No state, no lock. */
#include "fs/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char **environ;

int subprocess_start(char *const argv[], int stdin_fd, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	int r = -posix_spawn_file_actions_init(&actions);

	if (r < 0)
		return r;
	/* The new process must not keep our standard output open: readers of a pipe there would
	 * wait for its end as well. */
	for (int fd = 0; fd <= 2 && r == 0; fd++) {
		bool given = fd == 0 && stdin_fd >= 0;

		r = given ? -posix_spawn_file_actions_adddup2(&actions, stdin_fd, fd) :
		            -posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	}
	if (r == 0)
		r = -posix_spawn_file_actions_addchdir_np(&actions, "/");
	if (r == 0)
		r = -posix_spawn(ret, "/proc/self/exe", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

int subprocess_begin(const char *name)
{
	sigset_t all;

	prctl(PR_SET_NAME, name);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	return close_range(3, ~0U, 0) < 0 ? -errno : 0;
}
