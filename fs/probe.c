/* Probe: a process that reads names and attributes from the kernel's caches.
 *
 * openat2(2) with RESOLVE_CACHED (Linux 5.12) looks a name up in the kernel's caches only. statx(2)
 * then returns attributes that are cached and valid. For others the kernel sends a request, but
 * keydir-fs recognizes the process and refuses it (attr.c), so that no cache changes. Only the
 * attributes of directories are given, because the kernel needs them to check the permission to
 * search the directory.
 *
 * The process needs a descriptor of the mount, and such a descriptor makes umount(2) fail. So at
 * the start it makes a private copy of the mount (OPEN_TREE_CLONE), which umount ignores. When the
 * mount disappears from /proc/self/mountinfo, the process exits; that closes the copy, and the
 * kernel's file system ends. Making a copy needs CAP_SYS_ADMIN.
 *
 * It is a process of its own because it waits for requests that this program answers: a thread of
 * this program in such a wait would keep a killed mount from ending (guard.c). It has one end of
 * a socket, answers one question at a time, and exits when the socket is closed. No lock. */
#include "fs/probe.h"

#include "common/base/key.h"
#include "fs/mountpoint.h"
#include "fs/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_PROGRAM "keydir-probe"
#define START_MS 5000 /* longest wait for the process to be ready */

struct probe {
	pid_t pid;
	int socket;
	bool broken;
};

/* --- the process that asks ------------------------------------------------- */

/* Wait until the process has its copy of the mount, or failed. Returns 0 or -errno. */
static int wait_until_ready(const struct probe *probe)
{
	struct pollfd ready = { .fd = probe->socket, .events = POLLIN };
	int status = -EPIPE;

	if (poll(&ready, 1, START_MS) == 0)
		return -ETIMEDOUT;
	recv(probe->socket, &status, sizeof(status), 0);
	return status;
}

int probe_start(unsigned connection, const char *dir, struct probe **ret)
{
	char number[16], name[] = PROBE_PROGRAM;
	char *const argv[] = { name, number, (char *)(uintptr_t)dir, NULL };
	struct probe *probe = calloc(1, sizeof(*probe));
	int ends[2];

	if (!probe)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		free(probe);
		return -errno;
	}
	snprintf(number, sizeof(number), "%u", connection);
	probe->socket = ends[0];
	int r = subprocess_start(argv, ends[1], &probe->pid);
	close(ends[1]);
	if (r == 0)
		r = wait_until_ready(probe);
	if (r < 0) {
		probe_free(probe);
		return r;
	}
	*ret = probe;
	return 0;
}

void probe_stop(struct probe *probe)
{
	if (!probe)
		return;
	if (probe->pid)
		kill(probe->pid, SIGKILL);
	shutdown(probe->socket, SHUT_RDWR);
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	probe_stop(probe);
	if (probe->pid)
		waitpid(probe->pid, NULL, 0);
	close(probe->socket);
	free(probe);
}

void probe_look(struct probe *probe, const char *path, struct probe_seen *ret)
{
	size_t len = strlen(path);

	*ret = (struct probe_seen){ .kind = PROBE_NOTHING };
	if (!probe || probe->broken || len == 0)
		return;
	if (send(probe->socket, path, len, MSG_NOSIGNAL) != (ssize_t)len ||
	    recv(probe->socket, ret, sizeof(*ret), 0) != sizeof(*ret)) {
		probe->broken = true;
		*ret = (struct probe_seen){ .kind = PROBE_NOTHING };
	}
}

bool probe_is(const struct probe *probe, pid_t pid)
{
	return probe && pid == probe->pid;
}

/* --- the probe's process --------------------------------------------------- */

/* Make a private copy of the mount at DIR, which has this CONNECTION. Returns its descriptor and
 * the number of the mount, or -errno. */
static int copy_mount(const char *dir, unsigned connection, int *ret_mount)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int mount = mountpoint_of_fd(fd);
	int copy = mountpoint_device(mount) == connection ?
	                   (int)syscall(SYS_open_tree, fd, "",
	                                AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) :
	                   -1;
	int r = copy < 0 ? -errno : 0;
	if (r == 0 &&
	    syscall(SYS_mount_setattr, copy, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		r = -errno;
		close(copy);
	}
	close(fd);
	*ret_mount = mount;
	return r < 0 ? r : copy;
}

/* Open NAME in DIR if the kernel has it cached. Returns a descriptor or -errno: -EAGAIN if the
 * kernel would ask keydir-fs. */
static int open_cached(int dir, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_CACHED,
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static struct timespec timespec_of(const struct statx_timestamp *t)
{
	return (struct timespec){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

static void look_at(int fd, struct probe_seen *ret)
{
	struct statx st;
	/* Without the access time, which the kernel never keeps beyond a read. */
	const unsigned mask = STATX_TYPE | STATX_MODE | STATX_INO | STATX_SIZE | STATX_MTIME |
	                      STATX_CTIME;

	/* A request for the attributes is refused. */
	ret->kind = PROBE_ENTRY;
	if (statx(fd, "", AT_EMPTY_PATH, mask, &st) < 0) {
		ret->kind = PROBE_NAME;
		if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, &st) < 0) {
			ret->kind = PROBE_NOTHING;
			return;
		}
	}
	ret->ino = st.stx_ino;
	ret->mode = st.stx_mode;
	ret->size = st.stx_size;
	ret->mtime = timespec_of(&st.stx_mtime);
	ret->ctime = timespec_of(&st.stx_ctime);
}

/* Look at PATH, name by name, from ROOT on. PATH is changed. */
static void look(int root, char *path, struct probe_seen *ret)
{
	struct statx st;
	char *rest = path, *name;
	int dir = root;

	*ret = (struct probe_seen){ .kind = PROBE_NOTHING };
	while ((name = strsep(&rest, "/"))) {
		/* So that its attributes are valid. */
		statx(dir, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st);
		int fd = open_cached(dir, name);
		if (dir != root)
			close(dir);
		if (fd < 0) {
			/* A missing directory is a difference of another name. */
			if (fd == -ENOENT && !rest)
				ret->kind = PROBE_ABSENT;
			return;
		}
		dir = fd;
	}
	look_at(dir, ret);
	if (dir != root)
		close(dir);
}

bool probe_wanted(int argc, char **argv)
{
	return argc == 3 && strcmp(argv[0], PROBE_PROGRAM) == 0;
}

int probe_main(char **argv)
{
	unsigned connection = (unsigned)strtoul(argv[1], NULL, 10);
	struct probe_seen seen;
	char path[KEY_MAX + 1];
	int mount = -1;

	if (subprocess_begin(PROBE_PROGRAM) < 0)
		return EXIT_FAILURE;
	/* Opened first, so that no change of the mounts is missed. */
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), .events = POLLPRI },
	};
	int root = fds[1].fd < 0 ? -errno : copy_mount(argv[2], connection, &mount);
	int status = root < 0 ? root : 0;
	if (send(STDIN_FILENO, &status, sizeof(status), MSG_NOSIGNAL) < 0 || status < 0)
		return EXIT_FAILURE;
	while (poll(fds, 2, -1) > 0) {
		if (fds[1].revents && mountpoint_device(mount) != connection)
			break;
		if (!fds[0].revents)
			continue;
		ssize_t n = recv(STDIN_FILENO, path, sizeof(path) - 1, 0);
		if (n <= 0)
			break;
		path[n] = '\0';
		look(root, path, &seen);
		if (send(STDIN_FILENO, &seen, sizeof(seen), MSG_NOSIGNAL) < 0)
			break;
	}
	return EXIT_SUCCESS;
}
