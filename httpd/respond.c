/* Responses: creates them, adds the common headers, and queues them.
 *
 * The ownership of every response's bytes is decided here: MHD copies, MHD frees, or they are part
 * of the program; no response refers to a handler's stack. A response that is ready before the
 * request's body was read is kept until then (request.c says why). */
#include "httpd/respond.h"

#include "httpd/access_log.h"
#include "httpd/answer_memory.h"
#include "httpd/cors.h"
#include "httpd/refusals.h"
#include "httpd/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Body size of the response that this thread created last: MHD does not report it, and the thread
 * that creates a response sends it before the next. */
static _Thread_local uint64_t made_bytes = REQUEST_SENT_UNKNOWN;

struct MHD_Response *response_copy(const void *data, size_t len)
{
	made_bytes = len;
	/* The cast drops a const that MHD_RESPMEM_MUST_COPY respects. */
	return MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);
}

struct MHD_Response *response_owned(void *data, size_t len)
{
	made_bytes = len;
	struct MHD_Response *response = MHD_create_response_from_buffer(len, data,
	                                                                MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(data);
	return response;
}

struct MHD_Response *response_counted(void *data, size_t len)
{
	made_bytes = len;
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(
	        len, data, answer_memory_free);
	if (!response)
		answer_memory_free(data);
	return response;
}

struct MHD_Response *response_shared(const void *data, size_t len, void (*free_it)(void *arg),
                                     void *arg)
{
	made_bytes = len;
	/* The cast drops a const; the library only reads. */
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
	        len, (void *)(uintptr_t)data, free_it, arg);
	if (!response)
		free_it(arg);
	return response;
}

struct MHD_Response *response_pieces(uint64_t len, size_t block, MHD_ContentReaderCallback read,
                                     void *arg, void (*free_it)(void *arg))
{
	made_bytes = len;
	struct MHD_Response *response = MHD_create_response_from_callback(len, block, read, arg,
	                                                                  free_it);
	if (!response)
		free_it(arg);
	return response;
}

struct MHD_Response *response_static(const void *data, size_t len)
{
	made_bytes = len;
	/* The cast drops a const that MHD_RESPMEM_PERSISTENT respects. */
	return MHD_create_response_from_buffer(len, (void *)(uintptr_t)data,
	                                       MHD_RESPMEM_PERSISTENT);
}

struct MHD_Response *response_empty(void)
{
	made_bytes = 0;
	return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

/* Read nothing. Never called: a response to HEAD has no body. */
static ssize_t no_content(void *arg, uint64_t pos, char *buf, size_t max)
{
	(void)arg;
	(void)pos;
	(void)buf;
	(void)max;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

struct MHD_Response *response_size(uint64_t len)
{
	made_bytes = 0;
	return MHD_create_response_from_callback(len, 1, no_content, NULL, NULL);
}

/* MHD (seen with 0.9.75) sends the end of a chunked body ("0\r\n\r\n") also in response to HEAD,
 * which has no body: the client would take it for the beginning of its next response. So there are
 * no chunks, and the connection closes. */
struct MHD_Response *response_stream(void)
{
	struct MHD_Response *response = response_size(MHD_SIZE_UNKNOWN);
	if (response)
		MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	return response;
}

bool response_header_own(struct MHD_Response *response, const char *name, const char *value)
{
	return response && MHD_add_response_header(response, name, value) == MHD_YES;
}

bool response_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* MHD refuses line breaks itself; other control characters are not allowed in a field value
	 * either (RFC 9110, 5.5). */
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < 0x20 ? *c != '\t' : *c == 0x7F)
			return false;
	return response_header_own(response, name, value);
}

/* Write VALUE in decimal at the end of BUF of 21 bytes, NUL-ended. */
static char *decimal(uint64_t value, char *buf)
{
	char *at = buf + 20;
	*at = '\0';
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return at;
}

bool response_header_u64(struct MHD_Response *response, const char *name, uint64_t value)
{
	char buf[21];
	return response_header_own(response, name, decimal(value, buf));
}

bool response_etag(struct MHD_Response *response, uint64_t version, const struct volume_tag *tag)
{
	char buf[24 + VOLUME_TAG_LEN];
	char *at = decimal(version, buf + 1);
	*--at = '"';
	memcpy(buf + 21, tag->text, tag->len);
	memcpy(buf + 21 + tag->len, "\"", 2);
	return response_header_own(response, "ETag", at);
}

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
	rq->sent = rq->method == HTTP_HEAD ? 0 : made_bytes;
	made_bytes = REQUEST_SENT_UNKNOWN; /* a stream's bytes are counted elsewhere */
	if (rq->defer) {
		rq->early = response;
		rq->early_status = status;
		return MHD_YES;
	}
	rq->stage = REQUEST_ANSWERED;
	client_enter(rq->client, rq->endless ? CLIENT_WAITING : CLIENT_SENDING);
	enum MHD_Result r = refusals_queue_own(rq->conn, status, response);
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
