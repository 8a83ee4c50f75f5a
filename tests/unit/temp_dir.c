/* Temporary directories: one for each test.
 *
 * Stores are sparse files in memory that many processes of one test share, so each
 * test gets a directory rather than a file. Thread-safe. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static char *make_below(const char *base)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/keydir-test.XXXXXX", base);
	assert_in_range(n, 1, sizeof(path) - 1);
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

char *temp_dir_small(size_t bytes)
{
	char options[64], *dir;

	/* The kernel removes a mount namespace with its last process, even after a
	 * crash. */
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("# no mount namespace: %s\n", strerror(errno));
		return NULL;
	}
	dir = temp_dir_new();
	snprintf(options, sizeof(options), "size=%zu,mode=700", bytes);
	if (mount("tmpfs", dir, "tmpfs", 0, options) < 0) {
		print_message("# cannot mount a tmpfs: %s\n", strerror(errno));
		temp_dir_remove(dir);
		return NULL;
	}
	return dir;
}

void temp_dir_resize(const char *dir, size_t bytes)
{
	char options[64];

	snprintf(options, sizeof(options), "size=%zu", bytes);
	if (mount("tmpfs", dir, "tmpfs", MS_REMOUNT, options) < 0)
		fail_msg("cannot resize the tmpfs: %s", strerror(errno));
}

void temp_dir_fill(const char *dir)
{
	char path[4096], page[4096];
	int n = snprintf(path, sizeof(path), "%s/fill", dir);
	int fd;

	assert_in_range(n, 1, sizeof(path) - 1);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	memset(page, 0, sizeof(page));
	while (write(fd, page, sizeof(page)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

void temp_dir_remove(char *dir)
{
	if (!dir)
		return;
	umount2(dir, MNT_DETACH); /* Fails unless DIR is from temp_dir_small(). */
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(dir);
}

int temp_dir_set_up(void **state)
{
	*state = temp_dir_new();
	return 0;
}

int temp_dir_tear_down(void **state)
{
	temp_dir_remove(*state);
	return 0;
}
