/* Limits: sizes of a request's target and headers.
 *
 * libmicrohttpd accepts whatever fits into a connection's memory, which depends on how requests are
 * split into headers and cookies. We promise plain numbers, below that. */
#include "httpd/limits.h"

#include "httpd/problem.h"
#include "httpd/respond.h"

#include <string.h>
#include <strings.h>

/* Return the bytes of RQ's headers as received. */
static size_t header_bytes(const struct request *rq, size_t target_len)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	        rq->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	/* The request line precedes them: two spaces, HTTP/1.1, CR, LF. */
	size_t line = strlen(rq->method_text) + target_len + 12;
	return info && info->header_size > line ? info->header_size - line : 0;
}

/* Return whether the length of the body is unambiguous. If two readers can understand it in
 * different ways, a request can be smuggled past one of them (RFC 9112, 6.1 and 11.2). */
static bool framing_is_plain(const struct request *rq, bool chunks)
{
	const char *coding = rq->headers.transfer_encoding;
	if (rq->headers.malformed || rq->headers.repeated || (coding && rq->headers.content_length))
		return false;
	return !coding || (chunks && strcasecmp(coding, "chunked") == 0);
}

bool limits_check(struct request *rq, const char *version, int n, enum MHD_Result *ret)
{
	size_t len = strlen(rq->target);
	if (len > LIMITS_TARGET) {
		rq->url.path_len = 0; /* Do not repeat the path in the answer. */
		*ret = problem(rq, PROBLEM_TARGET_TOO_LONG, RESPOND_OFFSET_NOW, LIMITS_TARGET_TEXT,
		               LIMITS_TARGET);
		return false;
	}
	if (n > LIMITS_HEADER_COUNT || header_bytes(rq, len) > LIMITS_HEADERS) {
		*ret = problem(rq, PROBLEM_HEADERS_TOO_LARGE, RESPOND_OFFSET_NOW,
		               LIMITS_HEADERS_TEXT, LIMITS_HEADER_COUNT, LIMITS_HEADERS);
		return false;
	}
	bool old = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
	if (!framing_is_plain(rq, !old)) {
		rq->defer = false; /* The end of its body is unknown, so do not wait for it. */
		rq->last = true;
		*ret = problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "Headers must follow the syntax of HTTP/1.1, each on one line. "
		               "The end of the body must be unambiguous: one Content-Length, or "
		               "only Transfer-Encoding: chunked (not in HTTP/1.0). Host must not "
		               "be repeated. The connection is closed.");
		return false;
	}
	if (!rq->headers.host && !old) {
		*ret = problem(rq, PROBLEM_BAD_REQUEST, RESPOND_OFFSET_NOW,
		               "HTTP/1.1 requires a Host header (RFC 9112, 3.2). Send the name "
		               "in the URL.");
		return false;
	}
	int params = rq->url.query_len ? 1 : 0;
	for (size_t i = 0; i < rq->url.query_len; i++)
		params += rq->url.query[i] == '&';
	if (params > LIMITS_PARAMS) {
		*ret = problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               "A query may have at most %d parameters. Remove those that this "
		               "request does not need.",
		               LIMITS_PARAMS);
		return false;
	}
	return true;
}
