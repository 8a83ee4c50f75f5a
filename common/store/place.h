/* Store place: whether it is safe to use, its files, and who may start in it. */
#ifndef KEYDIR_STORE_PLACE_H
#define KEYDIR_STORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct store_place;

/* Return the directory that a store has unless the user names one: /dev/shm/keydir
 * for root, /dev/shm/keydir-UID for others. Valid as long as the program runs.
 * Thread-safe. */
const char *store_place_default(void);

/* Open the directory PATH, made (0700, parents too) if it is missing, and check
 * that no other user but root can change it or a file of the store in it; others may put
 * files into a directory of this user that has the sticky bit. Returns
 * 0 and *RET (store_place_close()), or -errno with a sentence in WHY (may be NULL):
 * -EPERM if another user could. */
int store_place_open(const char *path, struct store_place **ret, char *why, size_t why_size);
/* The same, and wait until no other process starts in it. Until store_place_close()
 * the caller alone decides whether there is a store, makes it, and opens it. */
int store_place_begin(const char *path, struct store_place **ret, char *why, size_t why_size);
/* NULL is fine. */
void store_place_close(struct store_place *place);

/* Return the path, without slashes at its end; it belongs to PLACE. */
const char *store_place_path(const struct store_place *place);
/* Return the descriptor of the directory; it belongs to PLACE. */
int store_place_fd(const struct store_place *place);
/* Return whether the directory has a store: a data.mdb that is not empty. (An empty
 * one is what a process left that was killed while it made the store.) */
bool store_place_has_store(const struct store_place *place);

/* Fill RET with what NAME, one of the files of a store, is. Returns 0 or -errno: -ENOENT
 * if there is none, -EPERM if another user could change it. */
int store_place_stat(const struct store_place *place, const char *name, struct stat *ret);
/* Open NAME, one of the files of a store, with FLAGS of open(2); O_CREAT makes it
 * with mode 0600. Follows no link. Returns a descriptor (close-on-exec), or -errno:
 * -EPERM if another user could change the file. */
int store_place_file(const struct store_place *place, const char *name, int flags);
/* The same in the directory PATH, which must be there. */
int store_place_file_in(const char *path, const char *name, int flags);

/* Remember which files the store has now; what was remembered before stays. For one
 * thread, before others check. */
void store_place_remember(struct store_place *place);
/* Check that PATH still leads to the files remembered. Returns 0, or -ESTALE with a
 * sentence in WHY if they were removed or replaced: another process that starts
 * there would share nothing with this one. Thread-safe; an lstat(2) for each file. */
int store_place_check(const struct store_place *place, char *why, size_t why_size);

#endif
