/* Respond: answers a request with a response and the common headers.
 *
 * A response that is ready before the request's body was read is kept until then (request.c says
 * why). Each request is answered on the MHD thread of its connection. */
#include "httpd/respond.h"

#include "httpd/access_log.h"
#include "httpd/cors.h"
#include "httpd/mhd_queue.h"
#include "httpd/server.h"

#include <stdlib.h>
#include <string.h>

void respond_common(struct request *rq, unsigned status, uint64_t offset,
                    struct MHD_Response *response)
{
	if (offset == RESPOND_OFFSET_NOW)
		offset = node_offset(rq->server->node);
	response_header_u64(response, "X-Keydir-Offset", offset);
	if (rq->mount_pending)
		response_header(response, "X-Keydir-Mount", "pending");
	cors_add(rq, response);
	response_header_own(response, "X-Content-Type-Options", "nosniff");
	response_header_own(response, "Cross-Origin-Resource-Policy", "same-origin");
	const atomic_bool *released = client_released(rq->client);
	if (rq->last || atomic_load_explicit(&rq->server->draining, memory_order_relaxed) ||
	    (released && atomic_load_explicit(released, memory_order_relaxed)))
		response_header(response, "Connection", "close");
	if (status >= 400 || rq->server->access_log || request_id_is_given(rq))
		response_header(response, "X-Request-Id", request_id(rq));
}

enum MHD_Result respond_send(struct request *rq, unsigned status, uint64_t offset,
                             struct MHD_Response *response)
{
	if (!response) {
		status = MHD_HTTP_SERVICE_UNAVAILABLE;
		response = response_empty();
		if (!response)
			return MHD_NO; /* only closing the connection is left */
		response_header(response, "Retry-After", "1");
	}
	respond_common(rq, status, offset, response);
	rq->status = status;
	uint64_t size = response_take_size();
	rq->sent = rq->method == HTTP_HEAD ? 0 : size;
	if (rq->defer) {
		rq->early = response;
		rq->early_status = status;
		return MHD_YES;
	}
	rq->stage = REQUEST_ANSWERED;
	client_enter(rq->client, rq->endless ? CLIENT_WAITING : CLIENT_SENDING);
	enum MHD_Result r = mhd_queue(rq->conn, status, response);
	MHD_destroy_response(response);
	return r;
}

enum MHD_Result respond_empty(struct request *rq, unsigned status, uint64_t offset)
{
	return respond_send(rq, status, offset, response_empty());
}

enum MHD_Result respond_plain(struct request *rq, const char *text)
{
	struct MHD_Response *response = response_static(text, strlen(text));
	response_header(response, "Content-Type", "text/plain; charset=utf-8");
	response_header(response, "Cache-Control", "no-store");
	return respond_send(rq, 200, RESPOND_OFFSET_NOW, response);
}

static enum MHD_Result send_document(struct request *rq, unsigned status, uint64_t offset,
                                     const char *type, struct MHD_Response *response)
{
	response_header(response, "Content-Type", type);
	response_header(response, "Cache-Control", "no-cache");
	return respond_send(rq, status, offset, response);
}

enum MHD_Result respond_text(struct request *rq, unsigned status, uint64_t offset, const char *type,
                             char *text, size_t len)
{
	return send_document(rq, status, offset, type, response_owned(text, len));
}

enum MHD_Result respond_json_text(struct request *rq, unsigned status, uint64_t offset,
                                  const char *type, struct json_text *text)
{
	struct MHD_Response *response = response_counted(text->data, text->len);
	*text = (struct json_text){ .counted = true };
	return send_document(rq, status, offset, type, response);
}

/* Return a response with JSON as a line for a terminal, or NULL if memory runs out. Releases JSON.
 */
static struct MHD_Response *json_response(json_t *json, size_t flags)
{
	char *text = json ? json_dumps(json, flags | JSON_ENCODE_ANY) : NULL;
	json_decref(json);
	if (!text)
		return NULL;
	size_t len = strlen(text);
	text[len++] = '\n'; /* in place of the NUL */
	return response_owned(text, len);
}

enum MHD_Result respond_json(struct request *rq, unsigned status, uint64_t offset, json_t *json,
                             size_t flags)
{
	return send_document(rq, status, offset, "application/json", json_response(json, flags));
}

enum MHD_Result respond_json_etag(struct request *rq, uint64_t offset, json_t *json,
                                  uint64_t version, const struct volume_tag *tag)
{
	struct MHD_Response *response = json_response(json, JSON_COMPACT);
	response_etag(response, version, tag);
	return send_document(rq, 200, offset, "application/json", response);
}
