/* Snapshots: a new store copied from a peer.
 *
 * The peer streams LMDB's own consistent copy, followed by a checksum. It is written to a directory
 * inside the store's place, checked, and only then renamed to the store's file, so a kill at any
 * point leaves either no store or a complete one. There are three checks, each for faults that the
 * previous ones cannot detect:
 *
 * - the checksum: the received bytes are those that the peer sent;
 * - the rows: a child process copies them to a new store and checks that they agree with each other
 *   (store_file_copy()). That new store is installed, so no program that serves requests opens
 *   LMDB pages that another node wrote. Both files need space at the same time;
 * - the volume: the store is of this volume, and the log still has the records that follow it
 *   (`fits`).
 *
 * The size of a snapshot is limited by how much a store of this size may need and how much the file
 * system has left; its duration and its rate are limited, too. A peer that exceeds a limit is
 * skipped, so it can neither fill the memory nor delay a start for long.
 *
 * Lock: the caller holds the directory's lock (store_place_begin()), so that two processes of a
 * node do not fetch at once, and none creates a store meanwhile. */
#include "common/node/snapshot.h"

#include "common/base/crc64.h"
#include "common/base/logger.h"
#include "common/store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CONNECT_S 3L /* a peer that does not answer is skipped */
#define SLOW_S 10L   /* and one that sends less than SLOW_BYTES a second for this time */
#define SLOW_BYTES (64L << 10)
/* A snapshot may take WHOLE_S plus the time for its maximum size at this rate. Most snapshots are
 * much smaller than the maximum and may come at a fraction of the rate. */
#define WHOLE_S 60
#define WHOLE_BYTES_PER_S (4 << 20)
/* The maximum size of a snapshot allows for partly filled pages and for a peer whose quota is a few
 * times larger. */
#define LONGEST_SIZES 4
#define LONGEST_MORE (64 << 20)
#define LEAVE_BYTES (1 << 20) /* of the file system's free space */
#define PATH_BYTES 4096
#define WHY_BYTES 256
#define BLOCK_BYTES (256 << 10)

static const char trailer_mark[8] = "keydir-1"; /* without a NUL */

/* --- fetching --- */

/* A file that is being fetched. */
struct download {
	int fd;
	uint64_t bytes;
	uint64_t limit; /* maximum number of bytes */
	const char *limit_text;
	char *why; /* receives the reason for giving up */
	size_t why_size;
};

/* Set how many bytes may be written to D's file. */
static void set_limit(struct download *d, uint64_t size_bytes)
{
	struct statvfs fs;

	d->limit = UINT64_MAX;
	if (size_bytes < (UINT64_MAX - LONGEST_MORE) / LONGEST_SIZES)
		d->limit = LONGEST_SIZES * size_bytes + LONGEST_MORE;
	d->limit_text = "a store of this --size may need";
	if (fstatvfs(d->fd, &fs) < 0)
		return;
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	room = room > LEAVE_BYTES ? room - LEAVE_BYTES : 0;
	if (room < d->limit) {
		d->limit = room;
		d->limit_text = "the file system of the store has space for";
	}
}

static void report_too_long(const struct download *d)
{
	snprintf(d->why, d->why_size, "it sends more than the %llu bytes that %s",
	         (unsigned long long)d->limit, d->limit_text);
}

/* Write received data to the file, for curl. A short count ends the transfer. */
static size_t write_body(char *data, size_t size, size_t n, void *arg)
{
	struct download *d = arg;
	size_t done = 0, len = size * n;

	d->bytes += len;
	if (d->bytes > d->limit) {
		report_too_long(d);
		return 0;
	}
	while (done < len) {
		ssize_t w = write(d->fd, data + done, len - done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			snprintf(d->why, d->why_size, "cannot write it to the store's place: %s",
			         strerror(errno));
			return 0;
		}
		done += (size_t)w;
	}
	return len;
}

/* Fetch the snapshot of PEER into FD. Returns 0, or -EIO with the reason in WHY. */
static int fetch_snapshot(const struct snapshot_source *source, const struct peer *peer, int fd,
                          char *why, size_t why_size)
{
	struct download d = { .fd = fd, .why = why, .why_size = why_size };
	char error[CURL_ERROR_SIZE];
	CURL *curl = peer_request_new(&source->access, peer, "/v1/snapshot", error);

	if (!curl) {
		snprintf(why, why_size, "%s", error);
		return -EIO;
	}
	set_limit(&d, source->size_bytes);
	uint64_t longest_s = WHOLE_S + d.limit / WHOLE_BYTES_PER_S;
	if (longest_s > INT32_MAX)
		longest_s = INT32_MAX;
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SLOW_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)longest_s);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L * 1024);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &d);
	int r = peer_request_run(curl, error);
	if (r < 0 && !why[0])
		snprintf(why, why_size, "%s", error);
	peer_request_free(curl);
	return r;
}

/* --- checking --- */

static void put_le64(unsigned char *out, uint64_t n)
{
	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char)(n >> 8 * i);
}

void snapshot_trailer(uint64_t len, uint64_t crc, unsigned char out[SNAPSHOT_TRAILER_BYTES])
{
	memcpy(out, trailer_mark, sizeof(trailer_mark));
	put_le64(out + 8, len);
	put_le64(out + 16, crc);
}

/* Read exactly LEN bytes at OFFSET. Returns 0 or -errno. */
static int read_at(int fd, void *buf, size_t len, off_t offset)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, offset + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* Check the trailer of the fetched file and cut it off. Returns 0, or -errno with a sentence in
 * WHY. */
static int check_sum(int fd, char *why, size_t why_size)
{
	unsigned char found[SNAPSHOT_TRAILER_BYTES], expected[SNAPSHOT_TRAILER_BYTES];
	off_t len = lseek(fd, 0, SEEK_END) - SNAPSHOT_TRAILER_BYTES;
	uint64_t crc = 0;
	if (len < 0) {
		snprintf(why, why_size, "it sent no snapshot: too short");
		return -EPROTO;
	}
	int r = read_at(fd, found, sizeof(found), len);
	if (r < 0)
		return r;
	if (memcmp(found, trailer_mark, sizeof(trailer_mark) - 1) == 0 && found[7] > '1' &&
	    found[7] <= '9') {
		snprintf(
		        why, why_size,
		        "the snapshot has format %c, and keydir %s reads format 1 only: use a newer "
		        "version of Keydir",
		        found[7], KEYDIR_VERSION);
		return -EOPNOTSUPP;
	}
	if (memcmp(found, trailer_mark, sizeof(trailer_mark)) != 0) {
		snprintf(why, why_size,
		         "it sent no snapshot, or one without the checksum at its end");
		return -EPROTO;
	}
	char *block = malloc(BLOCK_BYTES);
	if (!block)
		return -ENOMEM;
	for (off_t at = 0; at < len && r == 0;) {
		size_t n = len - at < BLOCK_BYTES ? (size_t)(len - at) : BLOCK_BYTES;
		r = read_at(fd, block, n, at);
		if (r == 0)
			crc = crc64(crc, block, n);
		at += (off_t)n;
	}
	free(block);
	if (r < 0)
		return r;
	snapshot_trailer((uint64_t)len, crc, expected);
	if (memcmp(found, expected, sizeof(expected)) != 0) {
		snprintf(why, why_size,
		         "the snapshot was damaged in transfer: its checksum differs");
		return -EPROTO;
	}
	return ftruncate(fd, len) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Check the file in DIR, which is open as FD, and copy it to a new store in COPY_DIR. */
static int check_and_copy(const struct snapshot_source *source, const char *dir,
                          const char *copy_dir, int fd, char *why, size_t why_size)
{
	struct store_meta meta;
	int r = check_sum(fd, why, why_size);
	if (r == 0)
		r = store_file_copy(dir, copy_dir, &meta, why, why_size);
	if (r == 0 && !meta.started) {
		snprintf(why, why_size, "its store is empty");
		r = -EPROTO;
	}
	if (r == 0)
		r = source->fits(source->arg, &meta, why, why_size);
	return r;
}

/* --- taking --- */

/* Directories inside the store's place in which a snapshot becomes a store. */
#define PART "snapshot.part" /* received from the peer */
#define COPY "snapshot.copy" /* the store copied from it */

/* Remove the directory NAME in PLACE, with the store in it. Another user may have created a file of
 * that name there (store/place.c), so no link is followed. */
static void remove_dir(const struct store_place *place, const char *name)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "state" };
	int parent = store_place_fd(place);
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (size_t i = 0; fd >= 0 && i < sizeof(files) / sizeof(files)[0]; i++)
		unlinkat(fd, files[i], 0);
	unlinkat(parent, name, fd >= 0 ? AT_REMOVEDIR : 0);
	if (fd >= 0)
		close(fd);
}

/* Write the path of FILE in the directory NAME in PLACE to PATH. If FILE is "", create that
 * directory anew. Returns 0 or -errno. */
static int path_in(const struct store_place *place, const char *name, const char *file,
                   char path[PATH_BYTES])
{
	if ((size_t)snprintf(path, PATH_BYTES, "%s/%s%s", store_place_path(place), name, file) >=
	    PATH_BYTES)
		return -ENAMETOOLONG;
	if (file[0])
		return 0;
	remove_dir(place, name); /* left by a process that was killed */
	return mkdir(path, 0700) < 0 ? -errno : 0;
}

/* Fetch from one peer, check, and install the store that is copied from it. */
static int take_from(const struct snapshot_source *source, const struct peer *peer,
                     const struct store_place *place, char *why, size_t why_size)
{
	char part[PATH_BYTES], part_file[PATH_BYTES], copy[PATH_BYTES], copy_file[PATH_BYTES],
	        file[PATH_BYTES], copy_state[PATH_BYTES], state[PATH_BYTES];
	int r = path_in(place, PART, "/data.mdb", part_file), fd = -1;
	if (r == 0)
		r = path_in(place, COPY, "/data.mdb", copy_file);
	if (r == 0)
		r = path_in(place, ".", "/data.mdb", file);
	if (r == 0)
		r = path_in(place, COPY, "/state", copy_state);
	if (r == 0)
		r = path_in(place, ".", "/state", state);
	if (r == 0)
		r = path_in(place, PART, "", part);
	if (r == 0)
		r = path_in(place, COPY, "", copy);
	if (r == 0) {
		fd = open(part_file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : 0;
	}
	if (r == 0)
		r = fetch_snapshot(source, peer, fd, why, why_size);
	if (r == 0)
		r = check_and_copy(source, part, copy, fd, why, why_size);
	if (fd >= 0)
		close(fd);
	/* The state file marks the store as checked; without it, opening would check the store
	 * again. */
	if (r == 0 && (rename(copy_state, state) < 0 || rename(copy_file, file) < 0))
		r = -errno;
	remove_dir(place, PART);
	remove_dir(place, COPY);
	return r;
}

/* Ask the peers in turn. Returns 1 if one had a usable snapshot, or 0 with the answers of all in
 * WHY. */
static int ask_peers(const struct snapshot_source *source, const struct store_place *place,
                     char *why, size_t why_size)
{
	struct peer_list list = { 0 };
	size_t used = 0;
	bool taken = false;

	if (peer_list_new(source->peers, true, &list) < 0)
		snprintf(why, why_size, "out of memory");
	for (size_t i = 0; i < list.n; i++) {
		const char *url = list.peers[i].url;
		char answer[WHY_BYTES] = "";
		int r = take_from(source, &list.peers[i], place, answer, sizeof(answer));
		taken = r == 0;
		if (taken) {
			logger(LOGGER_INFO, "snapshot taken peer=%s", url);
			break;
		}
		if (!answer[0])
			snprintf(answer, sizeof(answer), "%s", strerror(-r));
		logger(LOGGER_WARN, "no snapshot peer=%s why=\"%s\"", url, answer);
		int n = snprintf(why + used, why_size - used, "%s%s: %s", used ? "; " : "", url,
		                 answer);
		used = n < 0 || used + (size_t)n >= why_size ? why_size - 1 : used + (size_t)n;
	}
	peer_list_free(&list);
	return taken;
}

int snapshot_fetch(const struct snapshot_source *source, const struct store_place *place, char *why,
                   size_t why_size)
{
	why[0] = '\0';
	return store_place_has_store(place) ? 0 : ask_peers(source, place, why, why_size);
}
