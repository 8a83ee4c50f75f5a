/* Store place: checks that a store's directory is safe, opens its files, and serialises
 * startup.
 *
 * The default directory is in /dev/shm, where any user may create a directory of that name
 * first, with links in it to other users' files. So the directory and each file are opened
 * without following links. They are used only if they belong to this user or root and no
 * other user may write to them, and a file must not have a second name. LMDB opens files by
 * name, so it is given the opened directory (/proc/self/fd/N). Therefore parents may be
 * shared directories such as /dev/shm.
 *
 * A directory of this user with the sticky bit is accepted even if others may write to it
 * (a tmpfs is mounted with mode 1777 by default). Only root and this user can remove or
 * replace this user's files there, but others can create files first. Such files are
 * refused, so others can keep a node from starting but nothing more. Therefore each file
 * must be checked or created with store_place_file() before anything opens it by name.
 *
 * A process holds start.lock while it decides whether there is a store, fetches a snapshot,
 * creates the store and opens it. A process that waited continues with what the other one
 * created. The kernel releases the lock when its process dies.
 *
 * A store can be removed while processes use it, by rm or by systemd-logind, which removes
 * a user's files in /dev/shm at the last logout (RemoveIPC= in logind.conf(5)). The
 * processes would continue with files that no other process can open, so they remember the
 * device and inode number of each file and compare them later. */
#include "common/store/place.h"

#include "common/base/logger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_DIR "/dev/shm/keydir"
#define PATH_BYTES 4096
#define START_LOCK "start.lock"
#define MAX_ATTEMPTS 100 /* to open a directory that other processes remove */

/* All files of a store. start.lock must be the last: it matters only during startup. */
static const char *const names[] = {
	"data.mdb", "lock.mdb",    "bell",          "recency",
	"state",    "processes.1", "consumer.lock", START_LOCK,
};
#define NNAMES (sizeof(names) / sizeof(names[0]))
#define NKEPT (NNAMES - 1) /* those that a running process keeps open */

struct identity {
	dev_t dev;
	ino_t ino; /* 0: the file did not exist */
};

struct store_place {
	char *path; /* without trailing slashes */
	int fd;
	int lock_fd; /* -1: not held */
	struct identity files[NKEPT];
};

static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static char default_dir[sizeof(DEFAULT_DIR) + 24];

static void choose_default(void)
{
	if (geteuid() == 0)
		snprintf(default_dir, sizeof(default_dir), "%s", DEFAULT_DIR);
	else
		snprintf(default_dir, sizeof(default_dir), "%s-%lu", DEFAULT_DIR,
		         (unsigned long)geteuid());
}

const char *store_place_default(void)
{
	pthread_once(&default_once, choose_default);
	return default_dir;
}

__attribute__((format(printf, 4, 5))) static int refuse(int err, char *why, size_t why_size,
                                                        const char *fmt, ...)
{
	va_list args;

	if (why && why_size) {
		va_start(args, fmt);
		vsnprintf(why, why_size, fmt, args);
		va_end(args);
	}
	return err;
}

/* --- trust --- */

static bool others_may_write(const struct stat *st)
{
	return st->st_mode & (S_IWGRP | S_IWOTH);
}

/* Return whether ST is a directory of this user from which others cannot remove or
 * rename this user's files (inode(7), S_ISVTX). */
static bool is_own_sticky(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX && st->st_uid == geteuid();
}

/* Check that only this user and root can change the file described by ST: NAME in the
 * directory PATH, or PATH itself if NAME is "". */
static int check_owner(const char *path, const char *name, const struct stat *st, char *why,
                       size_t why_size)
{
	const char *slash = *name ? "/" : "";

	if (S_ISLNK(st->st_mode))
		return refuse(-EPERM, why, why_size,
		              "%s%s%s is a symbolic link, which a store does not follow: remove "
		              "it, or choose another --store",
		              path, slash, name);
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return refuse(-EPERM, why, why_size,
		              "%s%s%s belongs to user %lu, who could change the store of user "
		              "%lu: choose another --store, or have that user remove it",
		              path, slash, name, (unsigned long)st->st_uid,
		              (unsigned long)geteuid());
	if (others_may_write(st) && !is_own_sticky(st))
		return refuse(-EPERM, why, why_size,
		              "%s%s%s can be written to by other users (mode %04o): check that "
		              "it contains no foreign files and run chmod go-w on it, or choose "
		              "another --store",
		              path, slash, name, st->st_mode & 07777u);
	return 0;
}

static int check_file(const char *path, const char *name, const struct stat *st, char *why,
                      size_t why_size)
{
	int r = check_owner(path, name, st, why, why_size);

	if (r == 0 && !S_ISREG(st->st_mode))
		r = refuse(-EPERM, why, why_size,
		           "%s/%s is not a regular file: remove it, or choose another --store",
		           path, name);
	if (r == 0 && st->st_nlink > 1)
		r = refuse(-EPERM, why, why_size,
		           "%s/%s has %lu names (hard links), and may be a file of another "
		           "directory: remove it, or choose another --store",
		           path, name, (unsigned long)st->st_nlink);
	return r;
}

static int check_files(const struct store_place *place, char *why, size_t why_size)
{
	struct stat st;

	for (size_t i = 0; i < NNAMES; i++) {
		if (fstatat(place->fd, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		int r = check_file(place->path, names[i], &st, why, why_size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- opening --- */

/* Create PATH and its missing parents. */
static int make_dirs(const char *path)
{
	char part[PATH_BYTES];
	size_t len = strlen(path);

	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		char c = part[i];
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -errno;
		part[i] = c;
	}
	return 0;
}

/* Open and check the directory PATH itself. Returns a descriptor or -errno. */
static int open_dir(const char *path, char *why, size_t why_size)
{
	struct stat st;

	/* Check this first for the sake of the message: open(2) also returns ENOTDIR for a
	 * symbolic link. */
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return check_owner(path, "", &st, why, why_size);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
	if (r < 0)
		refuse(r, why, why_size, "cannot open the store directory %s: %s", path,
		       strerror(-r));
	else
		r = check_owner(path, "", &st, why, why_size);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

int store_place_open(const char *path, struct store_place **ret, char *why, size_t why_size)
{
	size_t len = strlen(path);
	int r;

	while (len > 1 && path[len - 1] == '/')
		len--;
	struct store_place *place = calloc(1, sizeof(*place));
	if (place)
		place->path = strndup(path, len);
	r = !place || !place->path ? -ENOMEM : len == 0 || len >= PATH_BYTES ? -ENAMETOOLONG : 0;
	if (r == 0)
		r = make_dirs(place->path);
	if (r < 0) {
		refuse(r, why, why_size, "cannot create the store directory %s: %s", path,
		       strerror(-r));
		goto err_free;
	}
	place->lock_fd = -1;
	r = place->fd = open_dir(place->path, why, why_size);
	if (r < 0)
		goto err_free;
	r = check_files(place, why, why_size);
	if (r < 0)
		goto err_close;
	*ret = place;
	return 0;

err_close:
	close(place->fd);
err_free:
	if (place)
		free(place->path);
	free(place);
	return r;
}

void store_place_close(struct store_place *place)
{
	if (!place)
		return;
	if (place->lock_fd >= 0)
		close(place->lock_fd);
	close(place->fd);
	free(place->path);
	free(place);
}

const char *store_place_path(const struct store_place *place)
{
	return place->path;
}

int store_place_fd(const struct store_place *place)
{
	return place->fd;
}

int store_place_stat(const struct store_place *place, const char *name, struct stat *ret)
{
	if (fstatat(place->fd, name, ret, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return check_file(place->path, name, ret, NULL, 0);
}

bool store_place_has_store(const struct store_place *place)
{
	struct stat st;

	return fstatat(place->fd, "data.mdb", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

/* --- files --- */

static bool is_listed(const char *name)
{
	for (size_t i = 0; i < NNAMES; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static int open_file(int dir_fd, const char *path, const char *name, int flags)
{
	struct stat st;

	assert(is_listed(name));
	int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == ELOOP ? -EPERM : -errno;
	int r = fstat(fd, &st) < 0 ? -errno : check_file(path, name, &st, NULL, 0);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int store_place_file(const struct store_place *place, const char *name, int flags)
{
	return open_file(place->fd, place->path, name, flags);
}

int store_place_file_in(const char *path, const char *name, int flags)
{
	int dir_fd = open_dir(path, NULL, 0);

	if (dir_fd < 0)
		return dir_fd;
	int r = open_file(dir_fd, path, name, flags);
	close(dir_fd);
	return r;
}

/* --- starting --- */

/* Lock FD; log a message if another process holds the lock. Returns 0 or -errno. */
static int wait_for_lock(const struct store_place *place, int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	logger(LOGGER_INFO, "waiting for another process of this node to start store=%s",
	       place->path);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Return whether the locked file is still the one that the next process would lock. */
static bool lock_counts(const struct store_place *place)
{
	char path[PATH_BYTES + sizeof(START_LOCK) + 1];
	struct stat own, there;

	snprintf(path, sizeof(path), "%s/%s", place->path, START_LOCK);
	return fstat(place->lock_fd, &own) == 0 && lstat(path, &there) == 0 &&
	       own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

/* Warn if other users can create files in the directory. */
static void warn_if_shared(const struct store_place *place)
{
	struct stat st;

	if (fstat(place->fd, &st) == 0 && others_may_write(&st))
		logger(LOGGER_WARN,
		       "other users can put files into the store directory %s (mode %04o), which "
		       "can keep this program from starting: run chmod go-w on it",
		       place->path, st.st_mode & 07777u);
}

/* Open the store directory PATH and lock it. Returns 0, -ENOENT if another process removed
 * the directory meanwhile, or another -errno. */
static int open_locked(const char *path, struct store_place **ret, char *why, size_t why_size)
{
	struct store_place *place;
	int r = store_place_open(path, &place, why, why_size);

	if (r < 0)
		return r;
	r = place->lock_fd = store_place_file(place, START_LOCK, O_RDWR | O_CREAT);
	if (r >= 0)
		r = wait_for_lock(place, place->lock_fd);
	if (r == 0 && !lock_counts(place))
		r = -ENOENT;
	if (r < 0) {
		refuse(r, why, why_size, "cannot lock %s/%s: %s", path, START_LOCK, strerror(-r));
		store_place_close(place);
		return r;
	}
	*ret = place;
	return 0;
}

int store_place_begin(const char *path, struct store_place **ret, char *why, size_t why_size)
{
	int r, attempts = 0;

	do
		r = open_locked(path, ret, why, why_size);
	while (r == -ENOENT && ++attempts < MAX_ATTEMPTS);
	if (r == 0)
		warn_if_shared(*ret);
	return r;
}

/* --- the store that is still there --- */

void store_place_remember(struct store_place *place)
{
	struct stat st;

	for (size_t i = 0; i < NKEPT; i++) {
		if (!place->files[i].ino &&
		    fstatat(place->fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			place->files[i] = (struct identity){ st.st_dev, st.st_ino };
	}
}

int store_place_check(const struct store_place *place, char *why, size_t why_size)
{
	char path[PATH_BYTES + 32];
	struct stat st;

	for (size_t i = 0; i < NKEPT; i++) {
		const struct identity *was = &place->files[i];
		if (!was->ino)
			continue;
		snprintf(path, sizeof(path), "%s/%s", place->path, names[i]);
		bool there = lstat(path, &st) == 0;
		if (!there && errno != ENOENT && errno != ENOTDIR)
			continue; /* the state of the file is unknown */
		if (there && st.st_dev == was->dev && st.st_ino == was->ino)
			continue;
		return refuse(
		        -ESTALE, why, why_size,
		        "the store's file %s was %s while this program had it open (by rm, or "
		        "by systemd-logind at logout: RemoveIPC in logind.conf): stop all "
		        "programs of this node and start them again",
		        path, there ? "replaced" : "removed");
	}
	return 0;
}
