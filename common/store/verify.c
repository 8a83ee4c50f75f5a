/* Verify: check a store file in a child process before the store is opened.
 *
 * LMDB trusts the pages of its file. A damaged page leads to an assertion failure or a wild
 * read, and a crafted page could do more. So a child process reads a file that the user
 * restored, or that a crash of the machine may have damaged, through a read-only map, and checks
 * that its rows agree with each other (store_audit()). store/copy.c also copies a file that
 * another node sent in such a child.
 *
 * No lock: no other process has the file open. */
#include "common/store/verify.h"

#include "common/store/audit.h"
#include "common/store/format.h"
#include "common/store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHY_BYTES 256
/* Limit of the CPU time for reading a file; far more than it needs. */
#define CHECK_S 30
#define CHECK_BYTES_PER_S (4 << 20)

/* --- the file --- */

/* Return the address at which the file is mapped, or NULL. LMDB does not provide it, so
 * look for the map that is shared, read-only and SIZE bytes long. A wrong map does no harm:
 * no row would lie in it. */
static const char *find_map(size_t size)
{
	unsigned long from, to;
	char line[4200], kind[8];
	const char *found = NULL;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	FILE *maps = fopen("/proc/self/maps", "re");
	while (maps && !found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, kind) == 3 &&
		    strcmp(kind, "r--s") == 0 && to - from == (size + page - 1) / page * page)
			found = (const char *)from;
	}
	if (maps)
		fclose(maps);
	return found;
}

/* Check the size of the file. -ENODATA if it has no tables. A copy (IS_COPY) must contain
 * all of its pages, so that none of them lies in other memory. A file in use may end before
 * its last page if that page is free; reading any other page past its end is a SIGBUS. */
static int check_size(struct store_source *s, bool is_copy)
{
	MDB_envinfo info = { 0 };
	MDB_stat stat = { 0 };
	struct stat st = { 0 };
	int r = store_error(mdb_env_info(s->store->env, &info));
	if (r == 0)
		r = store_error(mdb_env_stat(s->store->env, &stat));
	if (r == 0)
		r = store_error(mdb_env_get_fd(s->store->env, &s->store->fd));
	if (r == 0 && fstat(s->store->fd, &st) < 0)
		r = -errno;
	if (r != 0)
		return r;
	if (stat.ms_entries == 0)
		return -ENODATA;
	s->npages = info.me_last_pgno + 1;
	if (stat.ms_psize < 512 || (is_copy && s->npages > (uint64_t)st.st_size / stat.ms_psize))
		return -EPROTO;
	s->len = (size_t)st.st_size < info.me_mapsize ? (size_t)st.st_size : info.me_mapsize;
	s->map = find_map(info.me_mapsize);
	return s->map ? 0 : -EPROTO;
}

/* Check the format and open the tables, which must have no LMDB flags. */
static int open_tables(struct store *store, char *why, size_t why_size)
{
	MDB_txn *mdb;
	int r = store_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb));
	if (r < 0)
		return r;
	r = store_format_check(mdb, why, why_size);
	for (int t = 0; t < TABLES && r == 0; t++) {
		unsigned flags = 0;
		r = store_error(mdb_dbi_open(mdb, table_name((enum table)t), 0, &store->dbi[t]));
		if (r == 0)
			r = store_error(mdb_dbi_flags(mdb, store->dbi[t], &flags));
		if (r == 0 && flags)
			r = -EPROTO;
	}
	if (r < 0) {
		mdb_txn_abort(mdb);
		return r == -ENOENT ? -EPROTO : r;
	}
	return store_error(mdb_txn_commit(mdb)); /* keeps the tables open */
}

static void close_source(struct store_source *s)
{
	txn_free_idle(s->store);
	mdb_env_close(s->store->env);
	pthread_mutex_destroy(&s->store->idle_lock);
	free(s->store);
}

/* Open DIR/data.mdb, which IS_COPY says is a copy from elsewhere, for reading. Returns 0 or
 * -errno: -EPROTO if it is not a store, -EOPNOTSUPP with a sentence in WHY. */
static int open_source(const char *dir, bool is_copy, struct store_source *s, char *why,
                       size_t why_size)
{
	s->store = aligned_alloc(_Alignof(struct store), sizeof(*s->store));
	if (!s->store)
		return -ENOMEM;
	memset(s->store, 0, sizeof(*s->store));
	pthread_mutex_init(&s->store->idle_lock, NULL);
	int r = store_error(mdb_env_create(&s->store->env));
	if (r == 0) {
		mdb_env_set_maxdbs(s->store->env, TABLES);
		int rc = mdb_env_open(s->store->env, dir,
		                      MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0600);
		r = store_error(rc);
		if (rc == MDB_VERSION_MISMATCH)
			store_format_say_lmdb(why, why_size);
	}
	if (r == 0)
		r = check_size(s, is_copy);
	if (r == 0)
		r = open_tables(s->store, why, why_size);
	if (r < 0)
		close_source(s);
	return r;
}

/* --- checking --- */

int store_audit_and_load(struct store *store, struct store_meta *ret, char *why, size_t why_size)
{
	struct txn *txn;
	int r = txn_read(store, &txn);
	if (r < 0)
		return r;
	r = store_audit(txn, why, why_size);
	if (r == 0 && ret)
		*ret = *txn_meta(txn);
	txn_abort(txn);
	return r;
}

/* Check LMDB's list of free pages: each number must be that of an existing page, and each
 * record must be in descending order (mdb_midl of LMDB 0.9.24). A copy is written without
 * this list. */
static int check_free_list(const struct store_source *s)
{
	MDB_txn *mdb;
	MDB_cursor *cursor;
	MDB_val key, val;
	int rc = mdb_txn_begin(s->store->env, NULL, MDB_RDONLY, &mdb);
	if (rc)
		return store_error(rc);
	rc = mdb_cursor_open(mdb, 0, &cursor); /* table 0 */
	bool sound = true;
	while (rc == 0 && sound) {
		size_t before = s->npages;
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
		if (rc)
			break;
		const size_t *ids = val.mv_data;
		sound = key.mv_size == sizeof(*ids) && val.mv_size >= sizeof(*ids) &&
		        ids[0] <= val.mv_size / sizeof(*ids) - 1;
		for (size_t i = 1; sound && i <= ids[0]; i++) {
			sound = ids[i] > 1 && ids[i] < before; /* 0 and 1 are LMDB's own */
			before = ids[i];
		}
	}
	mdb_txn_abort(mdb);
	return !sound ? -EPROTO : rc == MDB_NOTFOUND ? 0 : store_error(rc);
}

static int audit_file(const struct store_source *s, struct store_meta *ret, char *why,
                      size_t why_size)
{
	int r = check_free_list(s);
	return r < 0 ? r : store_audit_and_load(s->store, ret, why, why_size);
}

/* Read the store file DIR/data.mdb in this process, which LMDB may end when it reads a damaged page.
 * USE (NULL: check the file only) is as in store_file_use_in_child(). */
static int read_file(const char *dir, store_file_use *use, void *arg, struct store_meta *ret,
                     char *why, size_t why_size)
{
	struct store_source from;
	why[0] = '\0';
	int r = open_source(dir, use, &from, why, why_size);
	if (r == 0) {
		r = use ? use(arg, &from, ret, why, why_size) :
		          audit_file(&from, ret, why, why_size);
		close_source(&from);
	}
	/* A process was killed before it created the tables, so there is nothing to lose. */
	if (r == -ENODATA && !use)
		return 0;
	if (r == -ENODATA)
		r = -EPROTO;
	/* -EIO: LMDB found an impossible page; -ENOENT: the file is empty. */
	if (r == -EIO || r == -EINVAL || r == -ENOENT)
		r = -EPROTO;
	if (r == -EPROTO && !why[0])
		snprintf(why, why_size, "the store is damaged or cut short");
	return r;
}

/* --- the child --- */

/* The result that the child reports. */
struct finding {
	int result;
	char why[WHY_BYTES];
	struct store_meta meta;
};

/* Read the file, report the result and end this process. */
static _Noreturn void read_in_child(const char *dir, store_file_use *use, void *arg, off_t bytes,
                                    int to_parent)
{
	static const int fatal[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
	struct rlimit none = { 0, 0 };
	rlim_t seconds = CHECK_S + (rlim_t)(bytes / CHECK_BYTES_PER_S);
	struct rlimit time = { seconds, seconds };
	struct finding found = { 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* The child dies with its parent, prints nothing and leaves no core dump. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &time);
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	found.result = read_file(dir, use, arg, &found.meta, found.why, sizeof(found.why));
	/* The size is below PIPE_BUF, so the write is atomic. */
	if (write(to_parent, &found, sizeof(found)) != sizeof(found))
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

int store_file_use_in_child(const char *dir, store_file_use *use, void *arg, struct store_meta *ret,
                            char *why, size_t why_size)
{
	struct finding found;
	char path[4096];
	struct stat st;
	ssize_t n;
	int ends[2], status = 0;
	if ((size_t)snprintf(path, sizeof(path), "%s/data.mdb", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	if (stat(path, &st) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		int r = -errno;
		close(ends[0]);
		close(ends[1]);
		return r;
	}
	if (pid == 0)
		read_in_child(dir, use, arg, st.st_size, ends[1]);
	close(ends[1]);
	do
		n = read(ends[0], &found, sizeof(found));
	while (n < 0 && errno == EINTR);
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof(found)) {
		if (WIFSIGNALED(status))
			snprintf(why, why_size,
			         "the store is damaged: reading it ended with signal %d",
			         WTERMSIG(status));
		return -EPROTO;
	}
	found.meta.volume[sizeof(found.meta.volume) - 1] = '\0';
	if (found.result < 0)
		snprintf(why, why_size, "%s", found.why);
	else if (ret)
		*ret = found.meta;
	return found.result;
}

int store_file_check(const char *dir, struct store_meta *ret, char *why, size_t why_size)
{
	return store_file_use_in_child(dir, NULL, NULL, ret, why, why_size);
}
