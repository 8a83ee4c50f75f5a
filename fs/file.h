/* Files: keys that are open on this mount, or on their way into the log. */
#ifndef KEYDIR_FS_FILE_H
#define KEYDIR_FS_FILE_H

#include "fs/buffer.h"
#include "common/store/view.h"

#include <pthread.h>
#include <uthash.h>

struct op;
struct parked;

/* A value that does not change, shared by those who read it. */
struct content {
	unsigned refs;    /* atomic */
	uint64_t version; /* 0: surely none that the store has now */
	uint64_t size;
	unsigned char *bytes;
};

/* Takes, and gives back, a reference; NULL is fine. Thread-safe. */
struct content *content_ref(struct content *content);
void content_unref(struct content *content);

/* Whether the entry is in the log. */
enum file_birth {
	FILE_BORN,   /* it is */
	FILE_UNBORN, /* created here, nothing sent yet */
	FILE_BIRTH,  /* sent (or queued) and not applied yet */
};

/* Whether the handles of a file stay on an older version (frozen.h). */
enum file_frozen {
	FILE_THAWED,
	FILE_FROZEN,
	FILE_THAWING, /* it follows again, but the kernel may still have old pages */
};

/* One key. A file exists while it is open, has changes to log, events on their
 * way, or a name that only this mount knows. Open directories are files as
 * well, for their attributes. */
struct file {
	/* Fixed when it is made. */
	struct files *files;
	uint64_t ino;    /* as the kernel knows it */
	uint64_t st_ino; /* as stat(2) shows it */
	uint64_t parent; /* of a file made unborn: its directory */
	char *name;      /* ... and name, name_len bytes and a NUL */
	size_t name_len;

	/* Protected by files->lock. */
	UT_hash_handle hh;
	UT_hash_handle hh_name;
	unsigned refs;
	bool named;       /* in the table of names: not in the log yet */
	bool kept;        /* holds a reference itself: its error is not told yet */
	uint64_t nlookup; /* how often the kernel was told of it while named */
	unsigned char *name_key;
	size_t name_key_len;
	bool reserved; /* it was frozen: look-ups get another number. In files->frozen ... */
	struct file *frozen_prev, *frozen_next;
	uint64_t frozen_bytes; /* ... and counted there with so many */

	/* Protects all that follows. Taken before files->lock, never after. */
	pthread_mutex_t lock;
	enum file_birth birth;
	unsigned nopen;          /* handles ... */
	unsigned nwriting;       /* ... of which so many can write, or have made or emptied it */
	uint64_t real;           /* its inode in the store: ino, but for an alias */
	bool gone;               /* deleted: what is written now goes nowhere */
	bool truncated;          /* unborn: its opener asked for an empty value */
	int lost;                /* enum event_outcome: why its creation failed; gone, too */
	int error;               /* errno to be told at the next write, flush or fsync */
	struct entry last;       /* as last seen in the store, or as created; no pointers */
	struct content *content; /* as last read from the store, or NULL */
	struct content *shown;   /* what the kernel is given for its cache (shown.h), or NULL ... */
	int64_t behind_ms;       /* ... and since when it is known to be old; 0: it is not */
	enum file_frozen frozen; /* what follows frozen.c explains */
	bool thaws;              /* frozen, and the invalidator is asked to end that */
	bool untold_name;        /* frozen, and names may still lead here */
	bool follows;            /* is not to be frozen again */
	int64_t active_ms;       /* the last open for reading, or read request */
	int64_t asked_ms;        /* frozen: the first time its size was asked for; 0: not yet */
	uint64_t given;          /* the newest version that was read past the kernel's cache */
	struct buffer *buffer;   /* private copy with changes, or NULL */
	uint64_t base_size;      /* of the value when the buffer was made */
	unsigned ndropped;       /* how often a buffer that lacked something was dropped ... */
	int dropped_error;       /* ... and the errno of the last time */
	int64_t changed_ns;      /* when the buffer was changed last; 0: not yet */

	/* Events, in the order of their submission (op.c). */
	struct op *queue;  /* to be submitted */
	struct op *flight; /* submitted */
	bool pumping;      /* some thread is submitting from the queue */
	uint64_t last_seq;
	struct parked *parked; /* requests that wait for events, oldest first */
	unsigned nappends;     /* appends queued or in flight ... */
	uint64_t append_bytes; /* ... and their bytes */
};

/* A number that the kernel has for an entry beside the entry's own: a proposed one
 * that another creator of the same name made void, one whose entry was replaced
 * while it was being opened, or one that look-ups got while the entry's own was frozen. */
struct alias {
	UT_hash_handle hh;
	UT_hash_handle hh_real;
	uint64_t ino;
	uint64_t real;
	uint64_t nlookup;
	bool of_file;   /* made by files_lead(): goes with the file */
	bool renumbers; /* made by files_number() ... */
	bool current;   /* ... and in the table of those that look-ups get */
};

struct files {
	pthread_mutex_t lock; /* protects the tables */
	struct file *by_ino;
	struct file *by_name;
	struct alias *aliases;
	struct alias *by_real; /* what look-ups get instead of an entry's own number */
	struct file *frozen;
	uint64_t frozen_bytes;
	/* Atomic, for a look without the lock: tables that may have entries. */
	unsigned nkept; /* protected by lock */
	unsigned nfiles;
	unsigned nnamed;
	unsigned naliases;
	unsigned nfrozen;
};

/* Values that frozen files may have, and their bytes. */
#define FILES_FROZEN_MAX 256
#define FILES_FROZEN_BYTES_MAX (64u << 20)

int files_init(struct files *files);
/* Frees the tables and what is left in them. */
void files_close(struct files *files);

/* --- tables: thread-safe; what they return is a new reference ------------- */

/* The file of an inode as the kernel knows it, or NULL. */
struct file *files_find(struct files *files, uint64_t ino);
/* The same, made if there is none. NULL without memory. */
struct file *files_get(struct files *files, uint64_t ino);
/* Makes an unborn, empty file. 0 and *RET; -EEXIST if another has that name,
 * -ENOMEM. */
int files_create(struct files *files, uint64_t ino, uint64_t parent, const char *name,
                 uint32_t mode, int64_t now_ns, struct file **ret);
/* The file of a name that is not in the log yet, or NULL. */
struct file *files_find_name(struct files *files, uint64_t parent, const char *name);
struct file *file_ref(struct files *files, struct file *f);
void files_unref(struct files *files, struct file *f);

/* Calls FN with each name of PARENT that is not in the log yet, under the
 * lock: FN must not call back. Stops at a result other than 0, returns it. */
int files_each_name(struct files *files, uint64_t parent, int (*fn)(void *arg, struct file *f),
                    void *arg);

/* Calls FN with the number of each inode that has a file, by all of its names,
 * under the lock: FN must not call back. */
void files_each_ino(struct files *files, void (*fn)(void *arg, uint64_t ino), void *arg);

/* Takes F out of the table of names: it is in the log as inode REAL, or will
 * never be (REAL 0). Without memory for an alias, -ENOMEM: the kernel's
 * number for it is void then. */
int files_settle(struct files *files, struct file *f, uint64_t real);

/* F, whose entry is gone, stands for the store's inode REAL from now on, for as
 * long as it exists. F->lock is held. 0 or -ENOMEM. */
int files_lead(struct files *files, struct file *f, uint64_t real);

/* The store's inode for one that the kernel uses. */
uint64_t files_real(struct files *files, uint64_t ino);

/* The Nth number (from 0) under which the kernel knows the store's inode REAL
 * beside REAL itself; 0: there is none. */
uint64_t files_alias(struct files *files, uint64_t real, unsigned n);

/* The number that a look-up of the store's inode REAL gives; it counts as one look-up.
 * If REAL itself is frozen, and has no other number yet, it becomes SPARE, which nothing
 * else may have; with SPARE 0 the result is 0 then. */
uint64_t files_number(struct files *files, uint64_t real, uint64_t spare);
/* The number that the last look-up of REAL got. */
uint64_t files_current(struct files *files, uint64_t real);
/* The number that stat(2) shows for one that the kernel uses. */
uint64_t files_st_ino(struct files *files, uint64_t ino);

/* From now on look-ups do not lead to F, which keeps BYTES bytes until files_thaw();
 * F->lock is held. 0, or -ENOSPC: too many are kept. */
int files_freeze(struct files *files, struct file *f, uint64_t bytes);
/* The bytes are not kept any more. Look-ups may lead to F again unless it is APART. */
void files_thaw(struct files *files, struct file *f, bool apart);
/* Fills LIST, which has room for FILES_FROZEN_MAX, with references of all frozen files;
 * returns how many. */
size_t files_list_frozen(struct files *files, struct file **list);

/* F->error is to be told even if F is closed everywhere: F stays until it is
 * taken, unless too many have to. */
void files_keep(struct files *files, struct file *f);

/* The kernel was told of F, or forgets an inode N times. */
void files_told(struct files *files, struct file *f);
void files_forget(struct files *files, uint64_t ino, uint64_t n);

/* --- one file: the caller holds F->lock ------------------------------------ */

/* True if events of F are queued or in flight. */
static inline bool file_busy(const struct file *f)
{
	return f->queue || f->flight;
}

/* True if reads see something else than the store. */
static inline bool file_is_private(const struct file *f)
{
	return f->buffer != NULL;
}

/* True if there is something to log. */
static inline bool file_is_dirty(const struct file *f)
{
	return !f->gone && !f->lost &&
	       (f->birth == FILE_UNBORN || (f->buffer && f->buffer->changed));
}

/* Brings F->last, and with WITH_VALUE F->content, up to VIEW, if it is born. 0,
 * also for an entry that is gone (F->gone is set, and what was last seen
 * stays); -ENOMEM, -EIO. */
int file_load(struct file *f, const struct view *view, bool with_value);

/* Takes over what the store shows of F, if it is born: E is its entry. */
void file_note(struct file *f, const struct entry *e);

/* Note that the entry of F, last seen as E and empty, is gone, so that F can still be
 * opened. 0 or -ENOMEM. */
int file_end_empty(struct file *f, const struct entry *e);

/* Makes the buffer from F->content (which must be loaded), or empty. 0, -ENOMEM.
 * Nothing to do if there is one. */
int file_make_private(struct file *f, bool empty);

/* Frees the buffer; reads see the store again. */
void file_drop_buffer(struct file *f);

/* The buffer, unchanged, becomes F->content; VERSION as in struct content. Without
 * memory it is dropped. */
void file_settle_buffer(struct file *f, uint64_t version);

/* Takes a reference of F->content, or NULL. */
struct content *file_content(struct file *f);

/* Takes the error to be told, 0 for none. */
int file_take_error(struct files *files, struct file *f);

#endif
