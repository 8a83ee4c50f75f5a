/* Keys: the rules a path must follow, and taking paths apart. */
#ifndef KEYDIR_KEY_H
#define KEYDIR_KEY_H

#include <stdbool.h>
#include <stddef.h>

/* Limits of DESIGN.md section 1; NAME_MAX and PATH_MAX of Linux. */
#define KEY_NAME_MAX 255
#define KEY_MAX 4096

/* What is wrong with a key; KEY_OK is 0. */
enum key_fault {
	KEY_OK = 0,
	KEY_EMPTY,      /* no byte at all */
	KEY_TOO_LONG,   /* more than KEY_MAX bytes */
	KEY_NAME_LONG,  /* a name of more than KEY_NAME_MAX bytes */
	KEY_NAME_EMPTY, /* "//", or a slash at the start or the end */
	KEY_DOT,        /* a name is "." or ".." */
	KEY_NUL,        /* a NUL byte */
};

/* Checks a whole key: names of 1 to 255 bytes joined by '/', no slash at
 * either end. Any bytes but NUL and '/' may stand in a name: keys are bytes,
 * not text. Thread-safe; reads KEY only. */
enum key_fault key_check(const char *key, size_t len);

/* Checks one name (a key without '/'; a '/' in it is KEY_NAME_EMPTY). */
enum key_fault key_check_name(const char *name, size_t len);

/* A sentence that says what is wrong, without a full stop. Static storage. */
const char *key_fault_text(enum key_fault fault);

/* Takes the next name off the front of a key: *KEY and *LEN move behind it
 * and its slash. Returns false when nothing is left. Does not check. */
bool key_next(const char **key, size_t *len, const char **ret_name, size_t *ret_name_len);

/* Length of the parent's part of KEY (0 for a top-level key). */
size_t key_parent_len(const char *key, size_t len);

/* Where the last name of KEY starts; it goes on to the end. */
size_t key_name_start(const char *key, size_t len);

#endif
