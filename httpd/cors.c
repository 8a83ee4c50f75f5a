/* CORS: which origins' pages may use this server from a browser.
 *
 * Off unless --cors-origin is given: then browsers do not let pages of other origins read our
 * responses. The page sends a token itself and the browser never does (no cookie, no Basic), so
 * there are no credentials in the sense of CORS.
 *
 * Reads settings, changes nothing: thread-safe. */
#include "httpd/cors.h"

#include "httpd/response.h"
#include "httpd/server.h"

#include <string.h>

/* Return whether TEXT is "scheme://host" or "scheme://host:port", as browsers write origins. */
static bool is_origin(const char *text, size_t len)
{
	const char *host = memmem(text, len, "://", 3);
	if (!host || host == text)
		return false;
	host += 3;
	if (host >= text + len)
		return false;
	for (const char *c = text; c < text + len; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7F ||
		    (c >= host && (*c == '/' || *c == '?' || *c == '#' || *c == '*')))
			return false;
	return true;
}

bool cors_is_valid(const char *text)
{
	if (strcmp(text, "*") == 0)
		return true;
	for (;;) {
		size_t len = strcspn(text, ",");
		if (!is_origin(text, len))
			return false;
		if (!text[len])
			return true;
		text += len + 1;
	}
}

bool cors_allows(const struct request *rq)
{
	const char *allowed = rq->server->settings->cors_origin;
	const char *origin = rq->headers.origin;
	if (!allowed || !origin)
		return false;
	if (strcmp(allowed, "*") == 0)
		return true;
	size_t want = strlen(origin);
	for (;;) {
		size_t len = strcspn(allowed, ",");
		if (len == want && memcmp(allowed, origin, len) == 0)
			return true;
		if (!allowed[len])
			return false;
		allowed += len + 1;
	}
}

void cors_add(const struct request *rq, struct MHD_Response *response)
{
	const char *allowed = rq->server->settings->cors_origin;
	if (!allowed)
		return;
	bool any = strcmp(allowed, "*") == 0;
	if (!any) /* A shared cache must not serve one origin's response to another. */
		response_header(response, "Vary", "Origin");
	if (!cors_allows(rq))
		return;
	response_header(response, "Access-Control-Allow-Origin", any ? "*" : rq->headers.origin);
	response_header(response, "Access-Control-Expose-Headers",
	                "Accept-Ranges, Content-Range, ETag, Location, Retry-After, "
	                "WWW-Authenticate, X-Keydir-Mount, X-Keydir-Offset, X-Keydir-TTL, "
	                "X-Request-Id");
}

void cors_add_preflight(const struct request *rq, struct MHD_Response *response, const char *allow)
{
	if (!cors_allows(rq))
		return;
	response_header(response, "Access-Control-Allow-Methods", allow);
	response_header(
	        response, "Access-Control-Allow-Headers",
	        "Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, "
	        "If-None-Match, If-Range, If-Unmodified-Since, Last-Event-ID, Range, "
	        "X-Keydir-Offset, X-Request-Id");
	response_header(response, "Access-Control-Max-Age", "600");
}
