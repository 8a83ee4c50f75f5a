/* Directories of their own for tests. */
#ifndef KEYDIR_TEST_TEMP_DIR_H
#define KEYDIR_TEST_TEMP_DIR_H

#include <stddef.h>

/* Makes an empty directory in memory (below $TMPDIR or, without that,
 * /dev/shm); the caller removes it with temp_dir_remove(). Fails the test if
 * that is not possible. */
char *temp_dir_new(void);
/* The same on a disk, if this machine has one that can be written to: below
 * $KEYDIR_DISK or /var/tmp. */
char *temp_dir_on_disk(void);
/* A directory that is a tmpfs of its own of BYTES, which no other process but
 * those forked from this one sees; NULL, with the reason printed, if this
 * process may not mount one. */
char *temp_dir_small(size_t bytes);
/* Gives such a tmpfs another size. */
void temp_dir_resize(const char *dir, size_t bytes);
/* Fills such a tmpfs to its last page, with a file DIR/fill. */
void temp_dir_fill(const char *dir);
/* Removes DIR with all in it and frees the text. NULL is fine. */
void temp_dir_remove(char *dir);

/* cmocka's set-up and tear-down of a test whose state is such a directory. */
int temp_dir_set_up(void **state);
int temp_dir_tear_down(void **state);

#endif
