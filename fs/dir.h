/* Directories: the state of one opendir(3) on this mount, with the names that it lists. */
#ifndef KEYDIR_FS_DIR_H
#define KEYDIR_FS_DIR_H

#include "fs/mount.h"

/* Positions in a directory stream: 1 is after ".", 2 after "..". The position after a name is
 * larger, and never negative as a long. */
#define DIR_AFTER_DOTS 2

struct dir_name {
	uint64_t ino;
	uint64_t position; /* of the next entry */
	size_t text;       /* offset in dir->texts, NUL-terminated */
	uint32_t type;     /* S_IFREG, S_IFDIR, S_IFLNK */
	bool unlogged;
};

/* A name that was not in the log when the listing began. */
struct dir_unlogged {
	uint64_t ino;
	bool seen; /* the snapshot has it as well */
	char name[KEY_NAME_MAX + 1];
};

/* An open directory, in fi->fh. */
struct dir {
	struct dir *prev, *next; /* of open_list->dirs */
	uint64_t real;           /* the store's inode */
	struct file *file;       /* keeps the attributes after a removal; NULL: the root */
	pthread_mutex_t lock;    /* protects all fields below */
	struct dir_name *names;  /* sorted by position */
	size_t nnames, names_cap;
	char *texts;
	size_t ntexts, texts_cap;
	struct dir_unlogged *unlogged; /* sorted by name */
	size_t nunlogged, unlogged_cap;
	bool complete;    /* the names are collected */
	unsigned lookups; /* dir_lookups() when the last answer was built */
	bool fill;        /* list all names with attributes, because programs use them */
};

static inline struct dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct dir *)(uintptr_t)fi->fh;
}

/* Open the directory INO (the kernel's number). On success *RET is in the list of open directories
 * and must be closed with dir_close(). Returns 0 or -errno; -ESTALE: the directory is gone. */
int dir_open(struct mount *m, fuse_ino_t ino, struct dir **ret);
void dir_close(struct mount *m, struct dir *d);
/* Close all remaining directories. Call it when no request can arrive any more. */
void dir_close_all(struct mount *m);

/* Collect the names of D, replacing those it had. Called with D->lock held. Returns 0 or -errno. */
int dir_collect(struct mount *m, struct dir *d);
/* Return the index of the first name after POSITION. Called with D->lock held. */
size_t dir_first_after(const struct dir *d, uint64_t position);

/* Count a look-up that found a name in directory INO (the store's inode). Thread-safe. */
void dir_count_lookup(struct mount *m, uint64_t ino);
/* Return the number of such look-ups. Directories can share a counter. Thread-safe. */
unsigned dir_lookups(struct mount *m, uint64_t ino);

#endif
