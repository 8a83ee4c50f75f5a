/* The metrics file: a mount's metrics, for a program that collects such files. */
#ifndef KEYDIR_FS_METRICS_FILE_H
#define KEYDIR_FS_METRICS_FILE_H

#include "common/node/node.h"

struct metrics_file;

/* Write NODE's metrics to PATH now and every ten seconds, from a thread of its own. Each
 * time the file is replaced as a whole. Returns 0, or -errno if the first one cannot be
 * written; later errors are logged. PATH is copied. */
int metrics_file_start(struct node *node, const char *path, struct metrics_file **ret);
/* End the thread and remove the file. NULL is fine. */
void metrics_file_stop(struct metrics_file *file);

#endif
