/* Requests: the state of one HTTP request from its first line to its end.
 *
 * MHD calls request_handle() several times for one request: at its headers, for each piece of its
 * body, at its end, and after each resume. The stage says which call it is. All of these, and all
 * steps of a route, run on the one MHD thread of the connection, so a request needs no lock of its
 * own.
 *
 * The stages are implemented in request_check.c (before the body), request_body.c, request_submit.c
 * (changes) and request_wait.c (waiting for the node, suspended). This file moves a request from
 * one to the next. */
#include "httpd/request.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "httpd/access_log.h"
#include "httpd/key_wait.h"
#include "httpd/mhd_queue.h"
#include "httpd/problem.h"
#include "httpd/request_check.h"
#include "httpd/respond.h"
#include "httpd/router.h"
#include "httpd/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longest wait of a request with X-Keydir-Offset or ?consistent. */
#define OFFSET_WAIT_MS 5000

void *request_new(void *server, const char *target, struct MHD_Connection *conn)
{
	size_t len = strlen(target);
	/* The decoded key is never longer than the target. */
	/* malloc(): glibc's calloc() does not use this thread's cache of freed blocks. */
	struct request *rq = malloc(sizeof(*rq) + 2 * (len + 1));
	if (!rq)
		return NULL;
	*rq = (struct request){
		.server = server,
		.conn = conn,
		.start_ns = clock_mono_ns(),
		.refs = 1,
		.client = client_of(conn),
		.metric = HTTP_ROUTE_OTHER,
		.method = HTTP_METHOD_OTHER,
	};
	client_request(rq->client, rq);
	client_enter(rq->client, CLIENT_RECEIVING);
	memcpy(rq->target, target, len + 1);
	url_split(rq->target, len, &rq->url);
	/* MHD would now split the query and take memory of the connection for each parameter, and
	 * hang (0.9.75) where that is too little. We keep the query ourselves, so for MHD the
	 * target ends at its question mark. */
	const char *mark = memchr(target, '?', len);
	if (mark)
		*(char *)(uintptr_t)(mark + 1) = '\0';
	rq->key = rq->target + len + 1;
	http_metrics_begin();
	return rq;
}

void request_unref(struct request *rq)
{
	if (atomic_fetch_sub(&rq->refs, 1) != 1)
		return;
	if (rq->body_cap)
		atomic_fetch_sub(&rq->server->body_bytes, rq->body_cap);
	if (rq->early)
		MHD_destroy_response(rq->early);
	tokens_unref(rq->tokens);
	key_wait_free(rq->poll);
	free(rq->arrived.ops);
	free(rq->result.ops);
	free(rq->written.ops);
	free(rq->idem);
	free(rq->own_key);
	json_text_clear(&rq->prepared);
	free(rq->body);
	free(rq);
}

/* --- end ------------------------------------------------------------------- */

static void log_request(const struct request *rq, int64_t latency_ns)
{
	logger(LOGGER_DEBUG, "request method=%s path=%.*s status=%u us=%lld",
	       rq->method_text ? rq->method_text : "-", (int)rq->url.path_len,
	       rq->url.path ? rq->url.path : "", rq->status, (long long)(latency_ns / 1000));
}

static void end_request(struct request *rq, bool gone)
{
	client_request(rq->client, NULL);
	if (rq->waits)
		client_wait_end(rq->client);
	if (rq->stage == REQUEST_WAITING) /* resumed, but the client has left */
		request_wait_drop(rq);
	if (rq->stage == REQUEST_GATHERED) /* The client has left; its event is still applied. */
		node_flush(rq->server->node);
	client_enter(rq->client, CLIENT_IDLE);
	int64_t latency_ns = clock_mono_ns() - rq->start_ns;
	http_metrics_end(rq->metric, rq->method, gone ? 0 : rq->status, latency_ns);
	access_log_write(rq->server->access_log, rq, gone, latency_ns);
	if (rq->server->settings->debug)
		log_request(rq, latency_ns);
	request_unref(rq);
}

void request_completed(void *server, struct MHD_Connection *conn, void **req,
                       enum MHD_RequestTerminationCode how)
{
	(void)server;
	(void)conn;
	struct request *rq = *req;
	*req = NULL;
	if (rq)
		end_request(rq, how != MHD_REQUEST_TERMINATED_COMPLETED_OK && !rq->refused);
}

void request_refused(struct request *rq, unsigned status)
{
	rq->status = status;
	rq->refused = true;
	client_enter(rq->client, CLIENT_SENDING);
}

void request_forgotten(void *request)
{
	struct request *rq = request;
	end_request(rq, !rq->refused);
}

/* --- wait for an offset ---------------------------------------------------- */

static enum MHD_Result run_route(struct request *rq)
{
	return router_method(rq->route, rq->method)->run(rq);
}

static enum MHD_Result offset_reached(struct request *rq)
{
	switch (rq->result.code) {
	case OUTCOME_OK:
		return run_route(rq);
	case OUTCOME_UNKNOWN:
		if (rq->abandoned)
			return problem(rq, PROBLEM_STOPPING, RESPOND_OFFSET_NOW,
			               "This node is stopping. Try another one.");
		return problem(rq, PROBLEM_BEHIND, RESPOND_OFFSET_NOW,
		               "This node has not reached the requested offset within %d "
		               "seconds. Try again, or try another node.",
		               OFFSET_WAIT_MS / 1000);
	default:
		return problem_outcome(rq, &rq->result, false);
	}
}

/* Wait as X-Keydir-Offset or ?consistent requires, then run the route. */
static enum MHD_Result wait_and_run(struct request *rq)
{
	struct node *node = rq->server->node;
	rq->stage = REQUEST_RUNNING;
	client_enter(rq->client, CLIENT_WORKING);
	if (rq->headers.offset) {
		char *end;
		errno = 0;
		uint64_t offset = strtoull(rq->headers.offset, &end, 10);
		if (end == rq->headers.offset || *end || errno || offset > INT64_MAX ||
		    rq->headers.offset[0] == '-')
			return problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
			               "X-Keydir-Offset must be an integer, copied from this "
			               "header of an earlier response.");
		if (offset > node_offset(node)) {
			request_wait_start(rq);
			node_wait(node, offset, OFFSET_WAIT_MS, request_done, rq);
			return request_wait_end(rq, offset_reached);
		}
	} else if (rq->url.query_len && url_flag(&rq->url, "consistent")) {
		request_wait_start(rq);
		node_barrier(node, OFFSET_WAIT_MS, request_done, rq);
		return request_wait_end(rq, offset_reached);
	}
	return run_route(rq);
}

/* --- calls of MHD ---------------------------------------------------------- */

static enum MHD_Result body_end(struct request *rq)
{
	if (!rq->early)
		return wait_and_run(rq);
	struct MHD_Response *response = rq->early;
	rq->early = NULL;
	rq->stage = REQUEST_ANSWERED;
	client_enter(rq->client, CLIENT_SENDING);
	enum MHD_Result r = mhd_queue(rq->conn, rq->early_status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result begin_request(struct request *rq, const char *method, const char *version)
{
	rq->method_text = method;
	rq->method = router_parse_method(method);
	int nheaders = request_headers_read(rq->conn, &rq->headers);
	request_body_begin(rq);
	rq->stage = REQUEST_BODY;
	enum MHD_Result r = request_check(rq, version, nheaders);
	rq->defer = true;
	return r;
}

enum MHD_Result request_handle(void *server, struct MHD_Connection *conn, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **req)
{
	(void)server;
	(void)conn;
	(void)url;
	struct request *rq = *req;
	enum MHD_Result r;
	if (!rq)
		return MHD_NO; /* memory ran out */
	switch (rq->stage) {
	case REQUEST_NEW:
		return begin_request(rq, method, version);
	case REQUEST_BODY:
		if (!*upload_data_size) {
			rq->defer = false;
			return body_end(rq);
		}
		r = request_body_data(rq, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return r;
	case REQUEST_GATHERED:
		return request_submit_round(rq);
	case REQUEST_WAITING:
		return request_wait_over(rq);
	case REQUEST_RUNNING:
	case REQUEST_ANSWERED:
		break;
	}
	*upload_data_size = 0;
	return MHD_YES;
}
