/* Serving: one mount from its start to its end. */
#ifndef KEYDIR_FS_SERVE_H
#define KEYDIR_FS_SERVE_H

#include "fs/fs_options.h"

#include <stddef.h>

/* Called once, by a thread of its own, when the mount is there and nothing of this program
 * uses it any more. WARNING says why what is mounted cannot be used yet, or is "". */
typedef void serve_ready(void *arg, const char *warning);

/* Opens the node, mounts, serves until unmounted or told to stop by a signal
 * (SIGTERM, SIGINT), then flushes and closes. READY gets ARG. OPTIONS must outlive
 * the call. Returns 0, or -errno with a sentence in WHY if it never came to be ready. */
int serve(const struct fs_options *options, serve_ready *ready, void *arg, char *why,
          size_t why_size);

#endif
