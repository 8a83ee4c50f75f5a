/* Snapshots: a new store taken whole from a peer.
 *
 * The peer streams LMDB's own consistent copy. It is written beside the store's
 * place, read through once (store_check_file: every row, and the totals), and
 * only then renamed to it, so a kill at any point leaves either no store or a
 * whole one. libcurl does the HTTP and notices a stream that ends early.
 *
 * Lock: DIR/snapshot.lock is held while fetching, so that the processes of one
 * node do not fetch twice. */
#include "snapshot.h"

#include "logger.h"
#include "store.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_S 3L /* a peer that does not answer is passed over */
#define STALL_S 10L  /* and one that stops sending */
#define STALL_BYTES 1024L
#define PATH_BYTES 4096

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* curl's write callback; a short count ends the transfer (disk full). */
static size_t to_file(char *data, size_t size, size_t n, void *arg)
{
	int fd = *(int *)arg;
	size_t done = 0, len = size * n;
	while (done < len) {
		ssize_t w = write(fd, data + done, len - done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return 0;
		done += (size_t)w;
	}
	return len;
}

/* Fetches URL into FD. 0, or -EIO with what went wrong in WHY. */
static int fetch(const char *url, const char *token, int fd, char *why, size_t why_size)
{
	char error[CURL_ERROR_SIZE] = "";
	int r = -EIO;
	CURL *curl = curl_easy_init();
	if (!curl)
		return -ENOMEM;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L * 1024);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, to_file);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &fd);
	if (token) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
	}
	CURLcode code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		r = 0;
	else
		snprintf(why, why_size, "%s", error[0] ? error : curl_easy_strerror(code));
	curl_easy_cleanup(curl);
	return r;
}

/* Fetches from one peer, checks, and puts the file in place. */
static int take_from(const char *peer, size_t peer_len, const char *token, const char *dir,
                     char *why, size_t why_size)
{
	char url[1024], part_dir[PATH_BYTES], part[PATH_BYTES], file[PATH_BYTES];
	while (peer_len && peer[peer_len - 1] == '/')
		peer_len--;
	if ((size_t)snprintf(url, sizeof url, "%.*s/v1/snapshot", (int)peer_len, peer) >=
	            sizeof url ||
	    (size_t)snprintf(part_dir, sizeof part_dir, "%s/snapshot.part", dir) >=
	            sizeof part_dir ||
	    (size_t)snprintf(part, sizeof part, "%.4000s/data.mdb", part_dir) >= sizeof part ||
	    (size_t)snprintf(file, sizeof file, "%s/data.mdb", dir) >= sizeof file)
		return -ENAMETOOLONG;
	if (mkdir(part_dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = fetch(url, token, fd, why, why_size);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0)
		r = store_check_file(part_dir, why, why_size);
	if (r == 0 && rename(part, file) < 0)
		r = -errno;
	unlink(part);
	snprintf(part, sizeof part, "%.4000s/lock.mdb", part_dir);
	unlink(part);
	rmdir(part_dir);
	return r;
}

int snapshot_fetch(const char *peers, const char *token, const char *dir, char *why,
                   size_t why_size)
{
	char path[PATH_BYTES];
	struct stat st;
	int r = store_make_dir(dir);
	why[0] = '\0';
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	if (stat(path, &st) == 0)
		return 0;
	snprintf(path, sizeof path, "%s/snapshot.lock", dir);
	int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0)
		return -errno;
	while (flock(lock, LOCK_EX) < 0) {
		if (errno != EINTR) {
			r = -errno;
			goto err_close;
		}
	}
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	if (stat(path, &st) == 0) /* another process was faster */
		goto err_close;

	pthread_once(&curl_once, curl_start);
	size_t used = 0;
	for (const char *peer = peers; *peer;) {
		size_t len = strcspn(peer, ",");
		char answer[256] = "";
		if (len) {
			r = take_from(peer, len, token, dir, answer, sizeof answer);
			if (r == 0) {
				logger(LOGGER_INFO, "snapshot taken peer=%.*s", (int)len, peer);
				r = 1;
				break;
			}
			int n = snprintf(why + used, why_size - used, "%s%.*s: %s",
			                 used ? "; " : "", (int)len, peer,
			                 answer[0] ? answer : strerror(-r));
			used = n < 0 || used + (size_t)n >= why_size ? why_size - 1 :
			                                               used + (size_t)n;
			r = 0;
		}
		peer += len + (peer[len] == ',');
	}
err_close:
	close(lock);
	return r;
}
