/* Snapshot: GET /v1/snapshot, the whole store, streamed to a node that joins.
 *
 * LMDB's copy writes to a descriptor and blocks; a step of MHD must not. So the copy runs on a
 * thread of its own into a pipe, and MHD reads the pipe without waiting. While it is empty, the
 * connection is suspended, and a second thread polls the pipe and resumes it. In memory are never
 * more than the contents of the pipe and LMDB's own two buffers.
 *
 * A copy holds a read snapshot, and pages that changed since cannot be reused before it ends.
 * Therefore few run at a time, each has a time limit, and it ends when its client has gone or is
 * silent for the idle timeout: closing the pipe makes the copy fail. A stream that fails is not
 * ended with the last chunk that HTTP requires, so that the client detects the truncation. A
 * complete one ends with a checksum (common/node/snapshot.h).
 *
 * Lock: snapshot.lock protects `waiting` and `over`; no function is called with it held. */
#include "httpd/handlers.h"

#include "common/base/clock.h"
#include "common/base/crc64.h"
#include "common/base/logger.h"
#include "common/node/snapshot.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SNAPSHOTS_MAX 2
/* Time limit: this, plus the time that the store takes at this rate. */
#define LIMIT_MS 60000
#define LIMIT_BYTES_PER_MS 8192
#define PIPE_BYTES (1 << 20) /* the limit of unprivileged processes */
#define BLOCK_BYTES (256 << 10)
#define POLL_MS 100 /* how soon a stop is noticed while the pipe is empty */

struct snapshot {
	struct server *server;
	struct MHD_Connection *conn;
	int from; /* read end of the pipe; non-blocking */
	int to;   /* write end, for the copy */
	int64_t deadline_ms;
	uint64_t sent; /* bytes of the copy and of its checksum */
	uint64_t crc;
	size_t trailer_sent;
	atomic_int result; /* of the copy; final once the pipe ends */
	pthread_t copier;
	pthread_t watcher;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool waiting; /* the connection is suspended; protected by lock */
	bool over;    /* the response is gone; protected by lock */
};

static void *copier_run(void *arg)
{
	struct snapshot *s = arg;
	int r = store_copy_fd(node_store(s->server->node), s->to);
	atomic_store(&s->result, r);
	close(s->to); /* After the result: a reader that finds the end finds it, too. */
	return NULL;
}

/* Wait until the pipe has data, has ended, or waiting is over. */
static void await_pipe(struct snapshot *s)
{
	struct pollfd pipe = { .fd = s->from, .events = POLLIN };
	while (poll(&pipe, 1, POLL_MS) == 0 && !atomic_load(&s->server->abandoning) &&
	       clock_mono_ms() < s->deadline_ms)
		;
}

static void *watcher_run(void *arg)
{
	struct snapshot *s = arg;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->waiting && !s->over)
			pthread_cond_wait(&s->wake, &s->lock);
		if (s->over)
			break;
		pthread_mutex_unlock(&s->lock);
		await_pipe(s);
		pthread_mutex_lock(&s->lock);
		s->waiting = false;
		pthread_mutex_unlock(&s->lock);
		MHD_resume_connection(s->conn);
		atomic_fetch_sub(&s->server->snapshots_waiting, 1);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Suspend the connection until the pipe has data. */
static ssize_t wait_for_pipe(struct snapshot *s)
{
	/* Count before checking: server_stop() does it in the other order. */
	atomic_fetch_add(&s->server->snapshots_waiting, 1);
	if (atomic_load(&s->server->abandoning)) {
		atomic_fetch_sub(&s->server->snapshots_waiting, 1);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	MHD_suspend_connection(s->conn);
	pthread_mutex_lock(&s->lock);
	s->waiting = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static ssize_t cut_short(const struct snapshot *s, const char *why)
{
	static struct logger_limit lines;
	uint64_t suppressed;
	if (logger_allow(&lines, &suppressed))
		logger(LOGGER_WARN, "snapshot cut short why=\"%s\" sent=%llu suppressed=%llu", why,
		       (unsigned long long)s->sent, (unsigned long long)suppressed);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Copy the trailer, which follows the copy, into BUF. */
static ssize_t take_trailer(struct snapshot *s, char *buf, size_t max)
{
	unsigned char trailer[SNAPSHOT_TRAILER_BYTES];
	size_t left = sizeof(trailer) - s->trailer_sent;
	if (!left)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (left > max)
		left = max;
	snapshot_trailer(s->sent, s->crc, trailer);
	memcpy(buf, trailer + s->trailer_sent, left);
	s->trailer_sent += left;
	return (ssize_t)left;
}

static ssize_t take_from_pipe(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct snapshot *s = arg;
	(void)pos;
	if (clock_mono_ms() >= s->deadline_ms)
		return cut_short(s, "the client took too long");
	ssize_t n;
	do
		n = read(s->from, buf, max);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		s->sent += (uint64_t)n;
		s->crc = crc64(s->crc, buf, (size_t)n);
		return n;
	}
	if (n < 0 && errno == EAGAIN)
		return wait_for_pipe(s);
	int r = n < 0 ? -errno : atomic_load(&s->result);
	return r ? cut_short(s, strerror(-r)) : take_trailer(s, buf, max);
}

/* Free the snapshot after the response was sent or the client has left. The connection is not
 * suspended then, so the watcher sleeps, and the copy ends at its next write. */
static void snapshot_free(void *arg)
{
	struct snapshot *s = arg;
	pthread_mutex_lock(&s->lock);
	s->over = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->watcher, NULL);
	close(s->from);
	pthread_join(s->copier, NULL);
	atomic_fetch_sub(&s->server->snapshots, 1);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Start the copy. Returns 0 and *RET, which snapshot_free() ends, or -errno. */
static int snapshot_new(struct request *rq, struct snapshot **ret)
{
	struct server *server = rq->server;
	int ends[2];
	struct snapshot *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	int r = pipe2(ends, O_CLOEXEC) ? -errno : 0;
	if (r)
		goto err_free;
	fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* only for speed */
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK)) {
		r = -errno;
		goto err_close;
	}
	s->server = server;
	s->conn = rq->conn;
	s->from = ends[0];
	s->to = ends[1];
	s->deadline_ms = clock_mono_ms() + LIMIT_MS +
	                 (int64_t)(store_bytes(node_store(server->node)) / LIMIT_BYTES_PER_MS);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	r = -pthread_create(&s->watcher, NULL, watcher_run, s);
	if (r)
		goto err_destroy;
	r = -pthread_create(&s->copier, NULL, copier_run, s);
	if (r)
		goto err_watcher;
	*ret = s;
	return 0;

err_watcher:
	pthread_mutex_lock(&s->lock);
	s->over = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->watcher, NULL);
err_destroy:
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
err_close:
	close(ends[0]);
	close(ends[1]);
err_free:
	free(s);
	return r;
}

static enum MHD_Result send_headers(struct request *rq, uint64_t offset,
                                    struct MHD_Response *response)
{
	response_header(response, "Content-Type", "application/octet-stream");
	response_header(response, "Cache-Control", "no-store");
	return respond_send(rq, MHD_HTTP_OK, offset, response);
}

static enum MHD_Result send_snapshot(struct request *rq)
{
	struct server *server = rq->server;
	struct snapshot *s = NULL;
	if (atomic_fetch_add(&server->snapshots, 1) >= SNAPSHOTS_MAX) {
		atomic_fetch_sub(&server->snapshots, 1);
		return problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
		               "This node is already sending %d snapshots. Try another node, or "
		               "try again later.",
		               SNAPSHOTS_MAX);
	}
	/* Read the offset before the copy begins: the copy is at least that new. */
	uint64_t offset = node_offset(server->node);
	int r = snapshot_new(rq, &s);
	if (!s) {
		atomic_fetch_sub(&server->snapshots, 1);
		return problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
		               "A snapshot cannot be started now: %s.", strerror(-r));
	}
	struct MHD_Response *response = MHD_create_response_from_callback(
	        MHD_SIZE_UNKNOWN, BLOCK_BYTES, take_from_pipe, s, snapshot_free);
	if (!response)
		snapshot_free(s);
	return send_headers(rq, offset, response);
}

enum MHD_Result handle_snapshot(struct request *rq)
{
	struct node_status status;
	if (atomic_load(&rq->server->draining))
		return problem(rq, PROBLEM_STOPPING, RESPOND_OFFSET_NOW, "This node is stopping.");
	node_status(rq->server->node, &status);
	if (!status.ready)
		return problem(rq, PROBLEM_NOT_READY, RESPOND_OFFSET_NOW,
		               "This node sends no snapshot because it is not ready: %s.",
		               status.why);
	if (rq->method == HTTP_HEAD)
		return send_headers(rq, RESPOND_OFFSET_NOW, response_stream());
	return send_snapshot(rq);
}
