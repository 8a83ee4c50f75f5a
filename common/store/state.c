/* Store state: whether the file must be checked before it is opened.
 *
 * LMDB trusts the pages of its file, and a damaged one ends the process. Killing a process
 * does not damage the file. A crash of the machine may, if the store is on a disk, and so
 * may a user who replaces the file by an incomplete copy. So the file DIR/state records how
 * the store was left: "clean", or "open" by processes that may still run or have died. It
 * also records the device and inode of data.mdb and, if the store was left clean, its size
 * and modification time. If this does not match, a child process reads the file before LMDB
 * opens it here; that takes 0.3 to 2 s per million keys.
 *
 * Each process that has the store open holds a shared lock (flock(2)) on the file, which
 * the kernel releases when the process dies. A process that gets the exclusive lock is the
 * only one that has the store open. */
#include "common/store/state.h"

#include "common/base/logger.h"
#include "common/store/place.h"
#include "common/store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES 128
#define PATH_BYTES 4096

/* Describe the data file in the form that the file "state" uses. Returns 0 or -errno;
 * -ENOENT if it is missing or empty. */
static int describe_file(const char *dir, const char *how, char text[TEXT_BYTES])
{
	char path[PATH_BYTES];
	struct stat st;
	if ((size_t)snprintf(path, sizeof(path), "%s/data.mdb", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return -ENOENT;
	int len = snprintf(text, TEXT_BYTES, "%s %" PRIuMAX " %" PRIuMAX, how, (uintmax_t)st.st_dev,
	                   (uintmax_t)st.st_ino);
	if (strcmp(how, "clean") == 0)
		snprintf(text + len, TEXT_BYTES - (size_t)len, " %" PRIdMAX " %" PRIdMAX ".%09ld",
		         (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

static void write_state(int fd, const char *dir, const char *how)
{
	char text[TEXT_BYTES];
	/* If this fails, the next start only checks the file once more. */
	if (ftruncate(fd, 0) < 0 || describe_file(dir, how, text) < 0 ||
	    pwrite(fd, text, strlen(text), 0) < 0 || fsync(fd) < 0)
		logger(LOGGER_DEBUG, "cannot record the state of the store store=%s why=\"%s\"",
		       dir, strerror(errno));
}

/* Return whether the data file may differ from what processes of this version left. */
static bool is_doubtful(int fd, const char *dir, bool on_disk)
{
	char was[TEXT_BYTES] = "", clean[TEXT_BYTES], open[TEXT_BYTES];
	if (pread(fd, was, sizeof(was) - 1, 0) < 0 || describe_file(dir, "clean", clean) < 0 ||
	    describe_file(dir, "open", open) < 0)
		return true;
	return strcmp(was, clean) != 0 && (on_disk || strcmp(was, open) != 0);
}

static int check_data(const char *dir, char *why, size_t why_size)
{
	char found[256] = "";
	int r = store_file_check(dir, NULL, found, sizeof(found));
	if (r < 0)
		snprintf(why, why_size, "cannot open the store %s: %s%s", dir,
		         found[0] ? found : strerror(-r),
		         r == -EPROTO ? ": restore a complete copy of data.mdb, or remove it" : "");
	return r;
}

/* Lock FD. *RET_ALONE says whether the lock is exclusive. Returns 0 or -errno. */
static int lock_state(int fd, bool *ret_alone)
{
	int r;
	*ret_alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (*ret_alone)
		return 0;
	do /* the other process may be checking the file, or closing it */
		r = flock(fd, LOCK_SH);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	*ret_alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
	/* The attempt may have released the shared lock (flock(2)). */
	return *ret_alone || flock(fd, LOCK_SH) == 0 ? 0 : -errno;
}

int store_state_begin(const char *dir, bool on_disk, struct store_state *ret, char *why,
                      size_t why_size)
{
	char path[PATH_BYTES], ignored[TEXT_BYTES];
	if ((size_t)snprintf(path, sizeof(path), "%s/state", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	int r = ret->fd = store_place_file_in(dir, "state", O_RDWR | O_CREAT);
	if (r >= 0)
		r = lock_state(ret->fd, &ret->alone);
	if (r < 0) {
		snprintf(why, why_size, "cannot lock %s: %s", path, strerror(-r));
	} else if (ret->alone && describe_file(dir, "open", ignored) != -ENOENT &&
	           is_doubtful(ret->fd, dir, on_disk)) {
		logger(LOGGER_INFO, "checking the store, which was not closed cleanly store=%s",
		       dir);
		r = check_data(dir, why, why_size);
	}
	if (r < 0 && ret->fd >= 0)
		close(ret->fd);
	return r;
}

void store_state_opened(struct store_state *state, const char *dir)
{
	if (state->alone) {
		write_state(state->fd, dir, "open");
		flock(state->fd, LOCK_SH);
	}
}

void store_state_end(struct store_state *state, const char *dir, bool clean)
{
	if (clean && flock(state->fd, LOCK_EX | LOCK_NB) == 0)
		write_state(state->fd, dir, "clean");
	close(state->fd);
}
