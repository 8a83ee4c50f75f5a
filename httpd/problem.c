/* Problems: errors as RFC 9457 problem documents.
 *
 * One table has the status, type and title of each; the callers add the detail. Types are URNs:
 * they name a kind of problem and cannot be fetched. Of a client's bytes only `instance` is in the
 * document: printable ASCII is kept and the rest percent-encoded, so the document is always valid
 * JSON. */
#include "httpd/problem.h"

#include "httpd/json_text.h"
#include "httpd/respond.h"
#include "httpd/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct problem_row {
	unsigned status;
	const char *type;
	const char *title;
} rows[] = {
#define X(id, status, slug, title) { status, "urn:keydir:problem:" slug, title },
	PROBLEMS(X)
#undef X
};

/* Return whether RQ uses PyCache's interface, whose clients read "message" and "payload" in every
 * response. The target ends with a NUL, however short the path is. */
static bool is_pycache(const struct request *rq)
{
	static const char prefix[] = "/api/";
	return rq->url.path && strncmp(rq->url.path, prefix, sizeof(prefix) - 1) == 0;
}

/* Return the path of RQ as text that JSON can hold; malloc'd. */
static char *instance_text(const struct request *rq)
{
	size_t len = rq->url.path_len;
	char *text = malloc(URL_ENCODED_MAX(len) + 1);
	if (!text)
		return NULL;
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = rq->url.path[i];
		if (c > 0x20 && c < 0x7F)
			text[n++] = c;
		else
			n += (size_t)snprintf(text + n, 4, "%%%02X", (unsigned char)c);
	}
	text[n] = '\0';
	return text;
}

__attribute__((format(printf, 5, 0))) static char *create_document(struct request *rq,
                                                                   const struct problem_row *row,
                                                                   json_t *more, size_t *ret_len,
                                                                   const char *fmt, va_list args)
{
	char detail[1024];
	vsnprintf(detail, sizeof(detail), fmt, args);
	if (!json_text_is_utf8(detail, strlen(detail))) /* a library quoted the client */
		for (char *c = detail; *c; c++)
			if ((unsigned char)*c >= 0x80)
				*c = '?';
	char *instance = instance_text(rq);
	json_t *doc = json_pack("{s:s, s:s, s:i, s:s}", "type", row->type, "title", row->title,
	                        "status", (int)row->status, "detail", detail);
	if (instance && *instance)
		json_object_set_new(doc, "instance", json_string(instance));
	free(instance);
	if (is_pycache(rq)) {
		json_object_set_new(doc, "message", json_string(detail));
		json_object_set_new(doc, "payload", json_object());
	}
	if (more)
		json_object_update(doc, more);
	json_decref(more);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	if (!text)
		return NULL;
	*ret_len = strlen(text);
	text[(*ret_len)++] = '\n'; /* in place of the NUL, for terminals */
	return text;
}

static struct MHD_Response *with_headers(struct MHD_Response *response,
                                         const struct problem_row *row)
{
	response_header(response, "Content-Type", "application/problem+json");
	response_header(response, "Cache-Control", "no-store");
	if (row->status == MHD_HTTP_SERVICE_UNAVAILABLE)
		response_header(response, "Retry-After", "1");
	return response;
}

__attribute__((format(printf, 4, 0))) static struct MHD_Response *create_response(
        struct request *rq, const struct problem_row *row, json_t *more, const char *fmt,
        va_list args)
{
	size_t len;
	char *text = create_document(rq, row, more, &len, fmt, args);
	return text ? with_headers(response_owned(text, len), row) : NULL;
}

struct MHD_Response *problem_response(struct request *rq, enum problem what, json_t *more,
                                      const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	struct MHD_Response *response = create_response(rq, &rows[what], more, fmt, args);
	va_end(args);
	return response;
}

char *problem_document(struct request *rq, enum problem what, size_t *ret_len,
                       struct MHD_Response **ret_headers, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *text = create_document(rq, &rows[what], NULL, ret_len, fmt, args);
	va_end(args);
	if (text)
		*ret_headers = with_headers(response_empty(), &rows[what]);
	return text;
}

enum MHD_Result problem(struct request *rq, enum problem what, uint64_t offset, const char *fmt,
                        ...)
{
	va_list args;
	va_start(args, fmt);
	struct MHD_Response *response = create_response(rq, &rows[what], NULL, fmt, args);
	va_end(args);
	return respond_send(rq, rows[what].status, offset, response);
}

/* Problems of failed writes: outcome, problem, and the detail if it needs no number. Outcomes that are
 * missing here are conflicts. */
#define OUTCOME_PROBLEMS(X)                                                                        \
	X(NOT_FOUND, NOT_FOUND, "There is no such key.")                                           \
	X(EXISTS, CONFLICT, "An entry with that name exists already.")                             \
	X(VERSION, PRECONDITION,                                                                   \
	  "The version of the entry does not match If-Match. Read it again, and repeat the "       \
	  "change with its new ETag.")                                                             \
	X(NOT_DIR, NOT_A_DIRECTORY,                                                                \
	  "A name in the path is a key and not a directory, so it cannot have entries. Delete "    \
	  "that key first, or use another path.")                                                  \
	X(IS_DIR, IS_DIRECTORY,                                                                    \
	  "This is a directory, which has no value. Use a key below it, or delete it first "       \
	  "(DELETE with ?recurse deletes its content, too).")                                      \
	X(NOT_EMPTY, NOT_EMPTY,                                                                    \
	  "The directory is not empty. DELETE with ?recurse deletes it with its content.")         \
	X(INTO_ITSELF, CONFLICT, "A directory cannot move below itself.")                          \
	X(NOT_NUMBER, NOT_A_NUMBER,                                                                \
	  "The value is not a decimal integer, so it cannot be incremented. PUT a number first.")  \
	X(RANGE, CONFLICT, "The number would exceed 64 bits; it was not changed.")                 \
	X(LATE, BUSY,                                                                              \
	  "This node did not apply the change within --write-timeout, because it is delayed. "     \
	  "Nothing was changed. Try again, or use another node.")                                  \
	X(LOG_DOWN, LOG_DOWN,                                                                      \
	  "The log cannot be reached, so nothing was changed. Reads still work. Try again in a "   \
	  "moment.")                                                                               \
	X(UNKNOWN, UNKNOWN,                                                                        \
	  "The log did not answer in time. The change may still happen: read before you repeat "   \
	  "it, or repeat it with the same Idempotency-Key if it had one.")                         \
	X(STOPPING, STOPPING, "This node is stopping; nothing was changed. Try another one.")      \
	X(NO_MEMORY, BUSY, "Out of memory; nothing was changed. Try again in a moment.")

static const struct outcome_row {
	enum problem what;
	const char *detail;
} outcome_rows[OUTCOME_COUNT] = {
#define X(outcome, what, detail) [OUTCOME_##outcome] = { PROBLEM_##what, detail },
	OUTCOME_PROBLEMS(X)
#undef X
};

enum MHD_Result problem_outcome(struct request *rq, const struct request_result *result,
                                bool conditional)
{
	uint64_t offset = result->offset ? result->offset : RESPOND_OFFSET_NOW;
	unsigned long long size = node_get_config(rq->server->node)->size_bytes;
	const struct outcome_row *row = &outcome_rows[result->code];
	if (conditional && result->code == OUTCOME_NOT_FOUND)
		return problem(rq, PROBLEM_PRECONDITION, offset,
		               "There is no such key, so the precondition fails.");
	if (conditional && result->code == OUTCOME_EXISTS)
		return problem(rq, PROBLEM_PRECONDITION, offset,
		               "An entry with that name exists already, and If-None-Match: * "
		               "requires that it does not.");
	if (row->detail)
		return problem(rq, row->what, offset, "%s", row->detail);
	switch (result->code) {
	case OUTCOME_TOO_LARGE:
		return problem(rq, PROBLEM_TOO_LARGE, offset,
		               "A value may have at most %llu bytes (--max-value). Nothing was "
		               "changed.",
		               (unsigned long long)node_max_value(rq->server->node));
	case OUTCOME_NO_SPACE:
		return problem(rq, PROBLEM_FULL, offset,
		               "The cache is full (--size, %llu bytes). Delete keys, or let some "
		               "expire; reads and deletes still work.",
		               size);
	case OUTCOME_STORE_FULL:
		return problem(rq, PROBLEM_FULL, offset,
		               "The file system of the store (%.200s) is full, although the cache "
		               "is not (--size, %llu bytes). Nothing was changed. Delete keys, a "
		               "few at a time, or enlarge it (for a container: --shm-size); reads "
		               "still work.",
		               store_dir(node_store(rq->server->node)), size);
	default:
		return problem(
		        rq,
		        result->code == OUTCOME_REJECTED ? PROBLEM_BAD_REQUEST : PROBLEM_CONFLICT,
		        offset, "The change was refused: %s.", event_outcome_text(result->code));
	}
}

enum MHD_Result problem_store(struct request *rq, int err)
{
	if (err == -EBUSY)
		return problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
		               "Responses being sent use all memory allowed for them "
		               "(--answer-memory). Try again in a moment.");
	if (err == -EAGAIN || err == -ENOMEM)
		return problem(rq, PROBLEM_BUSY, RESPOND_OFFSET_NOW,
		               "Too many concurrent readers, or too little memory. Try again in "
		               "a moment.");
	return problem(rq, PROBLEM_INTERNAL, RESPOND_OFFSET_NOW, "The store could not be read: %s.",
	               strerror(-err));
}
