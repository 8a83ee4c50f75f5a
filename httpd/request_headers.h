/* Request headers: those that something looks at. */
#ifndef KEYDIR_HTTPD_REQUEST_HEADERS_H
#define KEYDIR_HTTPD_REQUEST_HEADERS_H

#include <microhttpd.h>
#include <stdbool.h>

/* Their values, NULL without them, are MHD's and live as long as the request. Of
 * several of a name the first counts, where several may be. */
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
	bool repeated;  /* Host, or one that says how long the body is, came twice */
	bool malformed; /* one is not as HTTP writes it (request_headers.c) */
};

/* Fills RET, which is all 0 before. Returns how many headers there are, those of no
 * interest too. */
int request_headers_read(struct MHD_Connection *conn, struct request_headers *ret);

#endif
