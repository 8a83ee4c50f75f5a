/* hold_readers: stop the threads of a file system that read requests, or one thread
 * by name.
 *
 *     hold_readers PID [NAME]
 *
 * The other threads of PID continue, so that a request stays in the kernel's queue as
 * if its process had been killed just then. Prints how many threads it stopped, and
 * holds them until this program or PID is killed. Needs permission to trace PID. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHERE "fuse_dev_do_read" /* a function of the kernel */

/* Return whether file NAME in a thread's directory below /proc contains WHAT, with or
 * without a newline. */
static int file_is(const char *pid, const char *tid, const char *name, const char *what)
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

static int hold_thread(pid_t tid)
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
		if (!(argc == 3 ? file_is(argv[1], entry->d_name, "comm", argv[2]) :
		                  file_is(argv[1], entry->d_name, "wchan", WHERE)))
			continue;
		int r = hold_thread((pid_t)strtol(entry->d_name, NULL, 10));
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
