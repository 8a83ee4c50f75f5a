/* Check: compares a sample of the kernel's caches with the store, in the background. */
#ifndef KEYDIR_FS_CHECK_H
#define KEYDIR_FS_CHECK_H

#include <stddef.h>
#include <stdint.h>

struct check;
struct mount;
struct probe;

/* Largest number of comparisons in a second. */
#define CHECK_RATE_MAX 1000

/* Start the check of M, which is mounted and caches, with RATE comparisons in a second (1 to
 * CHECK_RATE_MAX). CONNECTION is mounted at DIR. Returns 0 and *RET, or -errno. */
int check_start(struct mount *m, unsigned rate, unsigned connection, const char *dir,
                struct check **ret);
/* End the check. Call it while requests are still served. NULL is fine for all functions below. */
void check_stop(struct check *check);
void check_free(struct check *check);

/* Note a name that was changed (PARENT is the store's inode), for the sample. Thread-safe. Notes
 * one name for each comparison; other calls return at once. */
void check_note(struct check *check, uint64_t parent, const char *name, size_t len);

/* Take a FUSE_NOTIFY_REPLY of SIZE bytes from the kernel (retrieve.h). */
void check_answer(struct check *check, const void *request, size_t size);

/* Return the process whose requests for the attributes of files are refused (probe.h), or NULL. */
const struct probe *check_probe(const struct check *check);

#endif
