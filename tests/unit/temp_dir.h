/* Directories of their own for tests. */
#ifndef KEYDIR_TEST_TEMP_DIR_H
#define KEYDIR_TEST_TEMP_DIR_H

/* Makes an empty directory in memory (below $TMPDIR or, without that,
 * /dev/shm); the caller removes it with temp_dir_remove(). Fails the test if
 * that is not possible. */
char *temp_dir_new(void);
/* The same on a disk, if this machine has one that can be written to: below
 * $KEYDIR_DISK or /var/tmp. */
char *temp_dir_on_disk(void);
/* Removes DIR with all in it and frees the text. NULL is fine. */
void temp_dir_remove(char *dir);

#endif
