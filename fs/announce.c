/* Announcer: makes inotify watchers see changes by other clients (`-o inotify`).
 *
 * The kernel reports the system calls made on this mount to watchers; a file system cannot
 * report changes made elsewhere. (FUSE_NOTIFY_DELETE did so for removed names before Linux
 * 5.17, which took that out of d_delete(); now it reports only to watchers of the removed file
 * itself.) So a small process repeats each change on the mount as a system call, and the
 * handlers answer its requests without changing anything (fs_announced.c):
 *
 *     created      mknod, mkdir or symlink of the name: its look-up is answered with "not
 *                  found", the creation with the existing entry (IN_CREATE); then as a
 *                  changed value
 *     value        open for writing, set the time, close (IN_OPEN, IN_MODIFY,
 *                  IN_CLOSE_WRITE)
 *     attributes   set both times (IN_ATTRIB)
 *     removed      unlink or rmdir: its look-up is answered with an entry of an unused
 *                  number (IN_DELETE)
 *
 * It is a process of its own because it waits for directories' locks in the kernel: a thread
 * of this process in such a wait would keep a killed mount from ending (guard.c). It is this
 * program under another name. It receives orders through a socket, makes one announcement at a
 * time, replies when it is done, and exits when the socket is closed.
 *
 * The handlers recognize its requests by the process id in them. A probe at the start checks
 * that the kernel sends the same id that this process knows; otherwise the announcing process
 * would change the entries that it should announce. Its id cannot be reused before this process
 * has waited for it, and until then none of its requests changes anything.
 *
 * Announcements are made one at a time, in order. For a name that was removed and created again
 * only the creation is announced; equal waiting announcements are merged; those above QUEUE_MAX
 * are dropped with a warning.
 *
 * Lock: a->lock protects the fields named below, a leaf. */
#include "fs/announce.h"

#include "common/base/logger.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANNOUNCER_NAME "keydir-announce"
/* Looked up in the root at the start; a key of that name does no harm. */
#define PROBE_NAME ".keydir-announce"
#define QUEUE_MAX 4096

struct announcement_item {
	struct announcement_item *next;
	enum announcement what;
	uint64_t ino;
	uint64_t parent;
	char name[];
};

/* An order to the announcing process: a message on the socket, answered by one byte. */
struct order {
	enum announcement what; /* NOTHING: look up PROBE_NAME in the root */
	mode_t type;            /* of the entry created */
	char dir[KEY_MAX + 1];  /* below the root; empty: the root */
	char name[KEY_NAME_MAX + 1];
};

struct announcer {
	struct mount *mount;
	pthread_t thread;
	int socket;
	pid_t pid;
	atomic_bool proven; /* the kernel sends that pid in its requests */
	bool stopped;
	pthread_mutex_t lock;
	/* Protected by lock. */
	pthread_cond_t wake;
	struct announcement_item *first;
	struct announcement_item *last; /* of the queue; undefined if first is NULL */
	unsigned nqueued;
	bool dropping; /* the queue was full, and a warning was logged */
	bool stop;
	const struct announcement_item *current;
	bool made; /* the name of the current one was created */
};

/* --- the queue ------------------------------------------------------------- */

static bool is_same(const struct announcement_item *item, enum announcement what, uint64_t ino,
                    uint64_t parent, const char *name, size_t len)
{
	return item->what == what && item->ino == ino && item->parent == parent &&
	       strncmp(item->name, name, len) == 0 && item->name[len] == '\0';
}

/* Append an announcement to the queue, unless it is full or ends with an equal one. A->lock is
 * held. */
static void queue_announcement(struct announcer *a, enum announcement what, uint64_t ino,
                               uint64_t parent, const char *name, size_t len)
{
	if (a->first && is_same(a->last, what, ino, parent, name, len))
		return;
	struct announcement_item *item = a->nqueued < QUEUE_MAX ? malloc(sizeof(*item) + len + 1) :
	                                                          NULL;
	if (!item) {
		if (!a->dropping)
			logger(LOGGER_WARN,
			       "-o inotify: changes arrive faster than they can be announced to "
			       "watchers; dropping those above %d",
			       QUEUE_MAX);
		a->dropping = true;
		return;
	}
	item->what = what;
	item->ino = ino;
	item->parent = parent;
	memcpy(item->name, name, len);
	item->name[len] = '\0';
	item->next = NULL;
	if (a->first)
		a->last->next = item;
	else
		a->first = item;
	a->last = item;
	a->nqueued++;
	pthread_cond_signal(&a->wake);
}

void announce_change(struct announcer *a, enum announcement what, uint64_t ino, uint64_t parent,
                     const char *name, size_t len)
{
	if (!a || what == ANNOUNCE_NOTHING ||
	    !atomic_load_explicit(&a->proven, memory_order_acquire))
		return;
	pthread_mutex_lock(&a->lock);
	if (!a->stop)
		queue_announcement(a, what, ino, parent, name, len);
	pthread_mutex_unlock(&a->lock);
}

/* --- one announcement ------------------------------------------------------ */

/* Return whether the kernel knows INO, without taking a lock of the kernel. */
static bool forget_attributes(const struct mount *m, uint64_t ino)
{
	return fuse_lowlevel_notify_inval_inode(m->session, kernel_ino(m, ino), -1, 0) != -ENOENT;
}

/* Fill ORDER for ITEM from the store's current state. Returns false if it need not be announced any
 * more: a removed name exists again, or the reverse. *RET_INO is the inode of the name, 0: none. */
static bool fill_order(const struct mount *m, const struct announcement_item *item,
                       struct order *order, uint64_t *ret_ino)
{
	bool gone = item->what == ANNOUNCE_GONE || item->what == ANNOUNCE_GONE_DIR;
	struct view view;
	struct entry e = { 0 };

	*ret_ino = 0;
	if (view_open(m->store, &view) < 0)
		return false;
	int r = view_name(&view, item->parent, item->name, strlen(item->name), &e);
	bool placed = path_below_root(m, &view, item->parent, order->dir);
	view_close(&view);
	if (r == 0)
		*ret_ino = e.ino;
	if (!placed || gone != (r == -ENOENT) || (r < 0 && r != -ENOENT))
		return false;
	order->what = item->what;
	order->type = e.mode & S_IFMT;
	memcpy(order->name, item->name, strlen(item->name) + 1);
	return true;
}

/* Send ORDER to the announcing process and wait until it is done. Returns false if that process
 * has ended, or is being stopped. */
static bool send_order(const struct announcer *a, const struct order *order)
{
	char done;

	return send(a->socket, order, sizeof(*order), MSG_NOSIGNAL) == sizeof(*order) &&
	       recv(a->socket, &done, sizeof(done), 0) == sizeof(done);
}

/* Announce ITEM, which is A->current. Returns as send_order(). */
static bool announce_one(struct announcer *a, const struct announcement_item *item,
                         struct order *order)
{
	struct mount *m = a->mount;
	uint64_t ino;

	/* An inode that the kernel does not know cannot be watched. */
	if (!forget_attributes(m, item->parent) && !forget_attributes(m, item->ino))
		return true;
	if (!fill_order(m, item, order, &ino))
		return true;
	/* A program may have looked up the name since the notification. */
	if (item->what == ANNOUNCE_MADE && !busy_lately(&m->busy, item->parent))
		fuse_lowlevel_notify_inval_entry(m->session, kernel_ino(m, item->parent),
		                                 item->name, strlen(item->name));
	if (!send_order(a, order))
		return false;
	/* If the name was created again in the meantime, the kernel may believe that the new entry was
	 * removed. */
	if (item->what == ANNOUNCE_GONE || item->what == ANNOUNCE_GONE_DIR) {
		fill_order(m, item, order, &ino);
		if (ino)
			forget_attributes(m, ino);
	}
	return true;
}

/* Probe the announcing process, then make one announcement after the other. */
static void *announcer_thread(void *arg)
{
	struct announcer *a = arg;
	struct order order = { .what = ANNOUNCE_NOTHING };
	bool alive = send_order(a, &order);

	if (alive && !atomic_load_explicit(&a->proven, memory_order_acquire))
		logger(LOGGER_WARN,
		       "-o inotify: changes made elsewhere are not announced, because the kernel "
		       "sends another process id than pid=%d for the announcing process; "
		       "GET /v1/watch reports these changes",
		       (int)a->pid);
	pthread_mutex_lock(&a->lock);
	while (alive && !a->stop) {
		struct announcement_item *item = a->first;

		if (!item) {
			a->dropping = false;
			pthread_cond_wait(&a->wake, &a->lock);
			continue;
		}
		a->first = item->next;
		a->nqueued--;
		a->current = item;
		a->made = false;
		pthread_mutex_unlock(&a->lock);
		alive = announce_one(a, item, &order);
		pthread_mutex_lock(&a->lock);
		a->current = NULL;
		free(item);
	}
	if (!a->stop)
		logger(LOGGER_WARN,
		       "-o inotify: the announcing process pid=%d has ended; changes made elsewhere "
		       "are not announced until the next mount",
		       (int)a->pid);
	a->stop = true;
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* --- start and stop -------------------------------------------------------- */

static int start_process(struct announcer *a, unsigned connection, const char *dir)
{
	char number[16], name[] = ANNOUNCER_NAME;
	char *const argv[] = { name, number, (char *)(uintptr_t)dir, NULL };
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	snprintf(number, sizeof(number), "%u", connection);
	int r = subprocess_start(argv, ends[1], &pid);
	close(ends[1]);
	if (r < 0) {
		close(ends[0]);
		return r;
	}
	a->socket = ends[0];
	a->pid = pid;
	return 0;
}

int announcer_start(struct mount *m, unsigned connection, const char *dir, struct announcer **ret)
{
	struct announcer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->mount = m;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wake, NULL);
	int r = start_process(a, connection, dir);
	if (r == 0) {
		r = -pthread_create(&a->thread, NULL, announcer_thread, a);
		if (r < 0)
			close(a->socket);
	}
	if (r < 0) {
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void announcer_stop(struct announcer *a)
{
	if (!a || a->stopped)
		return;
	a->stopped = true;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->lock);
	kill(a->pid, SIGKILL);
	shutdown(a->socket, SHUT_RDWR);
	pthread_join(a->thread, NULL);
}

void announcer_free(struct announcer *a)
{
	if (!a)
		return;
	announcer_stop(a);
	close(a->socket);
	waitpid(a->pid, NULL, 0);
	while (a->first) {
		struct announcement_item *item = a->first;

		a->first = item->next;
		free(item);
	}
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* --- for the handlers ------------------------------------------------------ */

bool announcer_is(const struct announcer *a, pid_t pid)
{
	return a && pid == a->pid;
}

enum announcement announcer_current(struct announcer *a, uint64_t parent, const char *name)
{
	enum announcement what = ANNOUNCE_NOTHING;

	pthread_mutex_lock(&a->lock);
	if (a->current && !a->made && a->current->parent == parent &&
	    strcmp(a->current->name, name) == 0)
		what = a->current->what;
	pthread_mutex_unlock(&a->lock);
	return what;
}

void announcer_note_created(struct announcer *a)
{
	pthread_mutex_lock(&a->lock);
	a->made = true;
	pthread_mutex_unlock(&a->lock);
}

bool announcer_check_probe(struct announcer *a, pid_t pid, const char *name)
{
	if (!announcer_is(a, pid) || strcmp(name, PROBE_NAME) != 0)
		return false;
	atomic_store_explicit(&a->proven, true, memory_order_release);
	return true;
}

/* --- the announcing process ------------------------------------------------ */

/* Open PATH below DIR, never outside this mount. Returns a descriptor, or -1 with errno. */
static int open_below(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static void touch_value(int dir, const char *name)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };
	int fd = open_below(dir, name, O_WRONLY | O_NONBLOCK);

	if (fd < 0)
		return;
	futimens(fd, times);
	close(fd);
}

/* Create the name of ORDER. Errors are ignored, because no caller could act on them: watchers then
 * miss this change. */
static void create_name(int dir, const struct order *order)
{
	if (S_ISDIR(order->type)) {
		mkdirat(dir, order->name, 0700);
	} else if (S_ISLNK(order->type)) {
		if (symlinkat("-", dir, order->name) < 0)
			return;
	} else {
		mknodat(dir, order->name, S_IFREG | 0600, 0);
		touch_value(dir, order->name);
	}
}

static void make_announcement(int dir, const struct order *order)
{
	struct stat st;

	switch (order->what) {
	case ANNOUNCE_NOTHING:
		fstatat(dir, PROBE_NAME, &st, AT_SYMLINK_NOFOLLOW);
		break;
	case ANNOUNCE_MADE:
		create_name(dir, order);
		break;
	case ANNOUNCE_VALUE:
		touch_value(dir, order->name);
		break;
	case ANNOUNCE_ATTR:
		utimensat(dir, order->name, NULL, AT_SYMLINK_NOFOLLOW);
		break;
	case ANNOUNCE_GONE:
		unlinkat(dir, order->name, 0);
		break;
	case ANNOUNCE_GONE_DIR:
		unlinkat(dir, order->name, AT_REMOVEDIR);
		break;
	}
}

/* Carry out ORDER. The mount is open only for this time, so that it can be unmounted between two
 * orders. */
static void handle_order(unsigned connection, const char *mountpoint, const struct order *order)
{
	int root = open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (root < 0)
		return;
	if (fstat(root, &st) == 0 && minor(st.st_dev) == connection) {
		int dir = open_below(root, *order->dir ? order->dir : ".", O_PATH | O_DIRECTORY);

		if (dir >= 0) {
			make_announcement(dir, order);
			close(dir);
		}
	}
	close(root);
}

bool announcer_wanted(int argc, char **argv)
{
	return argc == 3 && strcmp(argv[0], ANNOUNCER_NAME) == 0;
}

int announcer_main(char **argv)
{
	unsigned connection = (unsigned)strtoul(argv[1], NULL, 10);
	const char *mountpoint = argv[2];
	struct order order;

	if (subprocess_begin(ANNOUNCER_NAME) < 0)
		return EXIT_FAILURE;
	while (recv(STDIN_FILENO, &order, sizeof(order), 0) == sizeof(order)) {
		handle_order(connection, mountpoint, &order);
		if (send(STDIN_FILENO, "", 1, MSG_NOSIGNAL) != 1)
			break;
	}
	return EXIT_SUCCESS;
}
