/* Announcer: makes inotify watchers see changes by other clients. */
#ifndef KEYDIR_FS_ANNOUNCE_H
#define KEYDIR_FS_ANNOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct announcer;
struct mount;

enum announcement {
	ANNOUNCE_NOTHING,
	ANNOUNCE_MADE,     /* a name was created, or has another inode */
	ANNOUNCE_VALUE,    /* another value */
	ANNOUNCE_ATTR,     /* other attributes */
	ANNOUNCE_GONE,     /* the name of a key or symbolic link was removed */
	ANNOUNCE_GONE_DIR, /* ... of a directory */
};

/* Start the announcer of M, whose CONNECTION is mounted at DIR, before requests are served. Returns
 * 0 and *RET, or -errno. */
int announcer_start(struct mount *m, unsigned connection, const char *dir, struct announcer **ret);
/* Stop announcing and drop the queue. Call it while requests are still served. Frees nothing,
 * because requests of the last announcement may still arrive. A may be NULL here and in the
 * functions below. */
void announcer_stop(struct announcer *a);
/* Free the announcer once no request can come any more. */
void announcer_free(struct announcer *a);

/* Queue an announcement of NAME (LEN bytes) in directory PARENT, which has or had the inode INO
 * (both the store's), after the kernel was notified. Never waits. Names that the kernel does not
 * know are dropped, because they cannot be watched. Thread-safe. */
void announce_change(struct announcer *a, enum announcement what, uint64_t ino, uint64_t parent,
                     const char *name, size_t len);

/* --- for the handlers of requests (fs_announced.c); thread-safe -------------- */

/* Return whether PID is the announcing process, whose requests change nothing. */
bool announcer_is(const struct announcer *a, pid_t pid);
/* Return the current announcement for NAME in PARENT. */
enum announcement announcer_current(struct announcer *a, uint64_t parent, const char *name);
/* Note that the kernel has requested the creation that is being announced. */
void announcer_note_created(struct announcer *a);
/* Note that process PID has looked up NAME in the root. Returns true if that was the probe which
 * shows that the kernel uses the same process ids. */
bool announcer_check_probe(struct announcer *a, pid_t pid, const char *name);

/* Return whether the program was started as the announcing process; then it only runs
 * announcer_main() and returns its status. */
bool announcer_wanted(int argc, char **argv);
int announcer_main(char **argv);

#endif
