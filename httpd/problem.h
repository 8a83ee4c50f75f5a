/* Problems: errors as RFC 9457 problem documents. */
#ifndef KEYDIR_HTTPD_PROBLEM_H
#define KEYDIR_HTTPD_PROBLEM_H

#include "httpd/request.h"

#include <jansson.h>

/* id, status, end of the type URI, title. */
#define PROBLEMS(X)                                                                                \
	X(BAD_REQUEST, 400, "bad-request", "Bad request")                                          \
	X(BAD_KEY, 400, "bad-key", "Not a valid key")                                              \
	X(BAD_PARAMETER, 400, "bad-parameter", "Bad query parameter")                              \
	X(BAD_CONDITION, 400, "bad-condition", "Bad precondition")                                 \
	X(BAD_BODY, 400, "bad-body", "Bad request body")                                           \
	X(UNAUTHENTICATED, 401, "unauthenticated", "Token needed")                                 \
	X(FORBIDDEN, 403, "forbidden", "Not allowed")                                              \
	X(NOT_FOUND, 404, "not-found", "Not found")                                                \
	X(IS_DIRECTORY_READ, 404, "is-directory", "Is a directory")                                \
	X(NOT_A_DIRECTORY_READ, 404, "not-a-directory", "Not a directory")                         \
	X(NO_ROUTE, 404, "no-such-path", "No such path")                                           \
	X(METHOD, 405, "method-not-allowed", "Method not allowed")                                 \
	X(GONE, 410, "gone", "The feed does not reach back so far")                                \
	X(IS_DIRECTORY, 409, "is-directory", "Is a directory")                                     \
	X(NOT_A_DIRECTORY, 409, "not-a-directory", "Not a directory")                              \
	X(NOT_EMPTY, 409, "not-empty", "Directory not empty")                                      \
	X(CONFLICT, 409, "conflict", "Conflict with what is stored")                               \
	X(NOT_A_NUMBER, 409, "not-a-number", "Not a whole number")                                 \
	X(PRECONDITION, 412, "precondition-failed", "Precondition failed")                         \
	X(BEHIND, 412, "not-there-yet", "This node is behind the offset asked for")                \
	X(UNKNOWN_HOST, 421, "unknown-host", "Not a name of this server")                          \
	X(TOO_LARGE, 413, "too-large", "Value too large")                                          \
	X(TARGET_TOO_LONG, 414, "target-too-long", "Request target too long")                      \
	X(KEY_REUSED, 422, "idempotency-key-reused", "Idempotency-Key of another change")          \
	X(RANGE, 416, "range-not-satisfiable", "Range not satisfiable")                            \
	X(ENCODING, 415, "content-encoding", "Content encoding not supported")                     \
	X(HEADERS_TOO_LARGE, 431, "headers-too-large", "Headers too large")                        \
	X(INTERNAL, 500, "internal", "Internal error")                                             \
	X(BUSY, 503, "busy", "Too busy")                                                           \
	X(LOG_DOWN, 503, "log-down", "The log cannot be reached")                                  \
	X(STOPPING, 503, "stopping", "The node is stopping")                                       \
	X(NOT_READY, 503, "not-ready", "The node is not ready")                                    \
	X(UNKNOWN, 504, "outcome-unknown", "Outcome unknown")                                      \
	X(VERSION, 505, "http-version", "HTTP version not supported")                              \
	X(FULL, 507, "full", "The cache is full")                                                  \
	X(NO_ROOM, 507, "no-room", "No room for a snapshot")

enum problem {
#define X(id, status, slug, title) PROBLEM_##id,
	PROBLEMS(X)
#undef X
};

/* Answer RQ with a problem document. OFFSET as in respond.h. The detail names the error and what
 * to do, in a sentence or two. */
enum MHD_Result problem(struct request *rq, enum problem what, uint64_t offset, const char *fmt,
                        ...) __attribute__((format(printf, 4, 5)));

/* Create the response without queueing it, for a handler that adds headers; NULL if memory runs
 * out. Takes the reference to MORE (a JSON object or NULL), further members besides those of RFC
 * 9457. */
struct MHD_Response *problem_response(struct request *rq, enum problem what, json_t *more,
                                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Create the document, *RET_LEN bytes that the caller frees, and its headers on an empty response;
 * NULL if memory runs out. */
char *problem_document(struct request *rq, enum problem what, size_t *ret_len,
                       struct MHD_Response **ret_headers, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

/* Answer RQ for a write with RESULT (not OUTCOME_OK). With CONDITIONAL the request had a
 * precondition, so a missing or existing entry is answered 412. */
enum MHD_Result problem_outcome(struct request *rq, const struct request_result *result,
                                bool conditional);

/* Answer RQ for ERR (-errno): a view that could not be opened or read, or a response without
 * memory. */
enum MHD_Result problem_store(struct request *rq, int err);

#endif
