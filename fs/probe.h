/* Probe: a process that reads names and attributes from the kernel's caches. */
#ifndef KEYDIR_FS_PROBE_H
#define KEYDIR_FS_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct probe;

/* The kernel's answer without a request to keydir-fs. */
enum probe_kind {
	PROBE_NOTHING, /* not cached, or no answer */
	PROBE_ABSENT,  /* the name does not exist */
	PROBE_NAME,    /* the name has that inode number; its attributes are not cached */
	PROBE_ENTRY,   /* all of the fields below */
};

struct probe_seen {
	enum probe_kind kind;
	uint64_t ino; /* as stat(2) shows it */
	mode_t mode;
	uint64_t size;
	struct timespec mtime;
	struct timespec ctime;
};

/* Start a probe of the mount at DIR with this CONNECTION, before requests are served. Returns 0 and
 * *RET, or -errno: -EPERM without CAP_SYS_ADMIN, -ENOSYS on a kernel before Linux 5.12. */
int probe_start(unsigned connection, const char *dir, struct probe **ret);
/* End the process; a call that waits returns. NULL is fine for all functions below. */
void probe_stop(struct probe *probe);
void probe_free(struct probe *probe);

/* Look at PATH below the root of the mount. For one thread. Requests must be served
 * meanwhile. */
void probe_look(struct probe *probe, const char *path, struct probe_seen *ret);

/* Return whether PID is the probe's process: a request for the attributes of anything but a
 * directory is refused then (attr.c), so that it gets only what the kernel has. Thread-safe. */
bool probe_is(const struct probe *probe, pid_t pid);

/* Return whether the program was started as the probe's process; then it only runs probe_main()
 * and returns its status. */
bool probe_wanted(int argc, char **argv);
int probe_main(char **argv);

#endif
