/* Router: maps a path and a method to a handler. */
#ifndef KEYDIR_HTTPD_ROUTER_H
#define KEYDIR_HTTPD_ROUTER_H

#include "httpd/request.h"

#define ROUTE_METHODS_MAX 6 /* the last row stays empty */

/* How a request uses the store. */
enum route_store {
	STORE_UNUSED, /* not at all: it concerns the node itself, or a file */
	STORE_SHOWN,
	STORE_CHANGED,
};

/* Body limit of routes whose body may be as large as a value (--max-value). */
#define ROUTE_BODY_VALUE UINT64_MAX

struct route_method {
	enum http_method method;
	enum MHD_Result (*run)(struct request *rq); /* NULL ends the list */
	uint64_t body_max;                          /* bytes; 0: the body is read and ignored */
	const char *const *params; /* known query parameters; NULL: the query is ignored */
	enum access_need need;     /* required right; 0: admin */
	enum route_store store;
};

struct route {
	const char *path; /* with a final '/' it matches every path below */
	enum http_route metric;
	bool has_key; /* the rest of the path is a key */
	struct route_method methods[ROUTE_METHODS_MAX];
};

/* Return the route of a raw path, or NULL. */
const struct route *router_find(const char *path, size_t len);
/* Return row N of the table, or NULL after the last. */
const struct route *router_row(size_t n);
/* Return the name of METHOD as in a request; static. */
const char *router_method_text(enum http_method method);
/* Return the row of METHOD, or NULL. */
const struct route_method *router_method(const struct route *route, enum http_method method);
/* Write the value of an Allow header for ROUTE into BUF of 64 bytes. */
void router_allow(const struct route *route, char *buf, size_t size);
/* Return the method that TEXT names. */
enum http_method router_parse_method(const char *text);

#endif
