/* Keys: the rules for paths, and how to split them. */
#ifndef KEYDIR_KEY_H
#define KEYDIR_KEY_H

#include <stdbool.h>
#include <stddef.h>

/* Limits of names and keys (common/DESIGN.md); the same as NAME_MAX and PATH_MAX of Linux. */
#define KEY_NAME_MAX 255
#define KEY_MAX 4096

/* Reasons why a key is invalid; KEY_OK is 0. */
enum key_fault {
	KEY_OK = 0,
	KEY_EMPTY,      /* the key has no bytes */
	KEY_TOO_LONG,   /* longer than KEY_MAX bytes */
	KEY_NAME_LONG,  /* a name is longer than KEY_NAME_MAX bytes */
	KEY_NAME_EMPTY, /* "//", or a slash at the start or end */
	KEY_DOT,        /* a name is "." or ".." */
	KEY_NUL,        /* a NUL byte */
};

/* Check a whole key: names of 1 to 255 bytes joined by '/', without a slash at either end.
 * A name may contain any bytes except NUL and '/': keys are bytes, not text. Returns KEY_OK
 * or the first fault found. Thread-safe. */
enum key_fault key_check(const char *key, size_t len);

/* Check a single name. A '/' in it is KEY_NAME_EMPTY. Thread-safe. */
enum key_fault key_check_name(const char *name, size_t len);

/* Return a sentence that describes FAULT, without a full stop. Static storage. */
const char *key_fault_text(enum key_fault fault);

/* Take the first name off KEY: advance *KEY and *LEN past the name and its slash. Returns
 * false if no name is left. Does not validate the key. */
bool key_next(const char **key, size_t *len, const char **ret_name, size_t *ret_name_len);

/* Return the length of the parent's path within KEY, or 0 for a top-level key. */
size_t key_parent_len(const char *key, size_t len);

/* Return the index at which the last name of KEY starts. The name extends to the end of
 * KEY. */
size_t key_name_start(const char *key, size_t len);

#endif
