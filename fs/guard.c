/* The guard: a process that frees what a killed mount would leave hanging.
 *
 * To invalidate, a thread of ours waits inside the kernel for a lock that
 * somebody may hold whose request we have not answered yet; that wait cannot be
 * interrupted. busy.h keeps us from waiting for requests that we know; one that
 * is still in the kernel's queue we do not. If the process is killed then, the
 * request is never answered, the thread never ends, so the connection is never
 * closed, which alone would answer the request: process, mount, locks and all
 * hang until somebody aborts the connection. No flag of any notification
 * avoids the lock, and nothing inside the process survives its kill.
 *
 * So a small process of its own waits for the death of our main thread, and if
 * the others do not follow it, aborts the connection: by its control file, or,
 * where that is not mounted, as `umount -f` does, with the root held open, so
 * that the mount itself stays and tells its users that it is dead. It is this
 * program started anew under another name, so that it shares no memory and no
 * descriptor with us, and that who kills us by name does not kill it.
 *
 * Who kills both in one moment (cgroup.kill) gets a mount that is dead as usual,
 * unless a thread waits just then: that mount hangs until somebody unmounts it by
 * force (`umount -f`) or starts anew on that directory (mountpoint.c).
 *
 * It also sets how far the kernel reads ahead: that can only be done once the
 * mount has answered its first request. It uses the mount for that, so the start of
 * the mount counts as over only then: an umount(2) right after it must not fail. */
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
/* Between two looks at a process that dies. */
#define LOOK_US 10000
#define LOOKS_MAX 6000
/* The largest request that libfuse takes. The kernel's own choice is an eighth. */
#define READ_AHEAD_KIB 1024

/* --- the process that is guarded ------------------------------------------- */

/* *RET_END is one end of a pipe whose other end is the guard's standard input. */
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
	       "without a guard: if this process is killed, its mount may hang why=\"%s\"",
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
	/* Held open, it is not unmounted: what is written there must not end up
	 * below it. */
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
	/* Sent when the thread ends that started us, whatever the others do. */
	if (prctl(PR_SET_PDEATHSIG, SIGNAL_DEAD) < 0)
		return EXIT_FAILURE;
	sigemptyset(&dead);
	sigaddset(&dead, SIGNAL_DEAD);
	mountpoint_read_ahead(dir, connection, READ_AHEAD_KIB);
	/* Settled: the end of the pipe goes, /dev/null takes its place. */
	dup2(STDOUT_FILENO, STDIN_FILENO);
	/* As long as a thread of it is left, that is our parent. */
	if (getppid() == guarded)
		sigwait(&dead, &number);
	for (int i = 0; i < LOOKS_MAX && getppid() == guarded; i++) {
		if (!abort_by_file(connection))
			abort_by_umount(connection, dir);
		usleep(LOOK_US);
	}
	return EXIT_SUCCESS;
}
