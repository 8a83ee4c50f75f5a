/* Request bodies: collected within limits.
 *
 * MHD closes the connection after a response that is queued at the headers, so responses wait for
 * the request's end, which comes at once without a body. A refused body is still read and
 * discarded, up to DRAIN_MAX, before the response is sent: most clients write everything before
 * they read, and closing a socket with unread data destroys the response in transit. Only a client
 * that sent "Expect: 100-continue", or announces a longer body, is answered at once.
 *
 * No lock: a request belongs to one MHD thread. The total of all bodies is an atomic counter of the
 * server. */
#include "httpd/request_body.h"

#include "httpd/problem.h"
#include "httpd/request.h"
#include "httpd/respond.h"
#include "httpd/router.h"
#include "httpd/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a refused body that are read, in addition to the largest value. */
#define DRAIN_MAX (UINT64_C(16) << 20)
/* A body announced with at most this length is allocated at once. */
#define TRUSTED_BYTES (1 << 20)

static size_t max_value(const struct request *rq)
{
	return node_max_value(rq->server->node);
}

uint64_t request_body_max(const struct request *rq)
{
	const struct route_method *method = router_method(rq->route, rq->method);
	uint64_t most = max_value(rq);
	return method->body_max < most ? method->body_max : most;
}

void request_body_begin(struct request *rq)
{
	if (rq->headers.content_length)
		rq->announced = strtoull(rq->headers.content_length, NULL, 10);
	bool has_body = rq->announced || rq->headers.transfer_encoding;
	rq->defer = rq->announced <= max_value(rq) + DRAIN_MAX && !(has_body && rq->headers.expect);
}

char *request_take_body(struct request *rq)
{
	char *body = rq->body;
	if (rq->body_cap)
		atomic_fetch_sub(&rq->server->body_bytes, rq->body_cap);
	rq->body = NULL;
	rq->body_len = rq->body_cap = 0;
	return body;
}

static void drop_body(struct request *rq)
{
	free(request_take_body(rq));
}

/* Make room for NEED bytes of body. Returns 0, -ENOMEM, or -EBUSY if all bodies together are too
 * large. */
static int body_room(struct request *rq, size_t need, size_t most)
{
	struct server *server = rq->server;
	if (need <= rq->body_cap)
		return 0;
	size_t cap = rq->body_cap * 2;
	if (cap < need)
		cap = need;
	if (cap > most)
		cap = most;
	uint64_t more = cap - rq->body_cap;
	if (atomic_fetch_add(&server->body_bytes, more) + more > server->body_bytes_max) {
		atomic_fetch_sub(&server->body_bytes, more);
		return -EBUSY;
	}
	char *body = realloc(rq->body, cap);
	if (!body) {
		atomic_fetch_sub(&server->body_bytes, more);
		return -ENOMEM;
	}
	rq->body = body;
	rq->body_cap = cap;
	return 0;
}

enum MHD_Result request_body_too_large(struct request *rq)
{
	return problem(rq, PROBLEM_TOO_LARGE, RESPOND_OFFSET_NOW,
	               "A request body may have up to %llu bytes here (--max-value, and less for "
	               "/v1/txn and /v1/mget). Send less, or split it over several keys or "
	               "requests.",
	               (unsigned long long)request_body_max(rq));
}

enum MHD_Result request_body_data(struct request *rq, const char *data, size_t len)
{
	if (rq->early || !router_method(rq->route, rq->method)->body_max) {
		rq->discarded += len;
		/* Drop the connection of a client that keeps sending. */
		return rq->discarded > max_value(rq) + DRAIN_MAX ? MHD_NO : MHD_YES;
	}
	size_t most = request_body_max(rq);
	if (len > most - rq->body_len) {
		drop_body(rq);
		rq->discarded += len;
		return request_body_too_large(rq);
	}
	/* Trust the announced length up to a limit: usual values are not copied, and a client that
	 * only announces a body gets no memory. */
	size_t need = rq->body_len + len;
	if (!rq->body_cap && rq->announced > need && rq->announced <= TRUSTED_BYTES)
		need = rq->announced;
	int r = body_room(rq, need, most);
	if (r) {
		drop_body(rq);
		rq->discarded += len;
		return problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
		               r == -EBUSY ? "The request bodies being read use all memory "
		                             "allowed for them. Try again in a moment." :
		                             "Out of memory. Try again in a moment.");
	}
	memcpy(rq->body + rq->body_len, data, len);
	rq->body_len += len;
	return MHD_YES;
}
