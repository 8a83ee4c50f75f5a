/* bare_fuse: a minimal low-level FUSE file system, to compare keydir-fs with.
 *
 *     bare_fuse [-m] MOUNTPOINT
 *
 * One directory of files in memory, found through a hash table, without a store or a
 * log and with almost no locking. It measures the cost of a round trip through the
 * kernel, while the kernel may cache names, attributes and pages forever. A file
 * opened for reading sends no flush. One thread serves requests; with -m libfuse's
 * pool does, under one mutex. Stays in the foreground, and ends when it is unmounted
 * or on SIGTERM. */
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#define FOR_EVER 1e9

struct file {
	char *name;
	fuse_ino_t ino;
	uint64_t nlookup;
	size_t size;
	size_t room;
	char *data;
	bool linked;
	UT_hash_handle by_name;
	UT_hash_handle by_ino;
};

/* lock protects everything below. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *names;
static struct file *inodes;
static fuse_ino_t next_ino = FUSE_ROOT_ID + 1;

static struct file *find_ino(fuse_ino_t ino)
{
	struct file *f;
	HASH_FIND(by_ino, inodes, &ino, sizeof(ino), f);
	return f;
}

static struct file *find_name(const char *name)
{
	struct file *f;
	HASH_FIND(by_name, names, name, strlen(name), f);
	return f;
}

static void free_unused(struct file *f)
{
	if (f->linked || f->nlookup)
		return;
	HASH_DELETE(by_ino, inodes, f);
	free(f->name);
	free(f->data);
	free(f);
}

static struct stat attributes(const struct file *f)
{
	struct stat st = { .st_uid = getuid(), .st_gid = getgid() };
	if (!f) {
		st.st_ino = FUSE_ROOT_ID;
		st.st_mode = S_IFDIR | 0755;
		st.st_nlink = 2;
		return st;
	}
	st.st_ino = f->ino;
	st.st_mode = S_IFREG | 0644;
	st.st_nlink = f->linked;
	st.st_size = (off_t)f->size;
	return st;
}

/* Take a reference for the kernel. */
static struct fuse_entry_param entry_of(struct file *f)
{
	f->nlookup++;
	return (struct fuse_entry_param){
		.ino = f->ino,
		.attr = attributes(f),
		.attr_timeout = FOR_EVER,
		.entry_timeout = FOR_EVER,
	};
}

static void bare_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_SPLICE_READ |
	                               FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ);
}

static void bare_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	pthread_mutex_lock(&lock);
	struct file *f = find_name(name);
	struct fuse_entry_param e = { .entry_timeout = FOR_EVER };
	if (f)
		e = entry_of(f);
	pthread_mutex_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void bare_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	pthread_mutex_lock(&lock);
	struct file *f = find_ino(ino);
	if (f) {
		f->nlookup -= n < f->nlookup ? n : f->nlookup;
		free_unused(f);
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_none(req);
}

static void bare_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	pthread_mutex_lock(&lock);
	struct file *f = find_ino(ino);
	struct stat st = attributes(f);
	pthread_mutex_unlock(&lock);
	if (!f && ino != FUSE_ROOT_ID)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_attr(req, &st, FOR_EVER);
}

static int resize_file(struct file *f, size_t size)
{
	if (size > f->room) {
		size_t room = size < 256 ? 256 : size + size / 2;
		char *data = realloc(f->data, room);
		if (!data)
			return -ENOMEM;
		f->data = data;
		f->room = room;
	}
	if (size > f->size)
		memset(f->data + f->size, 0, size - f->size);
	f->size = size;
	return 0;
}

static void bare_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *want, int which,
                         struct fuse_file_info *fi)
{
	(void)fi;
	int r = 0;
	pthread_mutex_lock(&lock);
	struct file *f = find_ino(ino);
	if (f && which & FUSE_SET_ATTR_SIZE)
		r = resize_file(f, (size_t)want->st_size);
	struct stat st = attributes(f);
	pthread_mutex_unlock(&lock);
	if (r || (!f && ino != FUSE_ROOT_ID))
		fuse_reply_err(req, r ? -r : ENOENT);
	else
		fuse_reply_attr(req, &st, FOR_EVER);
}

static void open_flags(struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
}

static void bare_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	open_flags(fi);
	fuse_reply_open(req, fi);
}

static void bare_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                        struct fuse_file_info *fi)
{
	(void)parent;
	(void)mode;
	struct fuse_entry_param e = { 0 };
	pthread_mutex_lock(&lock);
	struct file *f = find_name(name);
	if (!f && (f = calloc(1, sizeof(*f))) && (f->name = strdup(name))) {
		f->ino = next_ino++;
		f->linked = true;
		HASH_ADD_KEYPTR(by_name, names, f->name, strlen(f->name), f);
		HASH_ADD(by_ino, inodes, ino, sizeof(f->ino), f);
	} else if (f && !f->name) {
		free(f);
		f = NULL;
	}
	if (f)
		e = entry_of(f);
	pthread_mutex_unlock(&lock);
	open_flags(fi);
	if (f)
		fuse_reply_create(req, &e, fi);
	else
		fuse_reply_err(req, ENOMEM);
}

static void bare_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                      struct fuse_file_info *fi)
{
	(void)fi;
	pthread_mutex_lock(&lock);
	struct file *f = find_ino(ino);
	size_t left = f && (size_t)off < f->size ? f->size - (size_t)off : 0;
	fuse_reply_buf(req, left ? f->data + off : NULL, left < size ? left : size);
	pthread_mutex_unlock(&lock);
}

static void bare_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
                       struct fuse_file_info *fi)
{
	(void)fi;
	int r = -EBADF;
	pthread_mutex_lock(&lock);
	struct file *f = find_ino(ino);
	if (f) {
		size_t end = (size_t)off + size;
		r = resize_file(f, end > f->size ? end : f->size);
		if (!r)
			memcpy(f->data + off, buf, size);
	}
	pthread_mutex_unlock(&lock);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, size);
}

static void bare_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void bare_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void bare_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	pthread_mutex_lock(&lock);
	struct file *f = find_name(name);
	if (f) {
		HASH_DELETE(by_name, names, f);
		f->linked = false;
		free_unused(f);
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, f ? 0 : ENOENT);
}

/* A walk over the names that existed at opendir. */
struct walk {
	size_t n;
	fuse_ino_t *inos;
};

static void bare_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	pthread_mutex_lock(&lock);
	struct walk *walk = malloc(sizeof(*walk));
	fuse_ino_t *inos = malloc((HASH_CNT(by_name, names) + 1) * sizeof(*inos));
	if (walk && inos) {
		*walk = (struct walk){ .inos = inos };
		for (struct file *f = names; f; f = f->by_name.next)
			inos[walk->n++] = f->ino;
	}
	pthread_mutex_unlock(&lock);
	if (!walk || !inos) {
		free(walk);
		free(inos);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)walk;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void fill_entries(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi,
                         bool plus)
{
	struct walk *walk = (struct walk *)(uintptr_t)fi->fh;
	char *buf = malloc(size);
	size_t used = 0;
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pthread_mutex_lock(&lock);
	for (size_t i = (size_t)off; i < walk->n; i++) {
		struct file *f = find_ino(walk->inos[i]);
		if (!f || !f->linked)
			continue;
		size_t n;
		if (plus) {
			struct fuse_entry_param e = entry_of(f);
			n = fuse_add_direntry_plus(req, buf + used, size - used, f->name, &e,
			                           (off_t)i + 1);
			if (n > size - used)
				f->nlookup--;
		} else {
			struct stat st = attributes(f);
			n = fuse_add_direntry(req, buf + used, size - used, f->name, &st,
			                      (off_t)i + 1);
		}
		if (n > size - used)
			break;
		used += n;
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void bare_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                         struct fuse_file_info *fi)
{
	(void)ino;
	fill_entries(req, size, off, fi, false);
}

static void bare_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                             struct fuse_file_info *fi)
{
	(void)ino;
	fill_entries(req, size, off, fi, true);
}

static void bare_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	struct walk *walk = (struct walk *)(uintptr_t)fi->fh;
	free(walk->inos);
	free(walk);
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = bare_init,
	.lookup = bare_lookup,
	.forget = bare_forget,
	.getattr = bare_getattr,
	.setattr = bare_setattr,
	.open = bare_open,
	.create = bare_create,
	.read = bare_read,
	.write = bare_write,
	.flush = bare_flush,
	.release = bare_release,
	.unlink = bare_unlink,
	.opendir = bare_opendir,
	.readdir = bare_readdir,
	.readdirplus = bare_readdirplus,
	.releasedir = bare_releasedir,
};

int main(int argc, char **argv)
{
	bool pool = argc == 3 && strcmp(argv[1], "-m") == 0;
	if (argc != (pool ? 3 : 2)) {
		fprintf(stderr, "usage: bare_fuse [-m] MOUNTPOINT\n");
		return 2;
	}
	char option[] = "-ofsname=bare,subtype=bare";
	char *words[] = { argv[0], option, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, words);
	struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	int r = 1;
	if (!session)
		goto out;
	if (fuse_set_signal_handlers(session))
		goto free_session;
	if (fuse_session_mount(session, argv[argc - 1]))
		goto remove_handlers;
	if (pool) {
		struct fuse_loop_config *config = fuse_loop_cfg_create();
		r = config ? fuse_session_loop_mt(session, config) : 1;
		fuse_loop_cfg_destroy(config);
	} else {
		r = fuse_session_loop(session);
	}
	fuse_session_unmount(session);
remove_handlers:
	fuse_remove_signal_handlers(session);
free_session:
	fuse_session_destroy(session);
out:
	fuse_opt_free_args(&args);
	/* A signal that ended the loop is a normal end. */
	return r < 0 ? 1 : 0;
}
