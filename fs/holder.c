/* Holders: whether a process still has a file open after it closed one descriptor of it.
 *
 * A flush request means that a descriptor was closed, not that it was the last one; the release
 * request, which means that, comes only after close(2) has returned. Where the difference
 * matters, this module searches /proc/PID/fdinfo. Its text has had the inode number since Linux
 * 5.14, and reading it sends no request to this mount, as stat(2) through /proc/PID/fd would.
 * Shells move their files to the lowest descriptors, so only those are searched, which bounds
 * the cost. No state, no lock. */
#include "fs/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Number of descriptors to search. */
#define DESCRIPTORS 32

/* Read the inode number of descriptor NAME from DIR, a process's fdinfo. Returns 0 or -errno. */
static int read_ino(int dir, const char *name, uint64_t *ret)
{
	char text[512];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	int r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	text[n] = '\0';
	const char *line = strstr(text, "\nino:");
	if (!line)
		return -ENOSYS;
	*ret = strtoull(line + strlen("\nino:"), NULL, 10);
	return 0;
}

int process_has_open(pid_t pid, uint64_t ino)
{
	char name[32];
	int r = 0;

	if (pid <= 0)
		return -ESRCH;
	snprintf(name, sizeof(name), "/proc/%d/fdinfo", (int)pid);
	int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	for (int i = 0; i < DESCRIPTORS && r == 0; i++) {
		uint64_t other = 0;

		snprintf(name, sizeof(name), "%d", i);
		r = read_ino(dir, name, &other);
		if (r == 0)
			r = other == ino;
		else if (r == -ENOENT)
			r = 0;
	}
	close(dir);
	return r;
}
