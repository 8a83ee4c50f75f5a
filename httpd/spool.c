/* Spool: copies of the store in files, from which snapshots are sent.
 *
 * LMDB's copy holds a read transaction, during which LMDB cannot reuse a page that was
 * replaced: the store's file would grow with every write for as long as a client reads. So
 * the copy goes to an unnamed file at full speed, and each client reads the file at its own
 * pace.
 *
 * Two threads make a spool. The copier runs LMDB's copy, which blocks and reports no
 * progress. The watcher reads the file's size every few milliseconds and wakes the readers,
 * so a client gets the first bytes before the copy has ended. To end a copy early, it
 * replaces the descriptor that LMDB writes to by a read-only one.
 *
 * The file lies in the store's directory if there is room for it and for all that the store
 * may still need, otherwise in $TMPDIR or /var/tmp. Room is checked before the copy begins
 * and again while it is made, so it never fills a file system. At most SPOOLS_MAX exist. A
 * client may read one for KEEP_MS, and longer if it is large or no other client needs the
 * place; then the file is emptied, and the answer is cut short.
 *
 * Lock: spools.lock protects everything that is not constant. Under it, only snapshots of
 * the store are read (store.idle_lock). */
#include "httpd/spool.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/node/node.h"
#include "common/store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* A copy may take, and a client keeps a spool for, at least KEEP_MS and what the store takes
 * at KEEP_BYTES_PER_MS. */
#define KEEP_MS 60000
#define KEEP_BYTES_PER_MS 8192
#define CHECK_BYTES (4 << 20) /* the room is checked after each CHECK_BYTES of a copy */
#define LOOK_NS 2000000       /* time between two reads of the file's size */
#define READERS_MAX 16
#define MORE_BYTES (1 << 20)   /* a copy may exceed the tables by this */
#define LEAVE_BYTES (64 << 20) /* of a file system that is not the store's */
#define FALLBACK_DIR "/var/tmp"

struct spool {
	struct spools *spools;
	/* Constant. */
	uint64_t offset;
	uint64_t expected; /* approximate size of the copy */
	int64_t began_ms;
	int fd;            /* the file, for reading */
	int to;            /* the same, for the copy; see watcher_run() */
	bool beside_store; /* the file is on the store's file system */
	pthread_t copier, watcher;
	atomic_int copied; /* result of the copy, once it has ended */
	atomic_bool ended;
	/* Protected by spools.lock. */
	struct spool *next;
	struct spool_reader *waiting;
	unsigned readers;
	int64_t until_ms; /* it may be taken away after this */
	uint64_t written; /* bytes that can be read */
	bool over;        /* the copy has ended */
	bool unwanted;    /* the last reader left, or it was taken away */
	int result;       /* 0 or -errno; readers get it at the end */
};

struct spools {
	struct node *node;
	pthread_mutex_t lock;
	/* Protected by lock. */
	struct spool *first;
	unsigned readers; /* of all spools */
	bool stopping;
};

struct spools *spools_new(struct node *node)
{
	struct spools *spools = calloc(1, sizeof(*spools));
	if (!spools)
		return NULL;
	spools->node = node;
	pthread_mutex_init(&spools->lock, NULL);
	return spools;
}

void spools_stop(struct spools *spools)
{
	pthread_mutex_lock(&spools->lock);
	spools->stopping = true;
	pthread_mutex_unlock(&spools->lock);
}

void spools_free(struct spools *spools)
{
	if (!spools)
		return;
	pthread_mutex_destroy(&spools->lock);
	free(spools);
}

/* --- room --- */

/* The size of the store now, and how much it may still grow. */
struct need {
	uint64_t offset;
	uint64_t bytes; /* approximate size of a copy */
	uint64_t growth;
};

static int read_need(struct spools *spools, struct need *ret)
{
	struct store *store = node_store(spools->node);
	uint64_t size = node_get_config(spools->node)->size_bytes;
	struct txn *txn;
	int r = txn_read(store, &txn);
	if (r < 0)
		return r;
	const struct store_meta *meta = txn_meta(txn);
	uint64_t left = size > meta->used_bytes ? size - meta->used_bytes : 0;
	ret->offset = meta->applied;
	ret->growth = left + left / 3; /* pages are partly filled */
	txn_abort(txn);
	ret->bytes = store_bytes(store) + MORE_BYTES;
	return 0;
}

/* Return the bytes that a spool may still take from the file system that FD is on. */
static uint64_t room_for(struct spools *spools, int fd, bool beside_store, uint64_t growth)
{
	struct statvfs fs;
	if (beside_store) {
		uint64_t left = store_room_left(node_store(spools->node));
		return left > growth ? left - growth : 0;
	}
	if (fstatvfs(fd, &fs) < 0)
		return 0;
	uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
	return left > LEAVE_BYTES ? left - LEAVE_BYTES : 0;
}

/* Return the bytes that the spools' copies will still write. Lock held. */
static uint64_t unwritten(const struct spools *spools)
{
	uint64_t bytes = 0;
	for (const struct spool *s = spools->first; s; s = s->next) {
		if (!s->over && s->expected > s->written)
			bytes += s->expected - s->written;
	}
	return bytes;
}

/* Open an unnamed file for NEED in the directory DIR_FD. *RET_ROOM is the room there.
 * Returns the descriptor or -errno. Lock held. */
static int open_in(struct spools *spools, int dir_fd, bool beside_store, const struct need *need,
                   uint64_t *ret_room)
{
	uint64_t room = room_for(spools, dir_fd, beside_store, need->growth);
	uint64_t others = unwritten(spools);
	*ret_room = room > others ? room - others : 0;
	if (*ret_room < need->bytes + CHECK_BYTES)
		return -ENOSPC;
	int fd = openat(dir_fd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* Open a file for NEED. Returns its descriptor, and in *RET_BESIDE whether it is on the
 * store's file system, or -errno with a sentence in WHY. Lock held. */
static int open_file(struct spools *spools, const struct need *need, bool *ret_beside, char *why,
                     size_t why_size)
{
	struct store *store = node_store(spools->node);
	const char *dir = getenv("TMPDIR");
	uint64_t room = 0, other_room = 0;
	int r = open_in(spools, store_place_fd(store_place(store)), true, need, &room);
	*ret_beside = r >= 0;
	if (r >= 0)
		return r;
	if (!dir || dir[0] != '/')
		dir = FALLBACK_DIR;
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dir_fd < 0 ? -errno : open_in(spools, dir_fd, false, need, &other_room);
	if (dir_fd >= 0)
		close(dir_fd);
	if (r >= 0)
		return r;
	snprintf(
	        why, why_size,
	        "A snapshot needs a file of about %llu MiB, and there is no room for it: %llu MiB "
	        "in %.200s beside what the store may still need, %llu MiB in %.200s%s%s. Make "
	        "room, or set TMPDIR to a directory that has it",
	        (unsigned long long)(need->bytes >> 20) + 1, (unsigned long long)(room >> 20),
	        store_dir(store), (unsigned long long)(other_room >> 20), dir,
	        r == -ENOSPC ? "" : ", where none can be made: ", r == -ENOSPC ? "" : strerror(-r));
	return -ENOSPC;
}

/* --- making a copy --- */

static void *copier_run(void *arg)
{
	struct spool *spool = arg;
	int r = store_copy_fd(node_store(spool->spools->node), spool->to);
	atomic_store(&spool->copied, r);
	atomic_store(&spool->ended, true);
	return NULL;
}

/* Wake the readers: the first WRITTEN bytes can be read and, with OVER, the copy has ended
 * with RESULT. */
static void publish(struct spool *spool, uint64_t written, bool over, int result)
{
	struct spools *spools = spool->spools;
	pthread_mutex_lock(&spools->lock);
	struct spool_reader *reader = spool->waiting;
	spool->waiting = NULL;
	spool->written = written;
	spool->over = over;
	if (!spool->result)
		spool->result = result;
	pthread_mutex_unlock(&spools->lock);
	while (reader) {
		/* The reader may be freed as soon as it is woken. */
		struct spool_reader *next = reader->next;
		reader->wake(reader->arg);
		reader = next;
	}
}

/* Return why the copy must not go on, as -errno, or 0. */
static int check_wanted(struct spool *spool)
{
	struct spools *spools = spool->spools;
	pthread_mutex_lock(&spools->lock);
	int r = spool->unwanted || spools->stopping ? -ECANCELED : 0;
	if (r == 0 && clock_mono_ms() >= spool->until_ms)
		r = -ETIMEDOUT;
	pthread_mutex_unlock(&spools->lock);
	return r;
}

static int check_room(struct spool *spool)
{
	struct spools *spools = spool->spools;
	struct need need;
	int r = read_need(spools, &need);
	if (r < 0)
		return r;
	uint64_t room = room_for(spools, spool->fd, spool->beside_store, need.growth);
	return room < CHECK_BYTES ? -ENOSPC : 0;
}

static uint64_t file_size(const struct spool *spool)
{
	struct stat st;
	return fstat(spool->fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static void *watcher_run(void *arg)
{
	struct spool *spool = arg;
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t written = 0, checked = 0;
	int r = 0;
	while (!atomic_load(&spool->ended)) {
		nanosleep(&pause, NULL);
		uint64_t size = file_size(spool);
		if (size > written)
			publish(spool, written = size, false, 0);
		if (r == 0)
			r = check_wanted(spool);
		if (r == 0 && written - checked >= CHECK_BYTES) {
			r = check_room(spool);
			checked = written;
		}
		if (r < 0) /* makes the copy's next write fail */
			dup3(spool->fd, spool->to, O_CLOEXEC);
	}
	publish(spool, file_size(spool), true, r < 0 ? r : atomic_load(&spool->copied));
	return NULL;
}

/* Start the threads of SPOOL, whose file is open for writing as TO. Returns 0 or -errno. */
static int start_copy(struct spool *spool, int to)
{
	char path[64];
	spool->to = to;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
	spool->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (spool->fd < 0)
		return -errno;
	int r = -pthread_create(&spool->copier, NULL, copier_run, spool);
	if (r < 0)
		goto err_close;
	r = -pthread_create(&spool->watcher, NULL, watcher_run, spool);
	if (r < 0)
		goto err_join;
	return 0;

err_join:
	dup3(spool->fd, spool->to, O_CLOEXEC);
	pthread_join(spool->copier, NULL);
err_close:
	close(spool->fd);
	return r;
}

/* --- the spools in use --- */

/* Make a place for one more spool. If there is none, take away the spool whose time ended
 * first. Returns 0, or -EBUSY if all still have time. Lock held. */
static int make_place(struct spools *spools)
{
	unsigned used = 0;
	struct spool *oldest = NULL;
	for (struct spool *s = spools->first; s; s = s->next) {
		if (s->unwanted)
			continue;
		used++;
		if (s->over && (!oldest || s->until_ms < oldest->until_ms))
			oldest = s;
	}
	if (used < SPOOLS_MAX)
		return 0;
	if (!oldest || oldest->until_ms > clock_mono_ms() || ftruncate(oldest->to, 0) < 0)
		return -EBUSY;
	oldest->unwanted = true;
	oldest->result = -ECANCELED;
	return 0;
}

/* Return a spool that is at least as new as OFFSET, or NULL. Lock held. */
static struct spool *find_fresh(const struct spools *spools, uint64_t offset)
{
	for (struct spool *s = spools->first; s; s = s->next) {
		if (!s->unwanted && s->result == 0 && s->offset >= offset)
			return s;
	}
	return NULL;
}

/* Give SPOOL the full time from now on, for one more client. Lock held. */
static void keep(struct spool *spool)
{
	spool->until_ms = clock_mono_ms() + KEEP_MS +
	                  (int64_t)(spool->expected / KEEP_BYTES_PER_MS);
}

/* Make a spool for NEED and put it into the list. Lock held. */
static int make_spool(struct spools *spools, const struct need *need, struct spool **ret, char *why,
                      size_t why_size)
{
	if (make_place(spools) < 0) {
		snprintf(why, why_size,
		         "This node is already sending %d snapshots of earlier moments. Try "
		         "another node, or try again later",
		         SPOOLS_MAX);
		return -EBUSY;
	}
	struct spool *spool = calloc(1, sizeof(*spool));
	if (!spool)
		return -ENOMEM;
	int to = open_file(spools, need, &spool->beside_store, why, why_size);
	int r = to < 0 ? to : 0;
	if (r < 0)
		goto err_free;
	spool->spools = spools;
	spool->offset = need->offset;
	spool->expected = need->bytes;
	spool->began_ms = clock_mono_ms();
	keep(spool);
	r = start_copy(spool, to);
	if (r < 0)
		goto err_close;
	spool->next = spools->first;
	spools->first = spool;
	*ret = spool;
	return 0;

err_close:
	close(to);
err_free:
	free(spool);
	return r;
}

/* Find or make a spool for one more client. Lock held. */
static int take_spool(struct spools *spools, const struct need *need, struct spool **ret, char *why,
                      size_t why_size)
{
	if (spools->stopping)
		return -ECANCELED;
	if (spools->readers >= READERS_MAX) {
		snprintf(
		        why, why_size,
		        "This node is already sending snapshots to %d clients. Try another node, or "
		        "try again later",
		        READERS_MAX);
		return -EBUSY;
	}
	struct spool *spool = find_fresh(spools, need->offset);
	int r = spool ? 0 : make_spool(spools, need, &spool, why, why_size);
	if (r < 0)
		return r;
	keep(spool);
	spool->readers++;
	spools->readers++;
	*ret = spool;
	return 0;
}

int spool_get(struct spools *spools, struct spool **ret, char *why, size_t why_size)
{
	struct need need;
	why[0] = '\0';
	int r = read_need(spools, &need);
	if (r == 0) {
		pthread_mutex_lock(&spools->lock);
		r = take_spool(spools, &need, ret, why, why_size);
		pthread_mutex_unlock(&spools->lock);
	}
	if (r < 0 && !why[0])
		snprintf(why, why_size, "A snapshot cannot be started now: %s", strerror(-r));
	return r;
}

void spool_release(struct spool *spool)
{
	struct spools *spools = spool->spools;
	pthread_mutex_lock(&spools->lock);
	spools->readers--;
	bool last = --spool->readers == 0;
	if (last)
		spool->unwanted = true; /* no other client gets it any more */
	pthread_mutex_unlock(&spools->lock);
	if (!last)
		return;
	pthread_join(spool->watcher, NULL);
	pthread_join(spool->copier, NULL);
	pthread_mutex_lock(&spools->lock);
	for (struct spool **p = &spools->first; *p; p = &(*p)->next) {
		if (*p == spool) {
			*p = spool->next;
			break;
		}
	}
	pthread_mutex_unlock(&spools->lock);
	close(spool->fd);
	close(spool->to);
	free(spool);
}

uint64_t spool_offset(const struct spool *spool)
{
	return spool->offset;
}

/* --- reading --- */

ssize_t spool_read(struct spool *spool, uint64_t pos, void *buf, size_t max)
{
	pthread_mutex_lock(&spool->spools->lock);
	uint64_t written = spool->written;
	bool over = spool->over;
	int result = spool->result;
	pthread_mutex_unlock(&spool->spools->lock);
	if (result == -ECANCELED)
		return result;
	if (pos >= written && !over)
		written = file_size(spool); /* the watcher may not have run */
	if (pos >= written)
		return over ? result : -EAGAIN;
	if (max > written - pos)
		max = (size_t)(written - pos);
	ssize_t n;
	do
		n = pread(spool->fd, buf, max, (off_t)pos);
	while (n < 0 && errno == EINTR);
	/* The file was emptied meanwhile. */
	return n < 0 ? -errno : n == 0 ? -ECANCELED : n;
}

void spool_wait(struct spool *spool, uint64_t pos, struct spool_reader *reader)
{
	pthread_mutex_lock(&spool->spools->lock);
	bool ready = spool->over || spool->result || spool->written > pos;
	if (!ready) {
		reader->next = spool->waiting;
		spool->waiting = reader;
	}
	pthread_mutex_unlock(&spool->spools->lock);
	if (ready)
		reader->wake(reader->arg);
}

/* --- metrics --- */

void spools_metrics_write(struct spools *spools, FILE *to)
{
	unsigned files = 0;
	uint64_t bytes = 0;
	int64_t now_ms = clock_mono_ms(), oldest_ms = now_ms;
	pthread_mutex_lock(&spools->lock);
	for (const struct spool *s = spools->first; s; s = s->next) {
		if (s->unwanted)
			continue;
		files++;
		bytes += s->written;
		if (s->began_ms < oldest_ms)
			oldest_ms = s->began_ms;
	}
	unsigned clients = spools->readers;
	pthread_mutex_unlock(&spools->lock);
	metrics_gauge(to, "keydir_snapshot_clients", "Clients that receive a snapshot", clients);
	metrics_gauge(to, "keydir_snapshot_files", "Files from which snapshots are sent", files);
	metrics_gauge(to, "keydir_snapshot_file_bytes", "Bytes in those files", (double)bytes);
	metrics_gauge(to, "keydir_snapshot_oldest_seconds",
	              "Age of the oldest of those files; 0: there is none",
	              (double)(now_ms - oldest_ms) / 1000);
}
