/* Router: maps a path and a method to a handler.
 *
 * One table: path, whether a key follows, and a handler for each method. Whether a path exists,
 * whether it has a method (405 and Allow), which query parameters it takes and which right it
 * requires all come from here, so a handler sees only requests that fit it. An unknown parameter is
 * refused rather than ignored: a misspelt ?ttl= would otherwise store a key forever. */
#include "httpd/router.h"

#include "httpd/handlers.h"

#include <stdio.h>
#include <string.h>

static const char *const no_params[] = { NULL };
static const char *const get_params[] = { "consistent", "recurse", "directories", "values",
	                                  "limit",      "cursor",  "wait",        NULL };
static const char *const list_params[] = { "consistent", "recurse", "directories", "values",
	                                   "limit",      "cursor",  NULL };
static const char *const put_params[] = { "ttl", NULL };
static const char *const delete_params[] = { "recurse", NULL };
static const char *const op_params[] = { "op", "by", "ttl", "to", "noreplace", "exchange", NULL };
static const char *const watch_params[] = { "prefix", "from", "values", "wait", NULL };
static const char *const read_params[] = { "consistent", NULL };
static const char *const ready_params[] = { "reads", NULL };

/* A body of operations is parsed at once, by a thread that serves other clients too: 16 MiB of a
 * transaction, and 10,000 keys of 400 bytes. */
#define TXN_BODY_MAX (UINT64_C(16) << 20)
#define MGET_BODY_MAX (UINT64_C(4) << 20)

static const struct route routes[] = {
	/* the root can be listed, but not changed */
	{ "/v1/kv/",
	  HTTP_ROUTE_LIST,
	  false,
	  { { HTTP_GET, handle_list, 0, list_params, ACCESS_READ, STORE_SHOWN },
	    { HTTP_HEAD, handle_list, 0, list_params, ACCESS_READ, STORE_SHOWN } } },
	{ "/v1/kv/",
	  HTTP_ROUTE_KV,
	  true,
	  { { HTTP_GET, handle_key, 0, get_params, ACCESS_READ, STORE_SHOWN },
	    { HTTP_HEAD, handle_key, 0, get_params, ACCESS_READ, STORE_SHOWN },
	    { HTTP_PUT, handle_put, ROUTE_BODY_VALUE, put_params, ACCESS_WRITE, STORE_CHANGED },
	    { HTTP_DELETE, handle_delete, 0, delete_params, ACCESS_WRITE, STORE_CHANGED },
	    { HTTP_POST, handle_op, ROUTE_BODY_VALUE, op_params, ACCESS_WRITE, STORE_CHANGED } } },
	{ "/v1/txn",
	  HTTP_ROUTE_TXN,
	  false,
	  { { HTTP_POST, handle_txn, TXN_BODY_MAX, no_params, ACCESS_TOKEN, STORE_CHANGED } } },
	{ "/v1/mget",
	  HTTP_ROUTE_MGET,
	  false,
	  { { HTTP_POST, handle_mget, MGET_BODY_MAX, read_params, ACCESS_TOKEN, STORE_SHOWN } } },
	{ "/v1/watch",
	  HTTP_ROUTE_WATCH,
	  false,
	  { { HTTP_GET, handle_watch, 0, watch_params, ACCESS_TOKEN, STORE_SHOWN },
	    { HTTP_HEAD, handle_watch, 0, watch_params, ACCESS_TOKEN, STORE_SHOWN } } },
	{ "/v1/status",
	  HTTP_ROUTE_OPS,
	  false,
	  { { HTTP_GET, handle_status, 0, read_params, ACCESS_MONITOR, STORE_UNUSED },
	    { HTTP_HEAD, handle_status, 0, read_params, ACCESS_MONITOR, STORE_UNUSED } } },
	{ "/v1/snapshot",
	  HTTP_ROUTE_OPS,
	  false,
	  { { HTTP_GET, handle_snapshot, 0, no_params, ACCESS_ADMIN, STORE_UNUSED },
	    { HTTP_HEAD, handle_snapshot, 0, no_params, ACCESS_ADMIN, STORE_UNUSED } } },
	{ "/healthz",
	  HTTP_ROUTE_OPS,
	  false,
	  { { HTTP_GET, handle_healthz, 0, NULL, ACCESS_OPEN, STORE_UNUSED },
	    { HTTP_HEAD, handle_healthz, 0, NULL, ACCESS_OPEN, STORE_UNUSED } } },
	{ "/readyz",
	  HTTP_ROUTE_OPS,
	  false,
	  { { HTTP_GET, handle_readyz, 0, ready_params, ACCESS_OPEN, STORE_UNUSED },
	    { HTTP_HEAD, handle_readyz, 0, ready_params, ACCESS_OPEN, STORE_UNUSED } } },
	{ "/metrics",
	  HTTP_ROUTE_OPS,
	  false,
	  { { HTTP_GET, handle_metrics, 0, NULL, ACCESS_MONITOR, STORE_UNUSED },
	    { HTTP_HEAD, handle_metrics, 0, NULL, ACCESS_MONITOR, STORE_UNUSED } } },
	{ "/",
	  HTTP_ROUTE_CONSOLE,
	  false,
	  { { HTTP_GET, handle_console, 0, no_params, ACCESS_OPEN, STORE_UNUSED },
	    { HTTP_HEAD, handle_console, 0, no_params, ACCESS_OPEN, STORE_UNUSED } } },
	{ "/console/",
	  HTTP_ROUTE_CONSOLE,
	  true,
	  { { HTTP_GET, handle_console, 0, no_params, ACCESS_OPEN, STORE_UNUSED },
	    { HTTP_HEAD, handle_console, 0, no_params, ACCESS_OPEN, STORE_UNUSED } } },
	{ "/openapi.json",
	  HTTP_ROUTE_OPS,
	  false,
	  { { HTTP_GET, handle_openapi, 0, no_params, ACCESS_OPEN, STORE_UNUSED },
	    { HTTP_HEAD, handle_openapi, 0, no_params, ACCESS_OPEN, STORE_UNUSED } } },
	{ "/api/cache/",
	  HTTP_ROUTE_PYCACHE,
	  true,
	  { { HTTP_GET, handle_pycache_get, 0, NULL, ACCESS_READ, STORE_SHOWN },
	    { HTTP_HEAD, handle_pycache_get, 0, NULL, ACCESS_READ, STORE_SHOWN },
	    { HTTP_POST, handle_pycache_post, ROUTE_BODY_VALUE, NULL, ACCESS_WRITE, STORE_CHANGED },
	    { HTTP_DELETE, handle_pycache_delete, 0, NULL, ACCESS_WRITE, STORE_CHANGED } } },
	{ "/api/health/",
	  HTTP_ROUTE_PYCACHE,
	  false,
	  { { HTTP_GET, handle_pycache_health, 0, NULL, ACCESS_OPEN, STORE_UNUSED },
	    { HTTP_HEAD, handle_pycache_health, 0, NULL, ACCESS_OPEN, STORE_UNUSED } } },
};

static const char *const method_texts[] = {
	[HTTP_GET] = "GET",   [HTTP_HEAD] = "HEAD",     [HTTP_PUT] = "PUT",
	[HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
};

const struct route *router_find(const char *path, size_t len)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];
		size_t n = strlen(route->path);
		bool below = route->path[n - 1] == '/';
		if (below && len + 1 == n && memcmp(path, route->path, len) == 0)
			return route; /* without its final slash */
		if (len < n || memcmp(path, route->path, n) != 0)
			continue;
		if (len == n || (below && route->has_key))
			return route;
	}
	return NULL;
}

const struct route *router_row(size_t n)
{
	return n < sizeof(routes) / sizeof(routes[0]) ? &routes[n] : NULL;
}

const char *router_method_text(enum http_method method)
{
	return method < HTTP_METHOD_OTHER ? method_texts[method] : "other";
}

const struct route_method *router_method(const struct route *route, enum http_method method)
{
	for (const struct route_method *m = route->methods; m->run; m++)
		if (m->method == method)
			return m;
	return NULL;
}

void router_allow(const struct route *route, char *buf, size_t size)
{
	size_t at = 0;
	buf[0] = '\0';
	for (const struct route_method *m = route->methods; m->run && at < size; m++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "",
		                       method_texts[m->method]);
}

enum http_method router_parse_method(const char *text)
{
	for (size_t i = 0; i < sizeof(method_texts) / sizeof(method_texts[0]); i++)
		if (strcmp(text, method_texts[i]) == 0)
			return (enum http_method)i;
	return HTTP_METHOD_OTHER;
}
