/* Store place: checks that a store's directory is safe, opens its files, and serialises
 * startup. */
#ifndef KEYDIR_STORE_PLACE_H
#define KEYDIR_STORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct store_place;

/* Return the default directory of a store: /dev/shm/keydir for root, /dev/shm/keydir-UID
 * for other users. Valid for the life of the program. Thread-safe. */
const char *store_place_default(void);

/* Open the directory PATH, creating it (0700, parents too) if it is missing, and check that
 * no other user except root can change it or a file of the store in it. Others may create
 * files in it only if it belongs to this user and has the sticky bit. Returns 0 and *RET
 * (store_place_close()), or -errno with a sentence in WHY (may be NULL): -EPERM if another
 * user could change it. */
int store_place_open(const char *path, struct store_place **ret, char *why, size_t why_size);
/* Do the same, and wait until no other process is starting in it. Until store_place_close()
 * only the caller may decide whether a store exists, create it, and open it. */
int store_place_begin(const char *path, struct store_place **ret, char *why, size_t why_size);
/* Close the directory and release the startup lock. NULL is allowed. */
void store_place_close(struct store_place *place);

/* Return the path without trailing slashes; owned by PLACE. */
const char *store_place_path(const struct store_place *place);
/* Return the descriptor of the directory; owned by PLACE. */
int store_place_fd(const struct store_place *place);
/* Return whether the directory has a store: a data.mdb that is not empty. (A process killed
 * while creating the store leaves an empty one.) */
bool store_place_has_store(const struct store_place *place);

/* Fill RET with the status of NAME, one of the files of a store. Returns 0 or -errno:
 * -ENOENT if it does not exist, -EPERM if another user could change it. */
int store_place_stat(const struct store_place *place, const char *name, struct stat *ret);
/* Open NAME, one of the files of a store, with FLAGS of open(2); O_CREAT creates it with
 * mode 0600. Does not follow links. Returns a descriptor (close-on-exec), or -errno: -EPERM
 * if another user could change the file. */
int store_place_file(const struct store_place *place, const char *name, int flags);
/* Do the same in the directory PATH, which must exist. */
int store_place_file_in(const char *path, const char *name, int flags);

/* Remember which files the store has now; files already remembered are kept. Only one
 * thread may call this, before others check. */
void store_place_remember(struct store_place *place);
/* Check that PATH still leads to the remembered files. Returns 0, or -ESTALE with a
 * sentence in WHY if they were removed or replaced, because another process started there
 * would not share this store. Thread-safe; costs an lstat(2) per file. */
int store_place_check(const struct store_place *place, char *why, size_t why_size);

#endif
