/* Metrics file: periodically writes a mount's metrics to a file.
 *
 * keydir-fs does not listen on a port. If a keydir-httpd runs on the same store, its /metrics
 * include the mount's counters (node/metrics.c). Without one, the mount can write a file for the
 * textfile collector of Prometheus' node exporter, which reads *.prom in one directory
 * (https://github.com/prometheus/node_exporter#textfile-collector) and exports the modification
 * time of the file, which shows a file that is no longer updated.
 *
 * The file is written under another name and then renamed, so that readers never see a part of it.
 * It is removed at the end, so that a stopped mount has no metrics.
 *
 * Lock: file->lock, a leaf, protects `stop`; it is not held while the file is written. */
#include "fs/metrics_file.h"

#include "common/base/clock.h"
#include "common/base/logger.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERVAL_MS 10000

struct metrics_file {
	struct node *node;
	char path[PATH_MAX];
	char draft[PATH_MAX + 16];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* protected by lock */
};

static int write_metrics(struct metrics_file *file)
{
	FILE *to = fopen(file->draft, "we");
	if (!to)
		return -errno;
	node_metrics_write(file->node, to);
	/* The collector may run as another user. */
	int r = fchmod(fileno(to), 0644) < 0 ? -errno : 0;
	if (ferror(to) && r == 0)
		r = -EIO;
	if (fclose(to) != 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(file->draft, file->path) < 0)
		r = -errno;
	if (r < 0)
		unlink(file->draft);
	return r;
}

static void *write_periodically(void *arg)
{
	struct metrics_file *file = arg;
	int failed = 0;
	pthread_mutex_lock(&file->lock);
	while (!file->stop) {
		struct timespec until = clock_mono_in(INTERVAL_MS);
		if (pthread_cond_timedwait(&file->wake, &file->lock, &until) == 0)
			continue; /* Woken to stop, or spuriously. */
		pthread_mutex_unlock(&file->lock);
		int r = write_metrics(file);
		if (r < 0 && r != failed)
			logger(LOGGER_ERROR, "cannot write the metrics file %s: %s", file->path,
			       strerror(-r));
		failed = r;
		pthread_mutex_lock(&file->lock);
	}
	pthread_mutex_unlock(&file->lock);
	return NULL;
}

static void free_metrics_file(struct metrics_file *file)
{
	pthread_cond_destroy(&file->wake);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

int metrics_file_start(struct node *node, const char *path, struct metrics_file **ret)
{
	struct metrics_file *file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->node = node;
	pthread_mutex_init(&file->lock, NULL);
	clock_cond_init(&file->wake);
	int r = -ENAMETOOLONG;
	if ((size_t)snprintf(file->path, sizeof(file->path), "%s", path) < sizeof(file->path)) {
		/* The draft's name must not end in .prom, or the collector reads it. */
		snprintf(file->draft, sizeof(file->draft), "%s.%d", path, (int)getpid());
		r = write_metrics(file);
	}
	if (r == 0)
		r = -pthread_create(&file->thread, NULL, write_periodically, file);
	if (r < 0) {
		free_metrics_file(file);
		return r;
	}
	*ret = file;
	return 0;
}

void metrics_file_stop(struct metrics_file *file)
{
	if (!file)
		return;
	pthread_mutex_lock(&file->lock);
	file->stop = true;
	pthread_cond_signal(&file->wake);
	pthread_mutex_unlock(&file->lock);
	pthread_join(file->thread, NULL);
	unlink(file->path);
	free_metrics_file(file);
}
