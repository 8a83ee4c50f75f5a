/* race_create: create the same names in several directories at the same moment.
 *
 *     race_create excl|mkdir PREFIX N DIR...
 *
 * The directories are mounts of the same volume. One thread for each of them waits at
 * a barrier before every name, then calls open(O_CREAT | O_EXCL) or mkdir(). The
 * winner of a file writes its directory into the file. Prints how often each
 * directory won. The exit status is 0 if every name had one winner and all others got
 * EEXIST. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRS_MAX 16

static pthread_barrier_t barrier;
static bool make_dirs;
static const char *prefix;
static long count;

struct racer {
	pthread_t thread;
	int number;
	const char *dir;
	unsigned char *won; /* one byte for each name */
	long wins;
	long faults;
};

static int make_file(const char *path, int number)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	int r = dprintf(fd, "%d\n", number) < 0 ? -errno : 0;
	if (close(fd) && r == 0)
		r = -errno;
	/* The name exists now, so report another error than EEXIST. */
	return r == -EEXIST ? -EIO : r;
}

static void *create_all(void *arg)
{
	struct racer *racer = arg;
	char path[4096];
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s%ld", racer->dir, prefix, i);
		pthread_barrier_wait(&barrier);
		int r = make_dirs ? (mkdir(path, 0755) ? -errno : 0) :
		                    make_file(path, racer->number);
		if (r == 0) {
			racer->won[i] = 1;
			racer->wins++;
		} else if (r != -EEXIST) {
			fprintf(stderr, "race_create: %s: %s\n", path, strerror(-r));
			racer->faults++;
		}
	}
	return NULL;
}

/* Return the number of names without exactly one winner. */
static long count_wrong(const struct racer *racers, int n)
{
	long wrong = 0;
	for (long i = 0; i < count; i++) {
		int winners = 0;
		for (int k = 0; k < n; k++)
			winners += racers[k].won[i];
		if (winners != 1) {
			fprintf(stderr, "race_create: %s%ld has %d winners\n", prefix, i, winners);
			wrong++;
		}
	}
	return wrong;
}

int main(int argc, char **argv)
{
	struct racer racers[DIRS_MAX] = { { 0 } };
	int n = argc - 4;
	long wrong = 0;
	if (argc > 4) {
		make_dirs = strcmp(argv[1], "mkdir") == 0;
		prefix = argv[2];
		count = strtol(argv[3], NULL, 10);
	}
	if (n < 1 || n > DIRS_MAX || count < 1 || (!make_dirs && strcmp(argv[1], "excl") != 0)) {
		fputs("usage: race_create excl|mkdir PREFIX N DIR...\n", stderr);
		return 2;
	}
	pthread_barrier_init(&barrier, NULL, (unsigned)n);
	for (int k = 0; k < n; k++) {
		racers[k].number = k + 1;
		racers[k].dir = argv[4 + k];
		racers[k].won = calloc((size_t)count, 1);
		if (!racers[k].won ||
		    pthread_create(&racers[k].thread, NULL, create_all, &racers[k])) {
			fputs("race_create: no memory or threads\n", stderr);
			return 1;
		}
	}
	for (int k = 0; k < n; k++) {
		pthread_join(racers[k].thread, NULL);
		wrong += racers[k].faults;
		printf("%ld%c", racers[k].wins, k + 1 < n ? ' ' : '\n');
	}
	wrong += count_wrong(racers, n);
	for (int k = 0; k < n; k++)
		free(racers[k].won);
	return wrong || fflush(stdout) ? 1 : 0;
}
