/* Frozen files: handles that stay on the version of a value that they were opened with. */
#ifndef KEYDIR_FS_FROZEN_H
#define KEYDIR_FS_FROZEN_H

#include "fs/file.h"

/* After this time without an open for reading or a read request a file is not frozen, and
 * does not stay frozen. */
#define FROZEN_ACTIVE_MS 60000
/* Two requests for the size of a frozen file, at least this far apart, thaw it. */
#define FROZEN_REQUESTS_MS 1000

/* --- the caller holds F->lock; NOW_MS is of clock_mono_ms() ----------------- */

/* Freeze F at the version that the kernel has of it, if VIEW has a newer value and F meets
 * the conditions in frozen.c. Returns true if this call froze F; the caller must then invalidate
 * the name that leads to F, because F->stale_name is set. */
bool frozen_try(struct files *files, struct file *f, const struct view *view, int64_t now_ms);

/* Note a request for the size of F, or a read that means the same (frozen.c). Returns true if F
 * is frozen and must be thawed now; from then on F shows each new version. */
bool frozen_size_requested(struct file *f, int64_t now_ms);

/* Return whether F is frozen and has to be thawed because it was not read lately; from then on F
 * shows each new version. */
bool frozen_expired(struct file *f, int64_t now_ms);

/* Let F, if it is frozen, follow its entry again, and load the value that VIEW has if F is
 * open. A file whose entry is gone stays frozen. On success make the kernel drop the pages of F,
 * then call frozen_end(). Returns 0, or -errno and leaves F unchanged. */
int frozen_thaw(struct file *f, const struct view *view);
void frozen_end(struct files *files, struct file *f);

/* Note that the last handle of F was closed. Returns true if F has to be thawed. */
bool frozen_closed(struct files *files, struct file *f);

#endif
