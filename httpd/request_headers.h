/* Request headers: those that the server reads. */
#ifndef KEYDIR_HTTPD_REQUEST_HEADERS_H
#define KEYDIR_HTTPD_REQUEST_HEADERS_H

#include <microhttpd.h>
#include <stdbool.h>

/* Values belong to MHD and live as long as the request; NULL: no such header. If a header that may
 * be repeated is, the first counts. */
struct request_headers {
	const char *if_match;
	const char *if_none_match;
	const char *if_modified_since;
	const char *if_unmodified_since;
	const char *if_range;
	const char *range;
	const char *content_type;
	const char *content_length;
	const char *content_encoding;
	const char *transfer_encoding;
	const char *expect;
	const char *idempotency_key;
	const char *cache_control;
	const char *offset;
	const char *authorization;
	const char *request_id;
	const char *last_event_id;
	const char *accept;
	const char *origin;
	const char *sec_fetch_site;
	const char *forwarded_for;
	const char *user_agent;
	const char *host;
	bool repeated;  /* Host or a header with the body's length was repeated */
	bool malformed; /* a header violates the syntax of HTTP (request_headers.c) */
};

/* Fill RET, which is zeroed by the caller. Returns the number of all headers, unknown ones
 * included. */
int request_headers_read(struct MHD_Connection *conn, struct request_headers *ret);

#endif
