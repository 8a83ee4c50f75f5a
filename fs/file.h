/* Files: keys that are open on this mount, or have changes on their way into the log. */
#ifndef KEYDIR_FS_FILE_H
#define KEYDIR_FS_FILE_H

#include "common/store/view.h"
#include "fs/buffer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

struct op;
struct parked;

/* An immutable value, shared by its readers. */
struct content {
	atomic_uint refs;
	uint64_t version; /* 0: certainly not the store's current one */
	uint64_t size;
	unsigned char *bytes;
};

/* Take and drop a reference. NULL is fine. Thread-safe. */
struct content *content_ref(struct content *content);
void content_unref(struct content *content);

/* Whether the entry is in the log. */
enum file_creation {
	FILE_LOGGED,   /* yes */
	FILE_UNLOGGED, /* created here, no event sent yet */
	FILE_CREATING, /* its event is queued or sent, and not applied yet */
};

/* Whether the handles of a file stay on an older version (frozen.h). */
enum file_frozen {
	FILE_THAWED,
	FILE_FROZEN,
	FILE_THAWING, /* follows the store again, but the kernel may still have old pages */
};

/* One key. A file exists while it is open, has changes to log, has events in flight, or has a
 * name that only this mount knows. Open directories are files too, for their attributes. */
struct file {
	/* Set at creation, never changed. */
	struct files *files;
	uint64_t ino;    /* as the kernel knows it */
	uint64_t st_ino; /* as stat(2) shows it */
	uint64_t parent; /* of a file created here: its directory */
	char *name;      /* ... and name, name_len bytes and a NUL */
	size_t name_len;

	/* Protected by files->lock. */
	UT_hash_handle hh;
	UT_hash_handle hh_name;
	unsigned refs;
	bool named;       /* in the table of names, because it is not in the log yet */
	bool kept;        /* has a reference to itself, because its error was not reported yet */
	uint64_t nlookup; /* look-ups that the kernel counts, made while the file was named */
	unsigned char *name_key;
	size_t name_key_len;
	bool reserved; /* was frozen: look-ups get another number; in files->frozen ... */
	struct file *frozen_prev, *frozen_next;
	uint64_t frozen_bytes; /* ... and counted there with this many bytes */

	/* Protects all fields below. Taken before files->lock, never after. */
	pthread_mutex_t lock;
	enum file_creation creation;
	unsigned nopen;          /* handles ... */
	unsigned nwriting;       /* ... those that can write, or have created or emptied it */
	uint64_t real;           /* inode in the store: equals ino, except for an alias */
	bool gone;               /* deleted: further writes are dropped */
	bool truncated;          /* not logged yet, and opened with O_TRUNC */
	int lost;                /* enum event_outcome: why its creation failed; then also gone */
	int error;               /* errno to report at the next write, flush or fsync */
	struct entry last;       /* as last read from the store, or as created; no pointers */
	struct content *content; /* value as last read from the store, or NULL */
	/* Value given to the kernel's cache (kernel_cache.h), or NULL. Known to be outdated since
	 * outdated_ms; 0: current. */
	struct content *kernel_content;
	int64_t outdated_ms;
	enum file_frozen frozen; /* frozen.c explains this and the next fields */
	bool thaw_queued;        /* frozen, and the invalidator will thaw it */
	bool stale_name;         /* frozen, and the kernel's names may still lead here */
	bool follows;            /* must not be frozen again */
	int64_t active_ms;       /* last open for reading, or read request */
	int64_t size_request_ms; /* frozen: first request for its size; 0: none yet */
	uint64_t direct_version; /* newest version that was read past the kernel's cache */
	struct buffer *buffer;   /* private copy with changes, or NULL */
	uint64_t base_size;      /* size of the value when the buffer was created */
	unsigned ndropped;       /* how many incomplete buffers were dropped ... */
	int dropped_error;       /* ... and the errno of the last one */
	int64_t changed_ns;      /* last change of the buffer; 0: none */

	/* Events, in the order of their submission (op.c). */
	struct op *queue;  /* to submit */
	struct op *flight; /* submitted */
	bool pumping;      /* a thread is submitting from the queue */
	uint64_t last_seq;
	struct parked *parked; /* requests that wait for events, oldest first */
	unsigned nappends;     /* appends queued or in flight ... */
	uint64_t append_bytes; /* ... and their bytes */
};

/* A number that the kernel has for an entry in addition to the entry's own: one that was
 * proposed for a name that another node created first, one whose entry was replaced while
 * it was being opened, or one that look-ups got while the entry's own was frozen. */
struct alias {
	UT_hash_handle hh;
	UT_hash_handle hh_real;
	uint64_t ino;
	uint64_t real;
	uint64_t nlookup;
	bool of_file;   /* created by files_redirect(): freed with the file */
	bool renumbers; /* created by files_number() ... */
	bool current;   /* ... and in the table of numbers that look-ups get */
};

struct files {
	pthread_mutex_t lock; /* protects the tables */
	struct file *by_ino;
	struct file *by_name;
	struct alias *aliases;
	struct alias *by_real; /* numbers that look-ups get instead of an entry's own */
	struct file *frozen;
	uint64_t frozen_bytes;
	unsigned nkept;
	/* Changed with the lock, read also without it to skip an empty table. */
	atomic_uint nfiles;
	atomic_uint nnamed;
	atomic_uint naliases;
	atomic_uint nfrozen;
};

/* Limits of the frozen files: their number and their bytes. */
#define FILES_FROZEN_MAX 256
#define FILES_FROZEN_BYTES_MAX (64u << 20)

/* Initialize the caller's FILES. Returns 0 or -errno. */
int files_init(struct files *files);
/* Free the tables and their entries. */
void files_close(struct files *files);

/* --- tables: thread-safe; files are returned with a new reference --------- */

/* Return the file of an inode (the kernel's number), or NULL. */
struct file *files_find(struct files *files, uint64_t ino);
/* Return the file of an inode, and create it if it does not exist. NULL without memory. */
struct file *files_get(struct files *files, uint64_t ino);
/* Create an empty file that is not logged yet. Returns 0 and *RET, -EEXIST if another such file
 * has that name, or -ENOMEM. */
int files_create(struct files *files, uint64_t ino, uint64_t parent, const char *name,
                 uint32_t mode, int64_t now_ns, struct file **ret);
/* Return the file of a name that is not in the log yet, or NULL. */
struct file *files_find_name(struct files *files, uint64_t parent, const char *name);
struct file *file_ref(struct files *files, struct file *f);
void files_unref(struct files *files, struct file *f);

/* Call FN with each file of PARENT that is not in the log yet, under the lock: FN must not call
 * any function here. Stops at the first result other than 0, and returns it. */
int files_each_name(struct files *files, uint64_t parent, int (*fn)(void *arg, struct file *f),
                    void *arg);

/* Call FN with the number of each inode that has a file, with all its numbers, under the lock:
 * FN must not call any function here. */
void files_each_ino(struct files *files, void (*fn)(void *arg, uint64_t ino), void *arg);

/* Remove F from the table of names: it is in the log as inode REAL, or never will be (REAL 0).
 * Returns 0, or -ENOMEM without memory for an alias: then the kernel's number is void. */
int files_resolve(struct files *files, struct file *f, uint64_t real);

/* Let F, whose entry is gone, stand for the store's inode REAL for the rest of its life. Called
 * with F->lock held. Returns 0 or -ENOMEM. */
int files_redirect(struct files *files, struct file *f, uint64_t real);

/* Return the store's inode for the kernel's number INO. */
uint64_t files_real(struct files *files, uint64_t ino);

/* Return the Nth number (from 0) that the kernel has for the store's inode REAL in addition to
 * REAL itself; 0 after the last one. */
uint64_t files_alias(struct files *files, uint64_t real, unsigned n);

/* Return the number for a look-up of the store's inode REAL, and count one look-up. If REAL
 * itself is frozen and has no other number yet, it is SPARE, which must be unused; with SPARE 0
 * the result is 0 in that case. */
uint64_t files_number(struct files *files, uint64_t real, uint64_t spare);
/* Return the number that the last look-up of REAL got. */
uint64_t files_current(struct files *files, uint64_t real);
/* Return the number that stat(2) shows for the kernel's number INO. */
uint64_t files_st_ino(struct files *files, uint64_t ino);

/* Stop look-ups from leading to F, which keeps BYTES bytes until files_thaw(). Called with
 * F->lock held. Returns 0, or -ENOSPC if the limits are reached. */
int files_freeze(struct files *files, struct file *f, uint64_t bytes);
/* Stop counting the bytes of F. Look-ups may lead to F again unless it is APART. */
void files_thaw(struct files *files, struct file *f, bool apart);
/* Fill LIST (room for FILES_FROZEN_MAX) with references to all frozen files. Returns their
 * number. */
size_t files_list_frozen(struct files *files, struct file **list);

/* Keep F, even if it is closed everywhere, until its error is taken, unless too many files are
 * kept already. */
void files_keep(struct files *files, struct file *f);

/* Count one look-up of F; drop N look-ups of an inode, which the kernel forgot. */
void files_add_lookup(struct files *files, struct file *f);
void files_forget(struct files *files, uint64_t ino, uint64_t n);

/* --- one file: the caller holds F->lock ------------------------------------ */

/* Return whether events of F are queued or in flight. */
static inline bool file_busy(const struct file *f)
{
	return f->queue || f->flight;
}

/* Return whether reads see the buffer instead of the store. */
static inline bool file_is_private(const struct file *f)
{
	return f->buffer != NULL;
}

/* Return whether F has changes to log. */
static inline bool file_is_dirty(const struct file *f)
{
	return !f->gone && !f->lost &&
	       (f->creation == FILE_UNLOGGED || (f->buffer && f->buffer->changed));
}

/* Update F->last, and with WITH_VALUE F->content, from VIEW, if F is in the log. Returns 0, also
 * for an entry that is gone (F->gone is set, and the last values stay), -ENOMEM or -EIO. */
int file_load(struct file *f, const struct view *view, bool with_value);

/* Update F->last from E, its entry in the store, if F is in the log. */
void file_note(struct file *f, const struct entry *e);

/* Note that the entry of F, last seen as E and empty, is gone, so that F can still be
 * opened. 0 or -ENOMEM. */
int file_end_empty(struct file *f, const struct entry *e);

/* Create the buffer from F->content (which must be loaded), or an empty one; nothing if it
 * exists. Returns 0 or -ENOMEM. */
int file_make_private(struct file *f, bool empty);

/* Free the buffer, so that reads see the store again. */
void file_drop_buffer(struct file *f);

/* Turn the unchanged buffer into F->content; VERSION is as in struct content. Without memory it
 * is dropped. */
void file_settle_buffer(struct file *f, uint64_t version);

/* Return a new reference to F->content, or NULL. */
struct content *file_content(struct file *f);

/* Return the error to report, 0 for none, and clear it. */
int file_take_error(struct files *files, struct file *f);

#endif
