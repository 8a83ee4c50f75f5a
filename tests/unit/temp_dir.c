/* Directories of their own for tests.
 *
 * Stores are sparse files in memory that many processes of one test share, so
 * each test gets a directory and not a file. Thread-safe. */
#include "cmocka_all.h"

#include "temp_dir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *make_below(const char *base)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/keydir-test.XXXXXX", base);
	assert_in_range(n, 1, sizeof path - 1);
	if (!mkdtemp(path))
		fail_msg("cannot make a directory below %s: %s", base, strerror(errno));
	char *dir = strdup(path);
	assert_non_null(dir);
	return dir;
}

char *temp_dir_new(void)
{
	const char *base = getenv("TMPDIR");
	return make_below(base && *base ? base : "/dev/shm");
}

char *temp_dir_on_disk(void)
{
	const char *base = getenv("KEYDIR_DISK");
	return make_below(base && *base ? base : "/var/tmp");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

void temp_dir_remove(char *dir)
{
	if (dir)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(dir);
}
