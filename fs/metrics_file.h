/* Metrics file: periodically writes a mount's metrics to a file. */
#ifndef KEYDIR_FS_METRICS_FILE_H
#define KEYDIR_FS_METRICS_FILE_H

#include "common/node/node.h"

struct metrics_file;

/* Write NODE's metrics to the file PATH now, and start a thread that replaces the file every ten
 * seconds. Returns 0, or -errno if the file cannot be written now; later errors are logged. PATH is
 * copied. End the thread with metrics_file_stop(*RET) before NODE is freed. */
int metrics_file_start(struct node *node, const char *path, struct metrics_file **ret);
/* End the thread, remove the file and free FILE. NULL is fine. */
void metrics_file_stop(struct metrics_file *file);

#endif
