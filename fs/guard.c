/* Guard: a process that aborts the FUSE connection of a killed mount.
 *
 * To invalidate a name, the invalidator waits inside the kernel for a lock. The holder of the lock
 * may be a program whose request this mount has not answered yet, and the wait cannot be
 * interrupted. busy.h avoids that wait for requests that the mount has read, but cannot know those
 * that are still in the kernel's queue. If the process is killed during such a wait, it deadlocks:
 * the request is never answered, so the thread never ends, so the connection is never closed; and
 * only closing it would answer the request. Process, mount and locks then hang until the connection
 * is aborted. No flag of any notification avoids the lock, and no thread of the process survives
 * SIGKILL.
 *
 * So the guard waits for the death of the main thread. If other threads remain, it aborts the
 * connection: through its control file, or, where that is not mounted, with a forced unmount as in
 * `umount -f`. It holds the root open meanwhile, so that the mount stays in place and its users get
 * errors. The guard is this program, executed again under another name: it shares no memory and no
 * descriptor with the mount's process, and a signal sent to that by name does not reach the guard.
 *
 * If both are killed at the same time (cgroup.kill), the mount is dead as usual, unless a thread
 * waits in the kernel at that moment. In that case the mount hangs until it is unmounted by force
 * (`umount -f`) or keydir-fs is started on that directory again (mountpoint.c).
 *
 * The guard also sets the kernel's read-ahead, which is possible only after the mount has answered
 * its first request. The guard uses the mount for that, so the start of the mount is complete only
 * afterwards: an umount(2) right after the start must not fail with EBUSY. No lock. */
#include "fs/guard.h"

#include "common/base/logger.h"
#include "fs/mountpoint.h"
#include "fs/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARD_NAME "keydir-guard"
#define SIGNAL_DEAD SIGUSR1
/* Interval between two checks of a dying process, and their number. */
#define CHECK_US 10000
#define CHECKS_MAX 6000
/* The largest request that libfuse accepts. The kernel's default is an eighth of it. */
#define READ_AHEAD_KIB 1024

/* --- the process that is guarded ------------------------------------------- */

/* Start the guard. Returns 0 and sets *RET to its process id and *RET_END to one end of a pipe
 * whose other end is the guard's standard input, or returns -errno. */
static int spawn_guard(unsigned connection, const char *dir, pid_t *ret, int *ret_end)
{
	char pid[16], number[16], name[] = GUARD_NAME;
	char *const argv[] = { name, pid, number, (char *)(uintptr_t)dir, NULL };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(number, sizeof(number), "%u", connection);
	int r = subprocess_start(argv, ends[1], ret);
	close(ends[1]);
	if (r < 0)
		close(ends[0]);
	else
		*ret_end = ends[0];
	return r;
}

pid_t guard_start(const char *dir, int *ret_settled)
{
	unsigned connection = mountpoint_connection(dir);
	pid_t pid = 0;

	*ret_settled = -1;
	int r = connection ? spawn_guard(connection, dir, &pid, ret_settled) : -ENOENT;

	if (r == 0)
		return pid;
	logger(LOGGER_WARN,
	       "cannot start the guard: if this process is killed, its mount may hang why=\"%s\"",
	       strerror(-r));
	return 0;
}

void guard_stop(pid_t guard)
{
	if (!guard)
		return;
	kill(guard, SIGKILL);
	waitpid(guard, NULL, 0);
}

/* --- the guard ------------------------------------------------------------- */

static bool abort_by_file(unsigned connection)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", connection);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool done = write(fd, "1", 1) == 1;
	close(fd);
	return done;
}

static void abort_by_umount(unsigned connection, const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* The open root keeps the kernel from unmounting it: writes to the path must not end up in
	 * the directory under the mount. */
	if (mountpoint_connection(dir) == connection)
		umount2(dir, MNT_FORCE);
	close(fd);
}

bool guard_wanted(int argc, char **argv)
{
	return argc == 4 && strcmp(argv[0], GUARD_NAME) == 0;
}

int guard_main(char **argv)
{
	pid_t guarded = (pid_t)strtol(argv[1], NULL, 10);
	unsigned connection = (unsigned)strtoul(argv[2], NULL, 10);
	const char *dir = argv[3];
	sigset_t dead;
	int number = 0;

	if (subprocess_begin(GUARD_NAME) < 0)
		return EXIT_FAILURE;
	/* The kernel sends this signal when the thread that started the guard ends, even if other
	 * threads remain. */
	if (prctl(PR_SET_PDEATHSIG, SIGNAL_DEAD) < 0)
		return EXIT_FAILURE;
	sigemptyset(&dead);
	sigaddset(&dead, SIGNAL_DEAD);
	mountpoint_read_ahead(dir, connection, READ_AHEAD_KIB);
	/* Replace the end of the pipe by /dev/null: that reports that the guard no longer uses the
	 * mount. */
	dup2(STDOUT_FILENO, STDIN_FILENO);
	/* The guarded process is the parent as long as one of its threads is left. */
	if (getppid() == guarded)
		sigwait(&dead, &number);
	for (int i = 0; i < CHECKS_MAX && getppid() == guarded; i++) {
		if (!abort_by_file(connection))
			abort_by_umount(connection, dir);
		usleep(CHECK_US);
	}
	return EXIT_SUCCESS;
}
