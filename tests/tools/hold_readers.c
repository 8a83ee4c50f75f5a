/* hold_readers: stops the threads of a file system that read requests, or one by name.
 *
 *     hold_readers PID [NAME]
 *
 * The other threads of PID go on, so that a request stays in the kernel's queue
 * as if its process had been killed just then. Prints how many it holds, and
 * holds them until it is killed or they are. Needs the right to trace PID. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHERE "fuse_dev_do_read" /* in the kernel */

/* Whether file NAME of a thread's directory in /proc says WHAT, with or without an end of
 * line. */
static int says(const char *pid, const char *tid, const char *name, const char *what)
{
	char path[512], text[64] = "";

	snprintf(path, sizeof(path), "/proc/%s/task/%s/%s", pid, tid, name);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	size_t n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, what) == 0;
}

static int hold(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0)
		return -errno;
	return waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status) ? 0 : -ECHILD;
}

int main(int argc, char **argv)
{
	char path[512];
	struct dirent *entry;
	int held = 0;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: hold_readers PID [NAME]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/proc/%s/task", argv[1]);
	DIR *tasks = opendir(path);
	if (!tasks) {
		fprintf(stderr, "hold_readers: %s: %s\n", path, strerror(errno));
		return 1;
	}
	while ((entry = readdir(tasks))) {
		if (entry->d_name[0] == '.')
			continue;
		if (!(argc == 3 ? says(argv[1], entry->d_name, "comm", argv[2]) :
		                  says(argv[1], entry->d_name, "wchan", WHERE)))
			continue;
		int r = hold((pid_t)strtol(entry->d_name, NULL, 10));
		if (r < 0) {
			fprintf(stderr, "hold_readers: %s: %s\n", entry->d_name, strerror(-r));
			return 1;
		}
		held++;
	}
	closedir(tasks);
	printf("%d\n", held);
	fflush(stdout);
	while (held > 0) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno != EINTR)
			break;
		if (tid > 0 && !WIFSTOPPED(status))
			held--;
	}
	return 0;
}
