/* Mount point: checks and clears a directory before mounting, and finds the mount on it.
 *
 * A killed process leaves its mount in place, and every call on it fails with ENOTCONN; in the
 * worst case (notifier.c) it hangs. The kernel may still answer stat(2) of the root from its cache,
 * so the check uses statfs(2), which always reaches the process, and which a working mount answers
 * at once. A child process calls it, because a call that hangs can only be ended by killing its
 * process. No state, no lock. */
#include "fs/mountpoint.h"

#include "common/base/clock.h"
#include "common/base/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATFS_TIMEOUT_MS 3000
#define POLL_US 1000

extern char **environ;

/* Return the errno of a statfs of DIR: 0 if it succeeds, ETIMEDOUT if it is not answered. */
static int statfs_errno(const char *dir)
{
	int64_t deadline = clock_mono_ms() + STATFS_TIMEOUT_MS;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid == 0) {
		struct statfs st;

		_exit(statfs(dir, &st) < 0 ? errno : 0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > deadline) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return ETIMEDOUT;
		}
		usleep(POLL_US);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* Unmount DIR: as root directly, otherwise with fusermount3. */
static void unmount_dead(const char *dir)
{
	const char *const argv[] = { "fusermount3", "-u", "-z", "--", dir, NULL };
	pid_t pid;
	int status;

	/* First abort the connection, so that requests in flight fail. */
	umount2(dir, MNT_FORCE | MNT_DETACH);
	if (statfs_errno(dir) == 0 || umount2(dir, MNT_DETACH) == 0)
		return;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) == 0)
		waitpid(pid, &status, 0);
}

int mountpoint_check(const char *dir, char *why, size_t why_size)
{
	struct stat st;
	int error = statfs_errno(dir);

	if (error == ENOTCONN || error == ECONNABORTED || error == ETIMEDOUT) {
		logger(LOGGER_WARN,
		       "unmounting the mount of a dead process mountpoint=%s why=\"%s\"", dir,
		       strerror(error));
		unmount_dead(dir);
		error = statfs_errno(dir);
	}
	if (!error && stat(dir, &st) < 0)
		error = errno;
	if (!error && !S_ISDIR(st.st_mode))
		error = ENOTDIR;
	if (error)
		snprintf(why, why_size, "%s: %s", dir, strerror(error));
	return -error;
}

/* --- the mount on a directory ---------------------------------------------- */

int mountpoint_of_fd(int fd)
{
	char path[64], line[128];
	int id = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(path, "re");
	if (!info)
		return -1;
	while (id < 0 && fgets(line, sizeof(line), info)) {
		if (strncmp(line, "mnt_id:", 7) == 0)
			id = (int)strtol(line + 7, NULL, 10);
	}
	fclose(info);
	return id;
}

unsigned mountpoint_device(int mount)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	unsigned minor = 0;

	while (table && !minor && getline(&line, &room, table) > 0) {
		char *rest;

		/* "36 35 0:98 / /mnt ...": id, parent, device. */
		if (strtol(line, &rest, 10) != mount)
			continue;
		strtol(rest, &rest, 10);
		strtol(rest, &rest, 10);
		if (*rest == ':')
			minor = (unsigned)strtoul(rest + 1, NULL, 10);
	}
	free(line);
	if (table)
		fclose(table);
	return minor;
}

unsigned mountpoint_connection(const char *dir)
{
	/* O_PATH opens the directory without a request to its process. */
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	unsigned connection = mountpoint_device(mountpoint_of_fd(fd));
	close(fd);
	return connection;
}

bool mountpoint_read_ahead(const char *dir, unsigned connection, unsigned kib)
{
	struct statfs st;
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/bdi/0:%u/read_ahead_kb", connection);
	if (access(path, W_OK) < 0)
		return false;
	/* Once this is answered, the kernel has processed the reply to FUSE_INIT, which also sets
	 * the read-ahead. */
	if (statfs(dir, &st) < 0)
		return false;
	FILE *file = fopen(path, "we");
	if (!file)
		return false;
	fprintf(file, "%u\n", kib);
	return fclose(file) == 0;
}
