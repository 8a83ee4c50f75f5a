/* The router: which path and method leads to which handler. */
#ifndef KEYDIR_HTTPD_ROUTER_H
#define KEYDIR_HTTPD_ROUTER_H

#include "httpd/request.h"

#define ROUTE_METHODS_MAX 6 /* one row stays empty: the end */

/* What a request has to do with the store. */
enum route_store {
	STORE_UNUSED, /* it is of the node itself, or of a file */
	STORE_SHOWN,
	STORE_CHANGED,
};

/* Bytes of a body that may be as large as a value (--max-value), whatever that is. */
#define ROUTE_BODY_VALUE UINT64_MAX

struct route_method {
	enum http_method method;
	enum MHD_Result (*run)(struct request *rq); /* NULL ends the list */
	uint64_t body_max;                          /* bytes; 0: a body is read and ignored */
	const char *const *params; /* query parameters known; NULL: the query is ignored */
	enum access_need need;     /* who may; nothing: an admin alone */
	enum route_store store;
};

struct route {
	const char *path; /* one that ends with '/' stands for all below it */
	enum http_route metric;
	bool has_key; /* what follows the path is a key */
	struct route_method methods[ROUTE_METHODS_MAX];
};

/* The route of a raw path, or NULL. */
const struct route *router_find(const char *path, size_t len);
/* The route of row N of the table, or NULL behind the last. */
const struct route *router_row(size_t n);
/* The name of METHOD as in a request; static. */
const char *router_method_text(enum http_method method);
/* The row of METHOD, or NULL. */
const struct route_method *router_method(const struct route *route, enum http_method method);
/* The value of an Allow header for ROUTE, into BUF of 64 bytes. */
void router_allow(const struct route *route, char *buf, size_t size);
/* The method that TEXT names. */
enum http_method router_parse_method(const char *text);

#endif
