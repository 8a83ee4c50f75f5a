/* Snapshot: GET /v1/snapshot, the whole store, streamed to a node that joins.
 *
 * The stream comes from a file (httpd/spool.c), so a client may take it as slowly as any
 * other answer (httpd/clients.c) without holding pages of the store. A client that is faster
 * than the copy is suspended until there is more.
 *
 * A stream that fails is not ended with the last chunk that HTTP requires, so that the client
 * detects the truncation. A complete one ends with a checksum (common/node/snapshot.h). */
#include "httpd/handlers.h"

#include "common/base/crc64.h"
#include "common/base/logger.h"
#include "common/node/snapshot.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"
#include "httpd/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (256 << 10)
#define WHY_BYTES 800

/* A snapshot that is being sent. */
struct snapshot {
	struct server *server;
	struct MHD_Connection *conn;
	struct spool *spool;
	struct spool_reader reader;
	uint64_t copied; /* bytes of the copy that were sent, and their checksum */
	uint64_t crc;
};

static void resume(void *arg)
{
	struct snapshot *s = arg;
	struct server *server = s->server; /* the answer may end as soon as it is resumed */
	MHD_resume_connection(s->conn);
	atomic_fetch_sub(&server->snapshots_waiting, 1);
}

/* Suspend the connection until the spool has the byte at POS, or has ended. */
static ssize_t wait_for_spool(struct snapshot *s, uint64_t pos)
{
	/* Count before the check: server_stop() does it in the other order. */
	atomic_fetch_add(&s->server->snapshots_waiting, 1);
	if (atomic_load(&s->server->abandoning)) {
		atomic_fetch_sub(&s->server->snapshots_waiting, 1);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	MHD_suspend_connection(s->conn);
	spool_wait(s->spool, pos, &s->reader);
	return 0;
}

static ssize_t cut_short(uint64_t sent, const char *why)
{
	static struct logger_limit lines;
	uint64_t suppressed;
	if (logger_allow(&lines, &suppressed))
		logger(LOGGER_WARN, "snapshot cut short why=\"%s\" sent=%llu suppressed=%llu", why,
		       (unsigned long long)sent, (unsigned long long)suppressed);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Copy the rest of the checksum, from POS in the answer on. */
static ssize_t read_trailer(const struct snapshot *s, uint64_t pos, char *buf, size_t max)
{
	unsigned char trailer[SNAPSHOT_TRAILER_BYTES];
	size_t done = (size_t)(pos - s->copied);
	size_t left = sizeof(trailer) - done;
	if (!left)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (left > max)
		left = max;
	snapshot_trailer(s->copied, s->crc, trailer);
	memcpy(buf, trailer + done, left);
	return (ssize_t)left;
}

static ssize_t read_block(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct snapshot *s = arg;
	ssize_t n = spool_read(s->spool, pos, buf, max);
	if (n > 0) {
		s->copied += (uint64_t)n;
		s->crc = crc64(s->crc, buf, (size_t)n);
		return n;
	}
	switch (n) {
	case 0:
		return read_trailer(s, pos, buf, max);
	case -EAGAIN:
		return wait_for_spool(s, pos);
	case -ECANCELED:
		return cut_short(pos, atomic_load(&s->server->abandoning) ?
		                              "this node is stopping" :
		                              "the client is slow, and others need its place");
	default:
		return cut_short(pos, strerror((int)-n));
	}
}

/* The answer was sent, or the client is gone. */
static void snapshot_free(void *arg)
{
	struct snapshot *s = arg;
	spool_release(s->spool);
	free(s);
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
	char why[WHY_BYTES] = "A snapshot cannot be started now: out of memory";
	struct snapshot *s = calloc(1, sizeof(*s));
	int r = s ? spool_get(server->spools, &s->spool, why, sizeof(why)) : -ENOMEM;
	if (r < 0) {
		free(s);
		return problem(rq, r == -ENOSPC ? PROBLEM_NO_ROOM : PROBLEM_BUSY,
		               RESPOND_OFFSET_NOW, "%s.", why);
	}
	s->server = server;
	s->conn = rq->conn;
	s->reader = (struct spool_reader){ .wake = resume, .arg = s };
	uint64_t offset = spool_offset(s->spool);
	struct MHD_Response *response = MHD_create_response_from_callback(
	        MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_block, s, snapshot_free);
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
