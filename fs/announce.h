/* Announcing: what others changed is made known to who watches it (inotify). */
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
	ANNOUNCE_MADE,     /* a name was made, or leads elsewhere */
	ANNOUNCE_VALUE,    /* another value */
	ANNOUNCE_ATTR,     /* other attributes */
	ANNOUNCE_GONE,     /* the name of a key or a link is gone */
	ANNOUNCE_GONE_DIR, /* ... of a directory */
};

/* Starts announcing for M, whose CONNECTION is mounted at DIR; no request is served
 * yet. 0 and *RET, or -errno. */
int announcer_start(struct mount *m, unsigned connection, const char *dir, struct announcer **ret);
/* Announces no more; what is queued is dropped. Call while requests are still
 * served. Frees nothing: requests of the last announcement may still come. NULL is
 * fine, as for all that follows. */
void announcer_stop(struct announcer *a);
/* When no request comes any more. */
void announcer_free(struct announcer *a);

/* Queues an announcement of NAME, LEN bytes, in directory PARENT, which leads or led
 * to INO (both the store's); the kernel has been told already. Never waits. What the
 * kernel knows nothing of is dropped, as nobody can be watching it. Thread-safe. */
void announce(struct announcer *a, enum announcement what, uint64_t ino, uint64_t parent,
              const char *name, size_t len);

/* --- for the handlers of requests (fs_announced.c); thread-safe -------------- */

/* Whether process PID does the announcing: its requests change nothing. */
bool announcer_is(const struct announcer *a, pid_t pid);
/* What is being announced of NAME in PARENT just now. */
enum announcement announcer_says(struct announcer *a, uint64_t parent, const char *name);
/* The kernel has asked to make what is announced as made: the name is there now. */
void announcer_made(struct announcer *a);
/* Process PID has looked NAME up in the root. True if that was to show that the
 * kernel names the announcing process as we do. */
bool announcer_probed(struct announcer *a, pid_t pid, const char *name);

/* Whether the program was started to announce; then announcer_main() is all that it
 * does, and its status. */
bool announcer_wanted(int argc, char **argv);
int announcer_main(char **argv);

#endif
