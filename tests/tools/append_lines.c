/* append_lines: append lines to a file like `echo ... >>FILE`, but faster.
 *
 *     append_lines FILE NAME N PROCESSES
 *
 * PROCESSES processes write N lines in total at the same time, each line with its own
 * open, one write and close. A line contains the writer's name, its number and its
 * own length, so that torn or missing lines are detected:
 *
 *     NAME NUMBER LENGTH xxxx...
 *
 * The exit status is 0 if every call succeeded. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PADDING_MAX 64
#define LINE_MAX_BYTES 256

static int append_line(const char *path, const char *name, long number)
{
	char line[LINE_MAX_BYTES];
	int padding = (int)(number * 7 % PADDING_MAX);
	int len = snprintf(line, sizeof(line), "%s %ld %d ", name, number, padding);
	if (len < 0 || len + padding + 1 >= (int)sizeof(line))
		return -ENAMETOOLONG;
	memset(line + len, 'x', (size_t)padding);
	len += padding;
	line[len++] = '\n';
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, line, (size_t)len);
	int r = n < 0 ? -errno : n == len ? 0 : -EIO;
	if (close(fd) && r == 0)
		r = -errno;
	return r;
}

/* Append the lines FROM, FROM + STEP, ... below N. */
static int append_all(const char *path, const char *name, long from, long n, long step)
{
	for (long i = from; i < n; i += step) {
		int r = append_line(path, name, i);
		if (r < 0) {
			fprintf(stderr, "append_lines: %s, line %ld: %s\n", path, i, strerror(-r));
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *end = argv[0], *end2 = argv[0];
	long n = argc == 5 ? strtol(argv[3], &end, 10) : 0;
	long processes = argc == 5 ? strtol(argv[4], &end2, 10) : 0;
	if (n < 1 || processes < 1 || processes > 64 || *end || *end2) {
		fputs("usage: append_lines FILE NAME N PROCESSES\n", stderr);
		return 2;
	}
	int bad = 0;
	for (long p = 0; p < processes; p++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(append_all(argv[1], argv[2], p, n, processes));
		if (pid < 0) {
			perror("append_lines: fork");
			bad = 1;
		}
	}
	int status;
	while (wait(&status) > 0)
		if (status)
			bad = 1;
	return bad;
}
