/* Serving: one mount from its start to its end. */
#ifndef KEYDIR_FS_SERVE_H
#define KEYDIR_FS_SERVE_H

#include "fs_options.h"

#include <stddef.h>

/* Opens the node, mounts, serves until unmounted or told to stop by a signal
 * (SIGTERM, SIGINT), then flushes and closes. READY(ARG) is called once the
 * mount is there. OPTIONS must outlive the call. Returns 0, or -errno with a
 * sentence in WHY if it never came to be ready. */
int serve(const struct fs_options *options, void (*ready)(void *arg), void *arg, char *why,
          size_t why_size);

#endif
