/* file_load: time file operations as a program makes them, for the mount's
 * benchmarks.
 *
 *     file_load hot FILE SECONDS      us for open, fstat, read, close of FILE
 *     file_load create DIR N BYTES    files/s: create, write, close of N new files
 *     file_load read DIR N            files/s: open, read, close of those files
 *     file_load list DIR              s to read DIR and stat each name in it
 *     file_load unlink DIR N          files/s: unlink of those files
 *     file_load fetch FILE SECONDS    MB/s: open, read to the end, close of FILE
 *     file_load store FILE BYTES SECONDS  MB/s: open, overwrite, close
 *
 * Prints one number. Makes the same calls in the same order on any file system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int ok, const char *what)
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
	must(fd >= 0, path);
	must(!fstat(fd, &st), path);
	must(read(fd, buf, sizeof(buf)) == st.st_size, path);
	must(!close(fd), path);
}

static double time_hot(const char *path, double seconds)
{
	for (int i = 0; i < 1000; i++)
		hot_once(path);
	long n = 0;
	double begin = now_s(), end;
	do {
		for (int i = 0; i < 100; i++)
			hot_once(path);
		n += 100;
		end = now_s();
	} while (end - begin < seconds);
	return (end - begin) / (double)n * 1e6;
}

static double create_files(int dir, long n, size_t size)
{
	char *value = malloc(size + 1);
	char name[32];
	must(value != NULL, "malloc");
	memset(value, 'v', size);
	double begin = now_s();
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%07ld", i);
		int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		must(fd >= 0, name);
		must(write(fd, value, size) == (ssize_t)size, name);
		must(!close(fd), name);
	}
	double took = now_s() - begin;
	free(value);
	return (double)n / took;
}

static double read_all(int dir, long n)
{
	char buf[65536];
	char name[32];
	double begin = now_s();
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%07ld", i);
		int fd = openat(dir, name, O_RDONLY);
		must(fd >= 0, name);
		must(read(fd, buf, sizeof(buf)) >= 0, name);
		must(!close(fd), name);
	}
	return (double)n / (now_s() - begin);
}

static double list_files(const char *path)
{
	double begin = now_s();
	DIR *dir = opendir(path);
	must(dir != NULL, path);
	struct dirent *entry;
	struct stat st;
	while ((entry = readdir(dir)))
		must(!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW), entry->d_name);
	closedir(dir);
	return now_s() - begin;
}

static double unlink_all(int dir, long n)
{
	char name[32];
	double begin = now_s();
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%07ld", i);
		must(!unlinkat(dir, name, 0), name);
	}
	return (double)n / (now_s() - begin);
}

/* bytes per read or write, like cp */
#define PIECE (256 << 10)

static double read_file(const char *path, double seconds)
{
	static char buf[PIECE];
	double bytes = 0, begin = now_s(), end;
	do {
		ssize_t n;
		int fd = open(path, O_RDONLY);
		must(fd >= 0, path);
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			bytes += (double)n;
		must(n == 0, path);
		must(!close(fd), path);
		end = now_s();
	} while (end - begin < seconds);
	return bytes / (end - begin) / 1e6;
}

static double write_file(const char *path, size_t size, double seconds)
{
	static char buf[PIECE];
	double bytes = 0, begin = now_s(), end;
	memset(buf, 'v', sizeof(buf));
	do {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		must(fd >= 0, path);
		for (size_t left = size; left;) {
			size_t piece = left < sizeof(buf) ? left : sizeof(buf);
			must(write(fd, buf, piece) == (ssize_t)piece, path);
			left -= piece;
		}
		must(!close(fd), path);
		bytes += (double)size;
		end = now_s();
	} while (end - begin < seconds);
	return bytes / (end - begin) / 1e6;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	double result;
	if (argc == 4 && strcmp(what, "hot") == 0) {
		result = time_hot(argv[2], strtod(argv[3], NULL));
	} else if (argc == 4 && strcmp(what, "fetch") == 0) {
		result = read_file(argv[2], strtod(argv[3], NULL));
	} else if (argc == 5 && strcmp(what, "store") == 0) {
		result = write_file(argv[2], strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
	} else if (argc == 3 && strcmp(what, "list") == 0) {
		result = list_files(argv[2]);
	} else if (argc >= 4) {
		int dir = open(argv[2], O_RDONLY | O_DIRECTORY);
		long n = strtol(argv[3], NULL, 10);
		must(dir >= 0, argv[2]);
		if (argc == 5 && strcmp(what, "create") == 0)
			result = create_files(dir, n, strtoul(argv[4], NULL, 10));
		else if (strcmp(what, "read") == 0)
			result = read_all(dir, n);
		else if (strcmp(what, "unlink") == 0)
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
