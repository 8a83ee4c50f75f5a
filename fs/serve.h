/* Serving: one mount from its start to its end. */
#ifndef KEYDIR_FS_SERVE_H
#define KEYDIR_FS_SERVE_H

#include "fs/fs_options.h"

#include <stddef.h>

/* Called once, by a thread of its own, when the mount exists and its guard has finished using it.
 * WARNING says why the mount cannot be used yet, or is "". */
typedef void serve_ready(void *arg, const char *warning);

/* Open the node, mount, serve until the file system is unmounted or a signal arrives (SIGTERM,
 * SIGINT), then flush and close. READY is called with ARG. OPTIONS must outlive the call. Returns
 * 0, or -errno with a sentence in WHY if the mount never became ready. */
int fs_serve(const struct fs_options *options, serve_ready *ready, void *arg, char *why,
             size_t why_size);

#endif
