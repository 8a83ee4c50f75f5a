/* File work as a program does it, timed: the load of the mount's benchmarks.
 *
 *     file_load hot FILE SECONDS      us for open, fstat, read, close of FILE
 *     file_load create DIR N BYTES    files/s: create, write, close of N new files
 *     file_load read DIR N            files/s: open, read, close of those files
 *     file_load list DIR              s to read DIR and stat each name in it
 *     file_load unlink DIR N          files/s: unlink of those files
 *     file_load fetch FILE SECONDS    MB/s: open, read to the end, close of FILE
 *     file_load store FILE BYTES SECONDS  MB/s: open, write it anew, close
 *
 * Prints one number. The same calls in the same order on whatever file system
 * it is pointed at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "file_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void hot_once(const char *path)
{
	char buf[4096];
	struct stat st;
	int fd = open(path, O_RDONLY);
	need(fd >= 0, path);
	need(!fstat(fd, &st), path);
	need(read(fd, buf, sizeof(buf)) == st.st_size, path);
	need(!close(fd), path);
}

static double hot(const char *path, double seconds)
{
	for (int i = 0; i < 1000; i++)
		hot_once(path);
	long n = 0;
	double begin = now(), end;
	do {
		for (int i = 0; i < 100; i++)
			hot_once(path);
		n += 100;
		end = now();
	} while (end - begin < seconds);
	return (end - begin) / (double)n * 1e6;
}

static double create(int dir, long n, size_t size)
{
	char *value = malloc(size + 1);
	char name[32];
	need(value != NULL, "malloc");
	memset(value, 'v', size);
	double begin = now();
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%07ld", i);
		int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		need(fd >= 0, name);
		need(write(fd, value, size) == (ssize_t)size, name);
		need(!close(fd), name);
	}
	double took = now() - begin;
	free(value);
	return (double)n / took;
}

static double read_all(int dir, long n)
{
	char buf[65536];
	char name[32];
	double begin = now();
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%07ld", i);
		int fd = openat(dir, name, O_RDONLY);
		need(fd >= 0, name);
		need(read(fd, buf, sizeof(buf)) >= 0, name);
		need(!close(fd), name);
	}
	return (double)n / (now() - begin);
}

static double list(const char *path)
{
	double begin = now();
	DIR *dir = opendir(path);
	need(dir != NULL, path);
	struct dirent *entry;
	struct stat st;
	while ((entry = readdir(dir)))
		need(!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW), entry->d_name);
	closedir(dir);
	return now() - begin;
}

static double unlink_all(int dir, long n)
{
	char name[32];
	double begin = now();
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%07ld", i);
		need(!unlinkat(dir, name, 0), name);
	}
	return (double)n / (now() - begin);
}

/* What is read or written at a time, as cp does it. */
#define PIECE (256 << 10)

static double fetch(const char *path, double seconds)
{
	static char buf[PIECE];
	double bytes = 0, begin = now(), end;
	do {
		ssize_t n;
		int fd = open(path, O_RDONLY);
		need(fd >= 0, path);
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			bytes += (double)n;
		need(n == 0, path);
		need(!close(fd), path);
		end = now();
	} while (end - begin < seconds);
	return bytes / (end - begin) / 1e6;
}

static double store(const char *path, size_t size, double seconds)
{
	static char buf[PIECE];
	double bytes = 0, begin = now(), end;
	memset(buf, 'v', sizeof(buf));
	do {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		need(fd >= 0, path);
		for (size_t left = size; left;) {
			size_t piece = left < sizeof(buf) ? left : sizeof(buf);
			need(write(fd, buf, piece) == (ssize_t)piece, path);
			left -= piece;
		}
		need(!close(fd), path);
		bytes += (double)size;
		end = now();
	} while (end - begin < seconds);
	return bytes / (end - begin) / 1e6;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	double result;
	if (argc == 4 && !strcmp(what, "hot")) {
		result = hot(argv[2], strtod(argv[3], NULL));
	} else if (argc == 4 && !strcmp(what, "fetch")) {
		result = fetch(argv[2], strtod(argv[3], NULL));
	} else if (argc == 5 && !strcmp(what, "store")) {
		result = store(argv[2], strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
	} else if (argc == 3 && !strcmp(what, "list")) {
		result = list(argv[2]);
	} else if (argc >= 4) {
		int dir = open(argv[2], O_RDONLY | O_DIRECTORY);
		long n = strtol(argv[3], NULL, 10);
		need(dir >= 0, argv[2]);
		if (argc == 5 && !strcmp(what, "create"))
			result = create(dir, n, strtoul(argv[4], NULL, 10));
		else if (!strcmp(what, "read"))
			result = read_all(dir, n);
		else if (!strcmp(what, "unlink"))
			result = unlink_all(dir, n);
		else
			return 2;
		close(dir);
	} else {
		fprintf(stderr, "usage: file_load hot|create|read|list|unlink|fetch|store ...\n");
		return 2;
	}
	printf("%.9g\n", result);
	return 0;
}
