/* Temporary directories: one for each test. */
#ifndef KEYDIR_TEST_TEMP_DIR_H
#define KEYDIR_TEST_TEMP_DIR_H

#include <stddef.h>

/* Create an empty directory in memory (below $TMPDIR, or /dev/shm if that is not
 * set). The caller removes it with temp_dir_remove(). Fails the test on an error. */
char *temp_dir_new(void);
/* Create one on a disk, below $KEYDIR_DISK or /var/tmp. */
char *temp_dir_on_disk(void);
/* Create a directory that is a separate tmpfs of BYTES, visible only to this process
 * and its children. Returns NULL, and prints the reason, if this process may not
 * mount. */
char *temp_dir_small(size_t bytes);
/* Change the size of such a tmpfs to BYTES. */
void temp_dir_resize(const char *dir, size_t bytes);
/* Fill such a tmpfs to its last page, with a file DIR/fill. */
void temp_dir_fill(const char *dir);
/* Remove DIR and its contents, and free the text. DIR may be NULL. */
void temp_dir_remove(char *dir);

/* Setup and teardown functions for cmocka; *state is such a directory. */
int temp_dir_set_up(void **state);
int temp_dir_tear_down(void **state);

#endif
